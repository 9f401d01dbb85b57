#include "grammar/value_tracker.h"

#include <gtest/gtest.h>

namespace fourfold {
namespace {

bool in_value_after(std::string_view text) {
  ValueTracker tracker(Notation::Json);
  tracker.add(text);
  return tracker.in_string_value();
}

TEST(ValueTracker, TellsValuesFromKeysAndSyntax) {
  EXPECT_TRUE(in_value_after("\"x"));
  EXPECT_TRUE(in_value_after("{\"a\": \"x"));
  EXPECT_TRUE(in_value_after("[\"a\",\"x"));
  EXPECT_TRUE(in_value_after("{\"a\":[1,\"x"));
  EXPECT_TRUE(in_value_after("{\"a\":{\"b\":1},\"c\":\"{\\\"x"));
  EXPECT_FALSE(in_value_after("{\"a"));
  EXPECT_FALSE(in_value_after("{\"a\":\"x\""));
  EXPECT_FALSE(in_value_after("{\"a\":[1],\"b"));
  EXPECT_FALSE(in_value_after("[{\"a\":1},{\"b"));
}

TEST(ValueTracker, KnowsWhetherATokenLeavesTheString) {
  ValueTracker tracker(Notation::Json);
  tracker.add("\"x");
  EXPECT_TRUE(tracker.stays_in_string("yz"));
  EXPECT_TRUE(tracker.stays_in_string("\\\"y"));
  EXPECT_FALSE(tracker.stays_in_string("y\""));
  tracker.add("\\");
  EXPECT_TRUE(tracker.stays_in_string("\"y"));
  EXPECT_FALSE(tracker.stays_in_string("\\\""));
}

TEST(ValueTracker, StringsOfCallsStandBetweenDelimiters) {
  ValueTracker tracker(Notation::Call);
  tracker.add("call:f{a:");
  tracker.add_quote();
  tracker.add("\"{,");
  EXPECT_TRUE(tracker.in_string_value());
  tracker.add_quote();
  tracker.add(",");
  tracker.add_quote();
  EXPECT_FALSE(tracker.in_string_value()) << "a key between delimiters";
  tracker.add_quote();
  tracker.add(":[1,");
  tracker.add_quote();
  EXPECT_TRUE(tracker.in_string_value());
  tracker.reset();
  EXPECT_FALSE(tracker.in_string_value());
}

}  // namespace
}  // namespace fourfold
