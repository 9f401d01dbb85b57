// `debug pixels`: what a picture becomes before a vision tower sees it.
#pragma once

#include "cli/command.h"

namespace fourfold {

void register_debug_pixels(CLI::App& debug, Context& context);

}  // namespace fourfold
