#include "base/json_scanner.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <utility>

namespace fourfold {
namespace {

using testing::HasSubstr;

std::string read_string(std::string_view text, std::string* error = nullptr) {
  std::deque<std::string> unescaped;
  JsonScanner json(text, unescaped);
  const std::string value(json.read_string());
  const auto status = json.finish();
  if (error) *error = status ? "" : status.error().message;
  return value;
}

TEST(JsonScanner, ReadsStringsWithEveryEscape) {
  const std::pair<const char*, const char*> cases[] = {
      {R"("")", ""},
      {R"( "plain ▁" )", "plain ▁"},
      {R"("a\"b\\c\/\b\f\n\r\t")", "a\"b\\c/\b\f\n\r\t"},
      {R"("\u0041\u00e9\u20AC\ud83d\ude00")", "Aé€😀"},
  };
  for (const auto& [text, value] : cases) {
    std::string error;
    EXPECT_EQ(read_string(text, &error), value);
    EXPECT_EQ(error, "");
  }
}

TEST(JsonScanner, RefusesBrokenStrings) {
  for (const auto* text :
       {R"(")", R"("a)", R"("\)", R"("\x")", R"("\u12")", R"("\u12G4")", R"("\ud83d")",
        R"("\ud83dx")", R"("\ud83d\u0041")", R"("\ude00")", "\"a\nb\"", "a\""}) {
    std::string error;
    read_string(text, &error);
    EXPECT_THAT(error, HasSubstr("offset")) << text;
  }
}

TEST(JsonScanner, SkipsValuesAndGivesTheirText) {
  for (const std::string value :
       {R"({"a":[1,-2.5e3,{"b":null}],"c":"}"})", "[ ]", "{}", "true", "false", "null", "-1"}) {
    std::deque<std::string> unescaped;
    const std::string text = " " + value + " ";
    JsonScanner json(text, unescaped);
    EXPECT_EQ(json.skip_value(), value);
    EXPECT_TRUE(json.finish());
  }
}

TEST(JsonScanner, RefusesBrokenStructure) {
  for (const auto* text : {"", "[1 2]", "[1,]", "{\"a\" 1}", "{\"a\":1,}", "{a:1}", "[",
                           "{\"a\":", "]", "nul", "[1]]", "{\"a\":1 \"b\":2}", "[,1]"}) {
    std::deque<std::string> unescaped;
    JsonScanner json(text, unescaped);
    json.skip_value();
    EXPECT_FALSE(json.finish()) << text;
  }
}

TEST(JsonScanner, LimitsTheDepth) {
  for (const int depth : {JsonScanner::kMaxDepth, JsonScanner::kMaxDepth + 1, 1000000}) {
    std::deque<std::string> unescaped;
    const std::string text = std::string(depth, '[') + std::string(depth, ']');
    JsonScanner json(text, unescaped);
    json.skip_value();
    EXPECT_EQ(json.finish().ok(), depth <= JsonScanner::kMaxDepth);
  }
}

TEST(JsonScanner, ReadsMembersInOrderAndRemembersTheFirstError) {
  std::deque<std::string> unescaped;
  JsonScanner json(R"({"n":-12,"b":true,"list":["x","y"],"n2":"no"})", unescaped);
  std::int64_t n = 0;
  bool b = false;
  std::string list;
  json.begin_object();
  while (const auto key = json.next_key()) {
    if (*key == "n" || *key == "n2") n += json.read_integer();
    if (*key == "b") b = json.read_bool();
    if (*key != "list") continue;
    json.begin_array();
    while (json.next_element()) list += json.read_string();
  }
  EXPECT_EQ(n, -12);
  EXPECT_TRUE(b);
  EXPECT_EQ(list, "xy");
  EXPECT_TRUE(json.failed());
  EXPECT_THAT(json.finish().error().message, HasSubstr("offset 40: integer expected"));
}

}  // namespace
}  // namespace fourfold
