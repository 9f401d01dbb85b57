// Between UTF-8 and code points.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "base/utf8.h"

namespace fourfold {

inline constexpr char32_t kEndOfUnicode = 0x110000;

struct CodePoint {
  char32_t code;  // kEndOfUnicode + byte for a byte that begins no well-formed sequence
  std::size_t size_bytes;
};

// `text` is not empty.
inline CodePoint first_code_point(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const auto tail = [&](std::size_t i) { return static_cast<char32_t>(byte(i) & 0x3F); };
  switch (utf8_sequence_length(text)) {
    case 1: return {byte(0), 1};
    case 2: return {(byte(0) & 0x1Fu) << 6 | tail(1), 2};
    case 3: return {(byte(0) & 0x0Fu) << 12 | tail(1) << 6 | tail(2), 3};
    case 4: return {(byte(0) & 0x07u) << 18 | tail(1) << 12 | tail(2) << 6 | tail(3), 4};
    default: return {kEndOfUnicode + byte(0), 1};
  }
}

inline void append_utf8(char32_t code, std::string& out) {
  const auto tail = [&](int shift) { return static_cast<char>(0x80 | (code >> shift & 0x3F)); };
  if (code < 0x80) {
    out += static_cast<char>(code);
  } else if (code < 0x800) {
    out += {static_cast<char>(0xC0 | code >> 6), tail(0)};
  } else if (code < 0x10000) {
    out += {static_cast<char>(0xE0 | code >> 12), tail(6), tail(0)};
  } else {
    out += {static_cast<char>(0xF0 | code >> 18), tail(12), tail(6), tail(0)};
  }
}

}  // namespace fourfold
