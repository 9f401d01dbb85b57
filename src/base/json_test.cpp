#include "base/json.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>

namespace fourfold {
namespace {

using testing::HasSubstr;

TEST(ParseJson, ReadsEveryKindOfValue) {
  const auto value =
      parse_json(R"( {"a": [1, -2, 1.5, true, null, "ü\u00fc\ud83d\ude00"], "b": {}} )");
  ASSERT_TRUE(value.ok()) << value.error().message;
  EXPECT_EQ(value->dump(), R"({"a":[1,-2,1.5,true,null,"üü😀"],"b":{}})");
}

TEST(ParseJson, SkipsAByteOrderMark) {
  const auto value = parse_json("\xEF\xBB\xBF[7]");
  ASSERT_TRUE(value.ok());
  EXPECT_EQ(value->dump(), "[7]");
}

TEST(ParseJson, KeepsAll64BitIntegersExact) {
  const auto value = parse_json("[18446744073709551615, -9223372036854775808, 9007199254740993]");
  ASSERT_TRUE(value.ok());
  EXPECT_EQ(value->dump(), "[18446744073709551615,-9223372036854775808,9007199254740993]");
}

TEST(ParseJson, TakesTheLastOfDuplicateKeys) {
  const auto value = parse_json(R"({"b":1,"a":2,"b":{"x":3}})");
  ASSERT_TRUE(value.ok());
  EXPECT_EQ(value->dump(), R"({"a":2,"b":{"x":3}})");
}

TEST(ParseJson, AcceptsExactlyTheAllowedDepth) {
  EXPECT_TRUE(parse_json("[[{}]]", {.max_depth = 3}).ok());
  const auto deeper = parse_json("[[{\"a\":[]}]]", {.max_depth = 3});
  ASSERT_FALSE(deeper.ok());
  EXPECT_EQ(deeper.error().message, "offset 7: nested too deeply (at most 3 levels)");
}

struct Malformed {
  const char* what;
  std::string text;
  const char* message;
};

class MalformedJson : public testing::TestWithParam<Malformed> {};

TEST_P(MalformedJson, IsRefusedWithTheOffset) {
  const auto value = parse_json(GetParam().text, {.reject_duplicate_keys = true});
  ASSERT_FALSE(value.ok());
  EXPECT_EQ(value.error().code, Code::InvalidArgument);
  EXPECT_THAT(value.error().message, HasSubstr(GetParam().message));
}

INSTANTIATE_TEST_SUITE_P(
    Texts, MalformedJson,
    testing::Values(
        Malformed{"Empty", "", "offset 0: unexpected end of input"},
        Malformed{"Unclosed", "{\"a\": [1", "offset 8: unexpected end of input"},
        Malformed{"TrailingText", "{} x", "offset 3: invalid literal"},
        Malformed{"TrailingComma", "[1,]", "offset 3: unexpected ']'"},
        Malformed{"Comment", "[1, // no\n2]", "offset 4: invalid literal"},
        Malformed{"MissingColon", "{\"key\" 1}",
                  "offset 7: unexpected number literal; expected ':'"},
        Malformed{"ControlInString", "[\"a\nb\"]", "offset 3: invalid string: control character"},
        Malformed{"BadUtf8", "[\"\xff\"]", "offset 2: invalid string: ill-formed UTF-8 byte"},
        Malformed{"OverlongUtf8", "[\"\xc0\x80\"]",
                  "offset 2: invalid string: ill-formed UTF-8 byte"},
        Malformed{"LoneSurrogate", "[\"\\ud800\"]", "offset 8: invalid string: surrogate"},
        Malformed{"HugeNumber", "[1e999]", "number outside the range of a double"},
        Malformed{"BigInteger", "[5, 18446744073709551616]", "offset 4: integer beyond 64 bits"},
        Malformed{"BigIntegerAlone", "18446744073709551616", "offset 0: integer beyond 64 bits"},
        Malformed{"DuplicateKey", "{\"a\":1,\"a\":2}", "offset 10: duplicate key \"a\""},
        Malformed{"DuplicateLongKey", "{\"\\u001b[2J\":1,\"\\u001b[2J\":2}",
                  "duplicate key \"\\x1b[2J\""}),
    [](const auto& row) { return row.param.what; });

TEST(ParseJson, MessageDoesNotRepeatTheUsersText) {
  const auto value = parse_json("[\"" + std::string(100000, 'a') + "\x1b");
  ASSERT_FALSE(value.ok());
  EXPECT_LT(value.error().message.size(), 200u);
}

}  // namespace
}  // namespace fourfold
