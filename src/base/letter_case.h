// Upper and lower case of UTF-8 text as Python's str.upper() and str.lower() see it, but that a
// final capital sigma becomes σ and not ς. Malformed bytes stay as they are.
#pragma once

#include <string>
#include <string_view>

namespace fourfold {

std::string to_lower(std::string_view text);
std::string to_upper(std::string_view text);

}  // namespace fourfold
