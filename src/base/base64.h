// Base64 of either alphabet.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace fourfold {

// Standard alphabet, padded.
std::string to_base64(std::string_view bytes);

// Standard and URL-safe alphabet, with or without padding, white space ignored. InvalidArgument
// "character 17: …" for anything else, and for a length that no bytes have.
Result<std::string> from_base64(std::string_view text);

}  // namespace fourfold
