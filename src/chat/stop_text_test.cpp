#include "chat/stop_text.h"

#include <gtest/gtest.h>

namespace fourfold {
namespace {

TEST(StopText, ShowsNothingFromTheStopTextOn) {
  StopText stop({"END", "never"});
  EXPECT_EQ(stop.push("abc END def"), "abc ");
  EXPECT_TRUE(stop.is_met());
  EXPECT_EQ(stop.push("more"), "");
  EXPECT_EQ(stop.finish(), "");
}

TEST(StopText, HoldsBackOnlyWhatMayBecomeOne) {
  StopText stop({"aab"});
  EXPECT_EQ(stop.push("xa"), "x");
  EXPECT_EQ(stop.push("a"), "");
  EXPECT_EQ(stop.push("a"), "a");
  EXPECT_EQ(stop.push("c"), "aac");
  EXPECT_EQ(stop.push("aa"), "");
  EXPECT_EQ(stop.finish(), "aa");
  EXPECT_FALSE(stop.is_met());
}

TEST(StopText, TakesTheOneThatBeginsFirst) {
  StopText stop({"d", "bcd"});
  EXPECT_EQ(stop.push("abcd"), "a");
}

TEST(StopText, WithoutStopsShowsAllAtOnce) {
  StopText stop({""});
  EXPECT_EQ(stop.push("abc"), "abc");
}

}  // namespace
}  // namespace fourfold
