#include "grammar/gbnf.h"

#include <gtest/gtest.h>

namespace fourfold {
namespace {

TEST(Gbnf, IsKnownByItsDefinitions) {
  EXPECT_TRUE(is_gbnf("root ::= \"a\""));
  EXPECT_FALSE(is_gbnf("start: \"root ::= a\""));
  EXPECT_FALSE(is_gbnf("start: \"\\\" ::=\""));
}

TEST(Gbnf, EveryCharacterBecomesATerminalOfItsOwn) {
  const auto lark = lark_from_gbnf("root ::= \"ab\" [a-c] other*\nother ::= . | \"\"");
  ASSERT_TRUE(lark.ok()) << lark.error().message;
  EXPECT_EQ(*lark, "start: g2\ng1: /[^\\n]/ | \"\"\ng2: (\"a\" \"b\") /[a-c]/ g1*\n");
}

struct Mistake {
  const char *text, *message;
};

class GbnfMistake : public testing::TestWithParam<Mistake> {};

TEST_P(GbnfMistake, IsToldWithItsLine) {
  const auto lark = lark_from_gbnf(GetParam().text);
  ASSERT_FALSE(lark.ok());
  EXPECT_EQ(lark.error().message, GetParam().message);
}

INSTANTIATE_TEST_SUITE_P(
    Mistakes, GbnfMistake,
    testing::Values(Mistake{"", "the grammar has no rule named root"},
                    Mistake{"root ::= a", "line 1: no rule is named a"},
                    Mistake{"root ::= \"a\"\nroot ::= \"b\"", "line 2: root is defined twice"},
                    Mistake{"root ::= \"a", "line 1: the string does not end"},
                    Mistake{"root ::= [a", "line 1: the class does not end"},
                    Mistake{"root ::= (\"a\"", "line 1: expected )"},
                    Mistake{"root = \"a\"", "line 1: expected ::="},
                    Mistake{"root ::= \"\\uD800\"", "line 1: not a character"},
                    Mistake{"root ::= \"a\"{x}", "line 1: expected {m,n}"},
                    Mistake{"\nroot ::= ?",
                            "line 2: expected a string, a class, a group or a name"}));

TEST(Lark, TokensAreFoundOutsideOfStringsOnly) {
  EXPECT_TRUE(check_names_no_tokens("start: \"<a>\" /<b>/ // <c>\n# <d>\n").ok());
  const auto status = check_names_no_tokens("start: a\na: <[48]>");
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error().message, "line 2: control tokens cannot be part of an answer");
}

}  // namespace
}  // namespace fourfold
