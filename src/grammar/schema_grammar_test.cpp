#include "grammar/schema_grammar.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace fourfold {
namespace {

using testing::HasSubstr;
using testing::Not;

JsonValue json(std::string_view text) {
  auto value = parse_json_value(text);
  EXPECT_TRUE(value.ok()) << text;
  return std::move(value).value();
}

std::string json_source(std::string_view schema) {
  SchemaGrammar grammar({.notation = Notation::Json});
  const auto value = grammar.value(json(schema), "$");
  EXPECT_TRUE(value.ok()) << value.error().message;
  return grammar.source("start: " + *value);
}

TEST(SchemaGrammar, KeysOfCallsStandRawOnlyIfTheyReadBack) {
  for (const char* const key :
       {"city", "max-results", "user.name", "$filter", "a b", "ключ", "9"}) {
    EXPECT_TRUE(reads_back_raw(key)) << key;
  }
  for (const char* const key :
       {"", " a", "a ", "a:b", "a=b", "a,b", "a\"", "a{", "a]", "a(", "'a"}) {
    EXPECT_FALSE(reads_back_raw(key)) << key;
  }
}

TEST(SchemaGrammar, EqualPartsHaveOneRule) {
  const auto source =
      json_source(R"({"type":"object","properties":{"a":{"enum":["x"]},"b":{"enum":["x"]}}})");
  const auto first = source.find("\\\"x\\\"");
  ASSERT_NE(first, std::string::npos) << source;
  EXPECT_EQ(source.find("\\\"x\\\"", first + 1), std::string::npos) << source;
}

TEST(SchemaGrammar, StringsOfCallsStandBetweenTheDelimiter) {
  SchemaGrammar grammar({.notation = Notation::Call, .quote = 52});
  const auto value = grammar.value(json(R"({"type":"string"})"), "$");
  ASSERT_TRUE(value.ok());
  EXPECT_THAT(grammar.source(""), HasSubstr("<[52]> T0? <[52]>"));
}

TEST(SchemaGrammar, ErrorsNameThePlaceInDefinitions) {
  SchemaGrammar grammar({.notation = Notation::Json});
  const auto value = grammar.value(
      json(R"({"type":"array","items":{"$ref":"#/$defs/x"},"$defs":{"x":{"not":{}}}})"), "$");
  ASSERT_FALSE(value.ok());
  EXPECT_EQ(value.error().message, "$.$defs.x: \"not\" is not supported");
}

TEST(SchemaGrammar, AnnotationsAreNoConstraints) {
  EXPECT_EQ(json_source(R"({"type":"integer","title":"t","description":"d","default":1,
                            "examples":[1],"x-order":3,"$comment":"c","deprecated":true})"),
            json_source(R"({"type":"integer"})"));
}

TEST(SchemaGrammar, SchemasThatNestWithoutEndAreRefused) {
  std::string text = R"({"type":"integer"})";
  for (int i = 0; i < 100; ++i) text = R"({"type":"array","items":)" + text + "}";
  SchemaGrammar grammar({.notation = Notation::Json});
  const auto schema = parse_json_value(text, {.max_depth = 500});
  ASSERT_TRUE(schema.ok());
  const auto value = grammar.value(*schema, "$");
  ASSERT_FALSE(value.ok());
  EXPECT_THAT(value.error().message, HasSubstr("nests too deep"));
}

TEST(SchemaGrammar, AlternativesThatContradictTheirSurroundingsAreLeftOut) {
  const auto source =
      json_source(R"({"type":"string","anyOf":[{"type":"integer"},{"maxLength":3}]})");
  EXPECT_THAT(source, HasSubstr("{0,3}"));
  EXPECT_THAT(source, Not(HasSubstr("-?(?:0|")));
  SchemaGrammar grammar({.notation = Notation::Json});
  EXPECT_FALSE(grammar.value(json(R"({"type":"string","anyOf":[{"type":"integer"}]})"), "$").ok());
}

}  // namespace
}  // namespace fourfold
