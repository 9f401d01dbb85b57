#include "base/random.h"

#include <gtest/gtest.h>

#include <cmath>
#include <set>

namespace fourfold {
namespace {

using Counter = std::array<std::uint32_t, 4>;

TEST(Philox, GivesThePublishedAnswers) {
  // Known answers of Random123.
  EXPECT_EQ(philox4x32({0, 0, 0, 0}, {0, 0}),
            (Counter{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  EXPECT_EQ(philox4x32({~0u, ~0u, ~0u, ~0u}, {~0u, ~0u}),
            (Counter{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT_EQ(philox4x32({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}),
            (Counter{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST(Uniform, DependsOnSeedPositionAndStreamOnly) {
  EXPECT_EQ(uniform(1, 2, 3), uniform(1, 2, 3));
  const std::set<double> draws = {uniform(1, 2, 3),          uniform(2, 2, 3),
                                  uniform(1, 3, 3),          uniform(1, 2, 4),
                                  uniform(1ull << 32, 2, 3), uniform(1, 2ull << 32, 3),
                                  uniform(1, 2, 3ull << 32)};
  EXPECT_EQ(draws.size(), 7u);
}

TEST(Uniform, FillsTheUnitIntervalEvenly) {
  constexpr int kDraws = 100000;
  constexpr int kBins = 20;
  int counts[kBins] = {};
  for (int i = 0; i < kDraws; ++i) {
    const double u = uniform(42, static_cast<std::uint64_t>(i));
    ASSERT_GT(u, 0.0);
    ASSERT_LT(u, 1.0);
    ++counts[static_cast<int>(u * kBins)];
  }
  double chi_square = 0.0;
  for (const int count : counts) {
    chi_square += std::pow(count - kDraws / kBins, 2) / (kDraws / kBins);
  }
  EXPECT_LT(chi_square, 43.8);  // 19 degrees of freedom, p = 0.001
}

TEST(FreshSeed, DiffersAndFitsJsonNumbers) {
  std::set<std::uint64_t> seeds;
  for (int i = 0; i < 100; ++i) {
    seeds.insert(fresh_seed());
    EXPECT_LT(*seeds.rbegin(), 1ull << 53);
  }
  EXPECT_EQ(seeds.size(), 100u);
}

}  // namespace
}  // namespace fourfold
