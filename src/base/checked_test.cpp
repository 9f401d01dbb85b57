#include "base/checked.h"

#include <gtest/gtest.h>

namespace fourfold {
namespace {

constexpr std::uint64_t kMax = ~std::uint64_t{0};

TEST(Checked, AddRefusesOverflow) {
  EXPECT_EQ(checked_add(kMax - 1, 1), kMax);
  EXPECT_EQ(checked_add(kMax, 1), std::nullopt);
}

TEST(Checked, MulRefusesOverflow) {
  EXPECT_EQ(checked_mul(1ull << 32, (1ull << 32) - 1), kMax - (1ull << 32) + 1);
  EXPECT_EQ(checked_mul(1ull << 32, 1ull << 32), std::nullopt);
  EXPECT_EQ(checked_mul(kMax, 0), 0u);
}

TEST(Checked, RoundUpRefusesOverflow) {
  EXPECT_EQ(checked_round_up(0, 32), 0u);
  EXPECT_EQ(checked_round_up(33, 32), 64u);
  EXPECT_EQ(checked_round_up(kMax - 31, 32), kMax - 31);
  EXPECT_EQ(checked_round_up(kMax - 30, 32), std::nullopt);
}

TEST(RoundUp, GivesTheNextMultiple) {
  EXPECT_EQ(round_up(0, 64), 0);
  EXPECT_EQ(round_up(1, 64), 64);
  EXPECT_EQ(round_up(64, 64), 64);
}

}  // namespace
}  // namespace fourfold
