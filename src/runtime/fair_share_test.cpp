#include "runtime/fair_share.h"

#include <gtest/gtest.h>

#include <array>

#include "runtime/step_cost.h"

namespace fourfold {
namespace {

const std::string kAnn = "ann", kBob = "bob";

TEST(FairShare, DividesRowsEquallyWhateverTheirPieces) {
  FairShare share;
  share.join(kAnn);
  share.join(kBob);
  const std::array users = {&kAnn, &kBob};
  std::map<std::string, int> rows;
  for (int i = 0; i < 10000; ++i) {
    const std::string& next = *users[share.choose(users)];
    const int n = next == kAnn ? 200 : 7;  // whole chunks against the ends of short prompts
    share.charge(next, n);
    rows[next] += n;
  }
  EXPECT_NEAR(rows[kAnn], rows[kBob], 400);
}

TEST(FairShare, ServesThoseWhoWaitWhenTheOthersHaveNoCreditEither) {
  FairShare share;
  share.join(kAnn);
  share.join(kBob);
  share.charge(kAnn, 5000);
  const std::array both = {&kBob, &kAnn};
  EXPECT_EQ(share.choose(both), 0u);
  const std::array only_ann = {&kAnn};
  EXPECT_EQ(share.choose(only_ann), 0u);
}

TEST(FairShare, ForgetsMostOfALongDebt) {
  FairShare share;
  share.join(kAnn);
  share.join(kBob);
  share.charge(kAnn, 1 << 30);
  const std::array both = {&kAnn, &kBob};
  int n_bob = 0;
  while (*both[share.choose(both)] == kBob) {
    share.charge(kBob, 64);
    ++n_bob;
    ASSERT_LT(n_bob, 100);
  }
  EXPECT_GT(n_bob, 5);
}

TEST(FairShare, BeginsAgainForAUserWhoLeft) {
  FairShare share;
  share.join(kAnn);
  share.join(kAnn);
  share.join(kBob);
  share.charge(kAnn, 600);
  share.leave(kAnn);
  const std::array both = {&kAnn, &kBob};
  EXPECT_EQ(share.choose(both), 1u);  // one of ann's is still there
  share.leave(kAnn);
  share.join(kAnn);
  share.charge(kBob, 200);
  EXPECT_EQ(share.choose(both), 0u);
}

TEST(StepCost, KeepsAStepBelowItsTime) {
  StepCost cost;
  EXPECT_EQ(cost.prefill_rows(0, 100.0, 16, 256), 16);
  cost.measure(0, 100, 100.0);  // 1 ms a row
  EXPECT_EQ(cost.prefill_rows(0, 100.0, 16, 256), 100);
  cost.measure(4, 0, 40.0);  // 10 ms an answer
  EXPECT_EQ(cost.prefill_rows(4, 100.0, 16, 256), 60);
  EXPECT_EQ(cost.prefill_rows(20, 100.0, 16, 256), 16);
  EXPECT_EQ(cost.prefill_rows(0, 1000.0, 16, 256), 256);
  EXPECT_EQ(cost.prefill_rows(0, 1000.0, 16, 8), 8);
}

TEST(StepCost, FollowsAMachineThatBecomesSlower) {
  StepCost cost;
  cost.measure(0, 100, 100.0);
  for (int i = 0; i < 50; ++i) cost.measure(0, 100, 1000.0);
  EXPECT_EQ(cost.prefill_rows(0, 1000.0, 16, 256), 100);
}

}  // namespace
}  // namespace fourfold
