// `debug pixels`: what a picture becomes before a vision tower sees it.
#pragma once

#include <string>

#include "base/result.h"
#include "cli/command.h"
#include "media/picture.h"

namespace fourfold {

// A picture of a file, and what it is resized to.
struct ReadPicture {
  DecodedPicture decoded;
  Picture resized;
};
Result<ReadPicture> read_resized_picture(const std::string& path, int budget);

void register_debug_pixels(CLI::App& debug, Context& context);

}  // namespace fourfold
