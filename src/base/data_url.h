// data: URLs (RFC 2397), and the percent escapes that URLs have.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace fourfold {

struct DataUrl {
  std::string mime;  // in lower case, without parameters; empty if there is none
  std::string bytes;
};

bool is_data_url(std::string_view url);
// data:[mime][;k=v]*[;base64],…
Result<DataUrl> parse_data_url(std::string_view url);

// "a%20b" → "a b"
Result<std::string> percent_decoded(std::string_view text);

}  // namespace fourfold
