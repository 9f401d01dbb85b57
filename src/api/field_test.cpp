#include "api/field.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace fourfold {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

template <class T>
void expect_refused(const Result<T>& result, std::string_view message, std::string_view field) {
  ASSERT_FALSE(result.ok());
  EXPECT_EQ(result.error().code, Code::InvalidArgument);
  EXPECT_THAT(result.error().message, HasSubstr(std::string(message)));
  ASSERT_TRUE(result.error().detail);
  EXPECT_EQ(result.error().detail->field, field);
}

TEST(Field, SaysWhereAnErrorIs) {
  const auto json = *parse_json_value(R"({"a":{"b":[1,{"c":"x","d":5}]},"e":[],"t":true})");
  const Field body(&json, "");
  const auto list = *body["a"]["b"].list();
  ASSERT_EQ(list.size(), 2u);
  expect_refused(list[1]["c"].number(0, 1), "a.b[1].c: expected a number, not \"x\"", "a.b[1].c");
  expect_refused(list[1]["d"].number(0, 1), "a.b[1].d: 5 is out of range (expected 0 to 1)",
                 "a.b[1].d");
  expect_refused(list[1]["d"].string(), "expected a string, not a number", "a.b[1].d");
  expect_refused(list[1]["z"].string(), "a.b[1].z: missing", "a.b[1].z");
  expect_refused(body["e"].boolean(), "e: expected true or false, not a list", "e");
  expect_refused(body["t"].list(), "t: expected a list, not a boolean", "t");
  expect_refused(body["t"].strings(), "t: expected a list", "t");
  expect_refused(body["t"].require_object(), "t: expected an object", "t");
  const Field text(&json.find("t")[0], "");
  expect_refused(text.require_object(), "request body: expected an object, not a boolean", "");
}

TEST(Field, TakesNullForAbsent) {
  const auto json = *parse_json_value(R"({"a":null})");
  const Field body(&json, "");
  EXPECT_TRUE(body["a"].absent() && body["b"].absent() && body["b"]["c"].absent());
  EXPECT_EQ(*body["a"].optional_string(), std::nullopt);
  EXPECT_EQ(*body["a"].optional_number(0, 1), std::nullopt);
  EXPECT_EQ(*body["a"].optional_integer(0, 1), std::nullopt);
  EXPECT_EQ(*body["a"].optional_boolean(), std::nullopt);
  EXPECT_TRUE(*body["a"].boolean_or(true));
  EXPECT_TRUE(body["a"].list()->empty());
  EXPECT_TRUE(body["a"].strings()->empty());
  EXPECT_FALSE(body["a"].require_object().ok());
}

TEST(Field, IntegersMayBeSpelledAsDoubles) {
  const auto json = *parse_json_value(R"([5, 5.0, 5e0, 5.5, 1e300, 9007199254740993, "5"])");
  const auto items = *Field(&json, "x").list();
  for (int i = 0; i < 3; ++i) EXPECT_EQ(*items[i].integer(0, 10), 5);
  expect_refused(items[3].integer(0, 10), "x[3]: expected an integer, not 5.5", "x[3]");
  expect_refused(items[4].integer(0, 10), "x[4]: expected an integer", "x[4]");
  EXPECT_EQ(*items[5].integer(0, INT64_MAX), 9007199254740993);
  expect_refused(items[6].integer(0, 10), "expected an integer, not \"5\"", "x[6]");
}

TEST(Field, CamelAndSnakeAreOneInGemini) {
  const auto json = *parse_json_value(
      R"({"top_p":0.5,"sizeBytes":"10","size_bytes":11,"minItems":null,"min_items":"3"})");
  const Field body(&json, "c", Spelling::CamelOrSnake);
  EXPECT_EQ(*body["topP"].number(0, 1), 0.5);
  EXPECT_EQ(body["topP"].path(), "c.top_p");
  EXPECT_EQ(*body["sizeBytes"].integer(0, 100), 10);
  EXPECT_EQ(*body["minItems"].integer(0, 100), 3);
  EXPECT_TRUE(body["topK"].absent());
  EXPECT_EQ(body["topK"].path(), "c.topK");
  const Field exact(&json, "");
  EXPECT_TRUE(exact["topP"].absent());
}

TEST(Field, FirstOfTakesTheFirstThatIsThere) {
  const auto json = *parse_json_value(R"({"a":null,"b":1,"c":2})");
  const Field body(&json, "");
  EXPECT_EQ(body.first_of({"a", "b", "c"}).path(), "b");
  EXPECT_EQ(body.first_of({"x", "y"}).path(), "x");
}

TEST(Field, StringsAreOneOrAList) {
  const auto json = *parse_json_value(R"({"a":"x","b":["x","y"],"c":[1]})");
  const Field body(&json, "");
  EXPECT_THAT(*body["a"].strings(), ElementsAre("x"));
  EXPECT_THAT(*body["b"].strings(), ElementsAre("x", "y"));
  expect_refused(body["c"].strings(), "c[0]: expected a string", "c[0]");
}

}  // namespace
}  // namespace fourfold
