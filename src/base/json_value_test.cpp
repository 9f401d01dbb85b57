#include "base/json_value.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace fourfold {
namespace {

using testing::HasSubstr;

std::string round_trip(std::string_view text, const JsonReadOptions& options = {}) {
  const auto value = parse_json_value(text, options);
  return value.ok() ? to_json_text(*value) : value.error().message;
}

TEST(JsonValue, KeepsTheOrderOfKeysAndTheSpellingOfNumbers) {
  constexpr std::string_view kText =
      R"({"z":1.0,"a":-0,"big":123456789012345678901234567890,"far":1e400,"l":[1E+2,true,null]})";
  EXPECT_EQ(round_trip(kText), kText);
}

TEST(JsonValue, TakesTheLastOfDuplicateKeysAtThePlaceOfTheFirst) {
  EXPECT_EQ(round_trip(R"({"a":1,"b":2,"a":3})"), R"({"a":3,"b":2})");
}

TEST(JsonValue, SkipsWhiteSpaceAndAByteOrderMark) {
  EXPECT_EQ(round_trip("\xEF\xBB\xBF { \"a\" :\t[ ] ,\r\n\"b\": { } } "), R"({"a":[],"b":{}})");
}

TEST(JsonValue, ReadsEscapes) {
  const auto value = parse_json_value(R"("\"\\\/\b\f\n\r\t\u00e9\ud83d\ude00")");
  ASSERT_TRUE(value.ok());
  EXPECT_EQ(value->text, "\"\\/\b\f\n\r\té😀");
  EXPECT_EQ(to_json_text(*value), R"("\"\\/\b\f\n\r\té😀")");
  EXPECT_EQ(to_json_text(JsonValue::of(std::string("\x01\0", 2))), R"("\u0001\u0000")");
}

TEST(JsonValue, ReplacesHalvesOfSurrogatePairsWhenAsked) {
  constexpr std::string_view kText = R"("\ud83d \ude00 \ud83d\ud83d\ude00 \ud83d\u0041")";
  EXPECT_THAT(round_trip(kText), HasSubstr("half of a surrogate pair"));
  EXPECT_EQ(round_trip(kText, {.replace_lone_surrogates = true}),
            "\"\uFFFD \uFFFD \uFFFD😀 \uFFFDA\"");
}

struct Bad {
  std::string text;
  std::string message;
};

class BadJson : public testing::TestWithParam<Bad> {};

TEST_P(BadJson, IsRefusedWithTheOffset) {
  const auto value = parse_json_value(GetParam().text);
  ASSERT_FALSE(value.ok());
  EXPECT_THAT(value.error().message, HasSubstr(GetParam().message));
}

INSTANTIATE_TEST_SUITE_P(
    Texts, BadJson,
    testing::Values(
        Bad{"", "offset 0: expected a value"}, Bad{"{\"a\"1}", "offset 4: expected \":\""},
        Bad{"[1,]", "offset 3: expected a value"}, Bad{"[1 2]", "offset 3: expected \",\""},
        Bad{"{a:1}", "offset 1: expected a key"}, Bad{"01", "offset 1: expected the end"},
        Bad{"1.", "offset 2: expected a digit"}, Bad{"-", "offset 1: expected a digit"},
        Bad{"1e", "offset 2: expected a digit"}, Bad{"+1", "offset 0: expected a value"},
        Bad{"nul", "offset 0: expected a value"}, Bad{"\"a", "offset 2: the string has no"},
        Bad{"\"\\x\"", "offset 2: unknown escape"}, Bad{"\"\\", "offset 2: unknown escape"},
        Bad{"\"\\u12\"", "offset 3: expected four hex"},
        Bad{"\"a\nb\"", "offset 2: control characters"},
        Bad{"\"\xC3\"", "offset 1: the text is not UTF-8"}, Bad{"NaN", "offset 0"},
        Bad{std::string(200, '['), "nested too deeply"}));

TEST(JsonValue, SetsAndErasesMembersInPlace) {
  JsonValue value = *parse_json_value(R"({"a":1,"b":2})");
  value.set("a", JsonValue::of("x"));
  value.set("c", JsonValue::of(true));
  value.erase("b");
  EXPECT_EQ(to_json_text(value), R"({"a":"x","c":true})");
  EXPECT_EQ(value.find("b"), nullptr);
}

}  // namespace
}  // namespace fourfold
