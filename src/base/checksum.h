// A fast 64-bit checksum that finds damaged bytes in our own files. Not for content that somebody
// may forge: that is Sha256.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

namespace fourfold {

// Every step is a bijection of its word, so one wrong word anywhere always changes the result.
inline std::uint64_t checksum64(std::span<const std::byte> bytes) {
  constexpr std::uint64_t kMultiplier = 0x9e3779b97f4a7c15;  // 2^64 / golden ratio, odd
  const auto mixed = [](std::uint64_t state, std::uint64_t word) {
    const std::uint64_t product = (state ^ word) * kMultiplier;
    return product ^ product >> 32;
  };
  // Four lanes, so that the multiplications need not wait for each other.
  std::uint64_t lanes[4] = {1, 2, 3, 4};
  std::uint64_t words[4];
  std::uint64_t result = mixed(kMultiplier, bytes.size());
  while (!bytes.empty()) {
    std::memset(words, 0, sizeof words);
    const std::size_t n = bytes.size() < sizeof words ? bytes.size() : sizeof words;
    std::memcpy(words, bytes.data(), n);
    for (int i = 0; i < 4; ++i) lanes[i] = mixed(lanes[i], words[i]);
    bytes = bytes.subspan(n);
  }
  for (const std::uint64_t lane : lanes) result = mixed(result, lane);
  return result;
}

}  // namespace fourfold
