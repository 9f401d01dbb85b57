#include "base/random.h"

#include <unistd.h>

#include <chrono>

namespace fourfold {
namespace {

std::uint32_t high_word(std::uint64_t value) { return static_cast<std::uint32_t>(value >> 32); }
std::uint32_t low_word(std::uint64_t value) { return static_cast<std::uint32_t>(value); }

}  // namespace

std::array<std::uint32_t, 4> philox4x32(std::array<std::uint32_t, 4> counter,
                                        std::array<std::uint32_t, 2> key) {
  for (int round = 0; round < 10; ++round) {
    const std::uint64_t a = 0xD2511F53ull * counter[0];
    const std::uint64_t b = 0xCD9E8D57ull * counter[2];
    counter = {high_word(b) ^ counter[1] ^ key[0], low_word(b), high_word(a) ^ counter[3] ^ key[1],
               low_word(a)};
    key[0] += 0x9E3779B9;
    key[1] += 0xBB67AE85;
  }
  return counter;
}

double uniform(std::uint64_t seed, std::uint64_t position, std::uint64_t stream) {
  const auto words =
      philox4x32({low_word(position), high_word(position), low_word(stream), high_word(stream)},
                 {low_word(seed), high_word(seed)});
  const std::uint64_t bits = words[0] | static_cast<std::uint64_t>(words[1]) << 32;
  // 52 bits and a half: exact in f64, never 0 or 1.
  return (static_cast<double>(bits >> 12) + 0.5) * 0x1p-52;
}

std::uint64_t fresh_seed() {
  std::uint64_t seed = 0;
  if (::getentropy(&seed, sizeof seed) != 0) {
    seed = static_cast<std::uint64_t>(std::chrono::steady_clock::now().time_since_epoch().count());
  }
  return seed >> 11;
}

}  // namespace fourfold
