// Random numbers as a function of seed and place: no generator has a state that could depend on
// what was drawn before, by whom, or in which order.
#pragma once

#include <array>
#include <cstdint>

namespace fourfold {

// Philox4x32-10 (Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3").
std::array<std::uint32_t, 4> philox4x32(std::array<std::uint32_t, 4> counter,
                                        std::array<std::uint32_t, 2> key);

// Uniform in (0, 1), both ends excluded. `stream` tells draws at one position apart.
double uniform(std::uint64_t seed, std::uint64_t position, std::uint64_t stream = 0);

// An unpredictable seed below 2^53, so that every JSON reader keeps all its digits.
std::uint64_t fresh_seed();

}  // namespace fourfold
