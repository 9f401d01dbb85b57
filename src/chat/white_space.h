// White space as Python's str.strip() sees it, at which prompts and answers are trimmed.
#pragma once

#include <string_view>

#include "base/code_point.h"

namespace fourfold {

inline bool is_white_space(char32_t c) {
  return (c >= 0x09 && c <= 0x0D) || (c >= 0x1C && c <= 0x20) || c == 0x85 || c == 0xA0 ||
         c == 0x1680 || (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 || c == 0x202F ||
         c == 0x205F || c == 0x3000;
}

inline std::string_view trim_start(std::string_view text) {
  while (!text.empty()) {
    const CodePoint first = first_code_point(text);
    if (!is_white_space(first.code)) break;
    text.remove_prefix(first.size_bytes);
  }
  return text;
}

inline std::string_view trim_end(std::string_view text) {
  while (!text.empty()) {
    std::size_t n_bytes = 1;  // of the last character
    while (n_bytes < 4 && n_bytes < text.size() &&
           (static_cast<unsigned char>(text[text.size() - n_bytes]) & 0xC0) == 0x80) {
      ++n_bytes;
    }
    const CodePoint last = first_code_point(text.substr(text.size() - n_bytes));
    if (last.size_bytes != n_bytes || !is_white_space(last.code)) break;
    text.remove_suffix(n_bytes);
  }
  return text;
}

}  // namespace fourfold
