#include "grammar/number_range.h"

#include <gtest/gtest.h>

#include <regex>
#include <vector>

namespace fourfold {
namespace {

Decimal decimal(std::string_view text) {
  auto value = parse_decimal(text);
  EXPECT_TRUE(value.ok()) << text;
  return std::move(value).value();
}

// A terminal is expressions joined by &, each of the whole text.
class Language {
 public:
  explicit Language(const std::string& terminal) {
    for (std::size_t at = 0; at < terminal.size();) {
      const auto end = terminal.find("/ & /", at + 1);
      const auto last = end == std::string::npos ? terminal.size() - 1 : end;
      expressions_.emplace_back(terminal.substr(at + 1, last - at - 1));
      at = end == std::string::npos ? terminal.size() : end + 4;
    }
  }
  bool contains(const std::string& text) const {
    for (const auto& expression : expressions_) {
      if (!std::regex_match(text, expression)) return false;
    }
    return !expressions_.empty();
  }

 private:
  std::vector<std::regex> expressions_;
};

const std::vector<std::string> kNumbers = {
    "0",    "0.0",   "0.5",   "0.50",  "0.05",   "0.499", "1",     "1.0",  "1.05", "1.5",
    "1.50", "2",     "9",     "9.99",  "10",     "10.0",  "10.01", "11",   "19",   "20",
    "99",   "100",   "101",   "109",   "110",    "999",   "1000",  "1203", "1204", "12030",
    "-0.5", "-0.25", "-0.26", "-1",    "-1.5",   "-9",    "-10",   "-11",  "-17",  "-18",
    "-99",  "-100",  "-1000", "0.249", "0.2500", "0.251", "5",     "55",   "555",  "5.55"};

TEST(NumberRange, HoldsExactlyTheNumbersBetweenItsBounds) {
  const std::vector<const char*> bounds = {"0",    "0.5", "0.25",  "1",   "1.5",
                                           "9",    "10",  "10.01", "100", "101",
                                           "1203", "-1",  "-17",   "-10", "-0.25"};
  for (const char* const bound : bounds) {
    for (const bool exclusive : {false, true}) {
      const NumberRange::Bound limit = {decimal(bound), exclusive};
      const Language from(number_terminal({.integer = false, .lower = limit, .upper = {}}));
      const Language to(number_terminal({.integer = false, .lower = {}, .upper = limit}));
      for (const auto& number : kNumbers) {
        const int order = compare(decimal(number), limit.value);
        EXPECT_EQ(from.contains(number), exclusive ? order > 0 : order >= 0)
            << number << " from " << bound << (exclusive ? " exclusive" : "");
        EXPECT_EQ(to.contains(number), exclusive ? order < 0 : order <= 0)
            << number << " to " << bound << (exclusive ? " exclusive" : "");
      }
    }
  }
}

TEST(NumberRange, IntegersAreExactBeyondSixtyFourBits) {
  const Language range(number_terminal({.integer = true,
                                        .lower = {{decimal("18446744073709551617"), false}},
                                        .upper = {{decimal("18446744073709551620"), true}}}));
  EXPECT_FALSE(range.contains("18446744073709551616"));
  EXPECT_TRUE(range.contains("18446744073709551617"));
  EXPECT_TRUE(range.contains("18446744073709551619"));
  EXPECT_FALSE(range.contains("18446744073709551620"));
}

TEST(NumberRange, HasNoOtherSpellings) {
  const Language number(number_terminal({.integer = false, .lower = {}, .upper = {}}));
  for (const char* const text : {"", "-", "01", "1.", ".5", "+1", "1e5", "1234567890123456789"}) {
    EXPECT_FALSE(number.contains(text)) << text;
  }
  const Language integer(number_terminal({.integer = true, .lower = {}, .upper = {}}));
  EXPECT_TRUE(integer.contains("-120"));
  EXPECT_FALSE(integer.contains("1.0"));
  const Language hundreds(
      number_terminal({.integer = true, .lower = {}, .upper = {}, .n_trailing_zeros = 2}));
  EXPECT_TRUE(hundreds.contains("1200"));
  EXPECT_TRUE(hundreds.contains("0"));
  EXPECT_FALSE(hundreds.contains("1210"));
}

struct EmptyCase {
  const char *lower, *upper;
  bool integer, exclusive, empty;
};

class EmptyRange : public testing::TestWithParam<EmptyCase> {};

TEST_P(EmptyRange, IsSeen) {
  const auto& row = GetParam();
  const NumberRange range = {.integer = row.integer,
                             .lower = {{decimal(row.lower), row.exclusive}},
                             .upper = {{decimal(row.upper), row.exclusive}}};
  EXPECT_EQ(range.is_empty(), row.empty);
}

INSTANTIATE_TEST_SUITE_P(
    Cases, EmptyRange,
    testing::Values(
        EmptyCase{"1", "2", false, false, false}, EmptyCase{"2", "1", false, false, true},
        EmptyCase{"1", "1", false, false, false}, EmptyCase{"1", "1", false, true, true},
        EmptyCase{"0.2", "0.8", true, false, true}, EmptyCase{"0.2", "1", true, false, false},
        EmptyCase{"1", "2", true, true, true}, EmptyCase{"-0.5", "0.5", true, false, false},
        EmptyCase{"-1", "0", true, true, true}, EmptyCase{"-1.5", "-1.2", true, false, true},
        EmptyCase{"9", "11", true, true, false}, EmptyCase{"-11", "-9", true, true, false},
        EmptyCase{"-1", "1", true, true, false}));

TEST(Decimal, ReadsTheSpellingsOfJson) {
  EXPECT_EQ(to_string(decimal("1.50")), "1.5");
  EXPECT_EQ(to_string(decimal("1.5e3")), "1500");
  EXPECT_EQ(to_string(decimal("-25e-3")), "-0.025");
  EXPECT_EQ(to_string(decimal("-0.0")), "0");
  EXPECT_EQ(to_string(decimal("123456789012345678901234567890")), "123456789012345678901234567890");
  for (const char* const text : {"", "x", "1e", "1e9999", "1x"}) {
    EXPECT_FALSE(parse_decimal(text).ok()) << text;
  }
}

}  // namespace
}  // namespace fourfold
