// Well-formedness of UTF-8 (RFC 3629), and strings from outside made safe to print.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace fourfold {

// Bytes of the well-formed sequence that `text` begins with; 0 when there is none.
inline std::size_t utf8_sequence_length(std::string_view text) {
  if (text.empty()) return 0;
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char lead = byte(0);
  if (lead < 0x80) return 1;
  const std::size_t length = lead < 0xC2   ? 0
                             : lead < 0xE0 ? 2
                             : lead < 0xF0 ? 3
                             : lead < 0xF5 ? 4
                                           : 0;
  if (length == 0 || text.size() < length) return 0;
  for (std::size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xC0) != 0x80) return 0;
  }
  // Overlong forms, surrogates, and what lies above U+10FFFF.
  if (lead == 0xE0 && byte(1) < 0xA0) return 0;
  if (lead == 0xED && byte(1) > 0x9F) return 0;
  if (lead == 0xF0 && byte(1) < 0x90) return 0;
  if (lead == 0xF4 && byte(1) > 0x8F) return 0;
  return length;
}

inline bool is_utf8(std::string_view text) {
  while (!text.empty()) {
    const std::size_t length = utf8_sequence_length(text);
    if (length == 0) return false;
    text.remove_prefix(length);
  }
  return true;
}

// C0, DEL and C1: what a terminal may obey.
inline bool is_control(std::string_view sequence) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(sequence[i]); };
  if (sequence.size() == 1) return byte(0) < 0x20 || byte(0) == 0x7F;
  return sequence.size() == 2 && byte(0) == 0xC2 && byte(1) < 0xA0;
}

inline bool has_control_character(std::string_view text) {
  while (!text.empty()) {
    const std::size_t well_formed = utf8_sequence_length(text);
    const std::size_t length = well_formed == 0 ? 1 : well_formed;
    if (is_control(text.substr(0, length))) return true;
    text.remove_prefix(length);
  }
  return false;
}

// `text` in quotes for a message: controls and malformed bytes as \xNN, cut after `max_bytes`.
inline std::string printable(std::string_view text, std::size_t max_bytes = 80) {
  constexpr char kHex[] = "0123456789abcdef";
  std::string out = "\"";
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t well_formed = utf8_sequence_length(text.substr(at));
    const std::string_view sequence = text.substr(at, well_formed == 0 ? 1 : well_formed);
    if (at + sequence.size() > max_bytes) {
      out += "…";
      break;
    }
    if (well_formed == 0 || is_control(sequence)) {
      for (const char c : sequence) {
        const auto byte = static_cast<unsigned char>(c);
        out += {'\\', 'x', kHex[byte >> 4], kHex[byte & 15]};
      }
    } else {
      if (sequence == "\"" || sequence == "\\") out += '\\';
      out += sequence;
    }
    at += sequence.size();
  }
  return out += '"';
}

}  // namespace fourfold
