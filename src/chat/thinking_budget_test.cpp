#include "chat/thinking_budget.h"

#include <gtest/gtest.h>

namespace fourfold {
namespace {

struct Case {
  std::string what;
  Thinking thinking;
  std::int64_t room, expected;
};

void PrintTo(const Case& row, std::ostream* out) { *out << row.what; }

class ThinkingBudget : public testing::TestWithParam<Case> {};

TEST_P(ThinkingBudget, LeavesRoomForAnAnswer) {
  EXPECT_EQ(thinking_budget(GetParam().thinking, GetParam().room), GetParam().expected);
}

using Level = Thinking::Level;

INSTANTIATE_TEST_SUITE_P(
    Rooms, ThinkingBudget,
    testing::Values(
        Case{"off", {.on = false, .budget_tokens = 100}, 100000, 0},
        Case{"ample", {.on = true}, 100000, 24576},
        Case{"low", {.on = true, .level = Level::Low}, 100000, 1024},
        Case{"medium", {.on = true, .level = Level::Medium}, 100000, 8192},
        Case{"own", {.on = true, .budget_tokens = 50000}, 100000, 50000},
        Case{"own wins", {.on = true, .budget_tokens = 9, .level = Level::High}, 9999, 9},
        Case{"reserve of 1024", {.on = true}, 8192, 8192 - 1024},
        Case{"reserve of a quarter", {.on = true}, 1000, 750},
        Case{"reserve of 64", {.on = true}, 200, 136}, Case{"least room", {.on = true}, 128, 64},
        Case{"no room", {.on = true}, 127, 0}));

}  // namespace
}  // namespace fourfold
