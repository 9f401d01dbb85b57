// SHA-256 (FIPS 180-4), to tell files and texts apart by content.
//
//   const std::string digest = sha256_hex(text);  // "ba7816bf…"
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace fourfold {

class Sha256 {
 public:
  void update(std::span<const std::byte> bytes);
  // The digest of all that was added; the object is used up.
  std::array<std::uint8_t, 32> finish();

 private:
  static constexpr std::size_t kBlockBytes = 64;

  void compress(const std::uint8_t* block);

  // Initial value: fractional parts of the square roots of the first eight primes.
  std::array<std::uint32_t, 8> state_ = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                         0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
  std::array<std::uint8_t, kBlockBytes> held_ = {};  // of a block that is not full yet
  std::size_t n_held_ = 0;
  std::uint64_t n_bytes_ = 0;
};

// 64 lower-case hexadecimal digits.
std::string sha256_hex(std::string_view text);

}  // namespace fourfold
