// For tests: the generator and the checksum of the format's published test vectors
// (formats.md 2.5).
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace fourfold {

class TestVectorGenerator {
 public:
  explicit TestVectorGenerator(std::uint32_t seed) : state_(seed) {}

  std::uint32_t next() { return state_ = state_ * 1664525u + 1013904223u; }

 private:
  std::uint32_t state_;
};

// The zlib/IEEE checksum.
inline std::uint32_t crc32(std::span<const std::byte> bytes) {
  std::uint32_t crc = 0xFFFFFFFFu;
  for (const std::byte byte : bytes) {
    crc ^= static_cast<std::uint32_t>(byte);
    for (int bit = 0; bit < 8; ++bit) crc = crc >> 1 ^ (crc & 1 ? 0xEDB88320u : 0u);
  }
  return ~crc;
}

inline std::uint32_t crc32(std::span<const float> values) { return crc32(std::as_bytes(values)); }

}  // namespace fourfold
