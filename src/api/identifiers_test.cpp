#include "api/identifiers.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

namespace fourfold {
namespace {

TEST(Identifiers, DifferAndKeepToTheirAlphabet) {
  std::set<std::string> seen;
  for (int i = 0; i < 200; ++i) {
    const auto id = random_id("chatcmpl-");
    EXPECT_THAT(id, testing::MatchesRegex("chatcmpl-[0-9A-Za-z]+"));
    EXPECT_EQ(id.size(), 9u + 24u);
    EXPECT_THAT(random_lower_id("", 12), testing::MatchesRegex("[0-9a-z]+"));
    EXPECT_TRUE(seen.insert(id).second);
  }
  EXPECT_EQ(random_lower_id("files/").size(), 6u + 12u);
  EXPECT_EQ(random_id("", 200).size(), 200u);
}

TEST(Identifiers, TimesAreRfc3339) {
  EXPECT_EQ(rfc3339(0), "1970-01-01T00:00:00Z");
  EXPECT_EQ(rfc3339(1782950400), "2026-07-02T00:00:00Z");
  EXPECT_EQ(rfc3339_ns(1782950400'000000001), "2026-07-02T00:00:00.000000001Z");
  EXPECT_EQ(rfc3339_ns(1782950400'123456789), "2026-07-02T00:00:00.123456789Z");
}

TEST(Identifiers, ReadTimes) {
  EXPECT_EQ(parse_rfc3339("1970-01-01T00:00:00Z"), 0);
  EXPECT_EQ(parse_rfc3339("2026-07-02T00:00:00Z"), 1782950400);
  EXPECT_EQ(parse_rfc3339("2026-07-02t02:00:00.123456789+02:00"), 1782950400);
  EXPECT_EQ(parse_rfc3339("2024-02-29T23:59:59-00:30"), 1709252999);
  for (const auto* text : {"", "2026", "2026-13-01T00:00:00Z", "2025-02-29T00:00:00Z",
                           "2026-07-02T00:00:00", "2026-07-02T00:00:00Zx", "2026-07-02T24:00:00Z",
                           "2026-07-02T00:00:00.Z", "2026-07-02T00:00:00+2:00"}) {
    EXPECT_EQ(parse_rfc3339(text), std::nullopt) << text;
  }
}

}  // namespace
}  // namespace fourfold
