#include "grammar/regex_pattern.h"

#include <gtest/gtest.h>

namespace fourfold {
namespace {

struct Rewritten {
  const char *pattern, *raw, *json;
};

class Rewriting : public testing::TestWithParam<Rewritten> {};

TEST_P(Rewriting, SpellsThePatternForEachForm) {
  const auto pattern = RegexPattern::parse(GetParam().pattern, RegexPattern::Search::No);
  ASSERT_TRUE(pattern.ok()) << pattern.error().message;
  EXPECT_EQ(pattern->terminal(TextForm::Raw), GetParam().raw);
  EXPECT_EQ(pattern->terminal(TextForm::Json), GetParam().json);
}

INSTANTIATE_TEST_SUITE_P(
    Patterns, Rewriting,
    testing::Values(Rewritten{"ab", "/ab/", "/ab/"}, Rewritten{"^a$", "/a/", "/a/"},
                    Rewritten{"\\d{2,3}", "/(?:[0-9]){2,3}/", "/(?:[0-9]){2,3}/"},
                    Rewritten{"a|b+?", "/a|(?:b)+/", "/a|(?:b)+/"},
                    Rewritten{"(?<year>x)(?:y|z)", "/x(?:y|z)/", "/x(?:y|z)/"},
                    Rewritten{"\"", "/\\x{22}/", "/\\\\\"/"},
                    Rewritten{"\\\\", "/\\x{5C}/", "/\\\\\\\\/"},
                    Rewritten{"[\\n\\x01a]", "/[\\x{1}\\x{A}a]/", "/(?:a|\\\\n|\\\\u0001)/"}));

std::string searched(const char* text) {
  const auto pattern = RegexPattern::parse(text, RegexPattern::Search::Yes);
  EXPECT_TRUE(pattern.ok()) << pattern.error().message;
  return pattern->terminal(TextForm::Raw);
}

TEST(RegexPattern, OtherTextMayStandWhereNoAnchorIs) {
  const std::string any = "(?:[\\x{0}-\\x{10FFFF}])*";
  EXPECT_EQ(searched("ab"), "/" + any + "ab" + any + "/");
  EXPECT_EQ(searched("^ab"), "/ab" + any + "/");
  EXPECT_EQ(searched("ab$"), "/" + any + "ab/");
  EXPECT_EQ(searched("^a|b$"), "/a" + any + "|" + any + "b/");
  EXPECT_EQ(searched("(^a|b)c"), "/(?:a|" + any + "b)c" + any + "/");
  EXPECT_EQ(searched("^(?:a|b)$"), "/a|b/");
}

TEST(RegexPattern, LookAheadAtTheBeginningHoldsForTheWholeText) {
  const std::string any = "(?:[\\x{0}-\\x{10FFFF}])*";
  EXPECT_EQ(searched("^(?=a)(?!ab$)[a-c]+$"), "/(?:[a-c])+/ & /a" + any + "/ & ~/ab/");
}

TEST(RegexPattern, KnowsWhetherItMatchesNothing) {
  const auto matches_empty = [](const char* text) {
    return RegexPattern::parse(text, RegexPattern::Search::No)->matches_empty();
  };
  EXPECT_TRUE(matches_empty("a*"));
  EXPECT_TRUE(matches_empty("(a|b?)"));
  EXPECT_FALSE(matches_empty("a"));
  EXPECT_FALSE(matches_empty("(?!$)a*"));
  EXPECT_TRUE(RegexPattern::any_text(0, 3).matches_empty());
  EXPECT_FALSE(RegexPattern::any_text(1, -1).matches_empty());
}

struct Refused {
  const char *pattern, *message;
};

class Refusal : public testing::TestWithParam<Refused> {};

TEST_P(Refusal, SaysWhereAndWhat) {
  const auto pattern = RegexPattern::parse(GetParam().pattern, RegexPattern::Search::Yes);
  ASSERT_FALSE(pattern.ok());
  EXPECT_EQ(pattern.error().message, GetParam().message);
}

INSTANTIATE_TEST_SUITE_P(
    Patterns, Refusal,
    testing::Values(Refused{"(a)\\1", "offset 5: back-references are not supported"},
                    Refused{"(?<!a)b", "offset 1: look-behind is not supported"},
                    Refused{"a(?!b)", "offset 1: look-ahead is supported at the beginning only"},
                    Refused{"(?=b)a", "offset 0: look-ahead is supported at the beginning only"},
                    Refused{"a\\b", "offset 3: word borders are not supported"},
                    Refused{"(a$)b", "offset 2: an anchor is supported at the ends only"},
                    Refused{"(", "offset 1: expected )"}, Refused{")", "offset 0: unbalanced )"},
                    Refused{"[a", "offset 2: expected ]"},
                    Refused{"*", "offset 0: nothing to repeat"},
                    Refused{"^*", "offset 1: nothing to repeat"},
                    Refused{"[z-a]", "offset 4: the range is out of order"},
                    Refused{"a{9999999999}", "offset 12: a count above 2147483647"},
                    Refused{"\\ud800", "offset 6: not a character"},
                    Refused{"\\", "offset 1: expected a character after \\"},
                    Refused{"\xff", "not UTF-8"}));

TEST(LarkLiteral, EscapesWhatALiteralCannotHold) {
  EXPECT_EQ(lark_literal("a\"\\\n\x7fä"), "\"a\\\"\\\\\\u000a\\u007fä\"");
}

}  // namespace
}  // namespace fourfold
