#include "base/base64.h"

#include <array>
#include <cstdint>

#include "base/utf8.h"

namespace fourfold {
namespace {

constexpr std::string_view kAlphabet =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
constexpr std::int8_t kNone = -1, kBlank = -2, kPadding = -3;

// What each character stands for: its six bits, or one of the above.
constexpr std::array<std::int8_t, 256> make_values() {
  std::array<std::int8_t, 256> values = {};
  values.fill(kNone);
  for (std::size_t i = 0; i < kAlphabet.size(); ++i) {
    values[static_cast<unsigned char>(kAlphabet[i])] = static_cast<std::int8_t>(i);
  }
  values['-'] = 62;
  values['_'] = 63;
  values['='] = kPadding;
  for (const unsigned char blank : {' ', '\t', '\n', '\r'}) values[blank] = kBlank;
  return values;
}
constexpr auto kValues = make_values();

}  // namespace

std::string to_base64(std::string_view bytes) {
  std::string out;
  out.reserve((bytes.size() + 2) / 3 * 4);
  for (std::size_t at = 0; at < bytes.size(); at += 3) {
    const std::string_view group = bytes.substr(at, 3);
    std::uint32_t bits = 0;
    for (std::size_t i = 0; i < 3; ++i) {
      bits = bits << 8 | (i < group.size() ? static_cast<unsigned char>(group[i]) : 0);
    }
    for (std::size_t i = 0; i < 4; ++i) {
      out += i <= group.size() ? kAlphabet[bits >> (18 - 6 * i) & 63] : '=';
    }
  }
  return out;
}

Result<std::string> from_base64(std::string_view text) {
  std::string out;
  out.reserve(text.size() / 4 * 3 + 3);
  std::uint32_t bits = 0;
  std::size_t n_digits = 0, n_padding = 0;
  for (std::size_t at = 0; at < text.size(); ++at) {
    const std::int8_t value = kValues[static_cast<unsigned char>(text[at])];
    if (value == kBlank) continue;
    if (value == kPadding) {
      ++n_padding;
      continue;
    }
    if (value == kNone || n_padding > 0) {
      return invalid_argument("character {}: {} is not base64", at, printable(text.substr(at, 1)));
    }
    bits = bits << 6 | static_cast<std::uint32_t>(value);
    ++n_digits;
    const std::size_t n_bits = n_digits % 4 * 6;  // of this group
    if (n_bits != 6) out += static_cast<char>(bits >> (n_bits == 0 ? 0 : n_bits == 12 ? 4 : 2));
  }
  if (n_digits % 4 == 1) {
    return invalid_argument("character {}: one character is missing at the end of the base64",
                            text.size());
  }
  if (n_padding > 0 && (n_padding > 2 || (n_digits + n_padding) % 4 != 0)) {
    return invalid_argument("character {}: the padding of the base64 does not fit its length",
                            text.size());
  }
  return out;
}

}  // namespace fourfold
