#include "chat/loop_detector.h"

#include <gtest/gtest.h>

namespace fourfold {
namespace {

// After how many tokens of the endlessly repeated run the detector speaks; 0: not within 5000.
int tokens_until_loop(LoopDetector detector, int period) {
  for (int n = 1; n <= 5000; ++n) {
    if (detector.push(100 + n % period)) return n;
  }
  return 0;
}

TEST(LoopDetector, WaitsForManyTokensAndManyRepetitions) {
  EXPECT_EQ(tokens_until_loop(LoopDetector(), 1), 512);
  EXPECT_EQ(tokens_until_loop(LoopDetector(), 7), 512);
  EXPECT_EQ(tokens_until_loop(LoopDetector(), 64), 1024);
}

TEST(LoopDetector, LetsLongRunsAndDisabledLimitsPass) {
  EXPECT_EQ(tokens_until_loop(LoopDetector(), 65), 0);
  EXPECT_EQ(tokens_until_loop(LoopDetector({.max_period = 0}), 1), 0);
}

TEST(LoopDetector, StartsAnewAtEveryDifferentToken) {
  LoopDetector detector;
  for (int n = 0; n < 5000; ++n) EXPECT_FALSE(detector.push(n % 500 == 0 ? 7 : 8)) << n;
}

}  // namespace
}  // namespace fourfold
