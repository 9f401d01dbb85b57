#include "base/data_url.h"

#include <charconv>

#include "base/base64.h"
#include "base/letter_case.h"

namespace fourfold {

bool is_data_url(std::string_view url) { return to_lower(url.substr(0, 5)) == "data:"; }

Result<DataUrl> parse_data_url(std::string_view url) {
  if (!is_data_url(url)) return invalid_argument("expected a data: URL");
  const auto comma = url.find(',');
  if (comma == url.npos) return invalid_argument("expected a comma after the type of a data: URL");
  std::string head = to_lower(url.substr(5, comma - 5));
  const std::string_view content = url.substr(comma + 1);
  const bool is_base64 = head.ends_with(";base64") || head == "base64";
  DataUrl out;
  out.mime = head.substr(0, head.find(';'));
  const bool may_be_escaped = is_base64 && content.find('%') != content.npos;
  const std::string plain =
      is_base64 && !may_be_escaped ? std::string(content) : TRY(percent_decoded(content));
  out.bytes = is_base64 ? TRY(from_base64(plain)) : plain;
  return out;
}

Result<std::string> percent_decoded(std::string_view text) {
  std::string out;
  for (std::size_t at = 0; at < text.size(); ++at) {
    if (text[at] != '%') {
      out += text[at];
      continue;
    }
    unsigned value = 0;
    const char* begin = text.data() + at + 1;
    const bool is_whole =
        at + 2 < text.size() && std::from_chars(begin, begin + 2, value, 16).ptr == begin + 2;
    if (!is_whole) return invalid_argument("expected two hexadecimal digits after %");
    out += static_cast<char>(value);
    at += 2;
  }
  return out;
}

}  // namespace fourfold
