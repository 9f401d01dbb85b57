#include "chat/tool_schema.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "chat/tool_syntax.h"

namespace fourfold {
namespace {

using testing::HasSubstr;

JsonValue mended(std::string_view declaration) {
  return mended_tool({.name = "f", .declaration = *parse_json_value(declaration)}).declaration;
}

// The only property of the parameters, mended.
std::string property(const std::string& schema, const std::string& beside = "") {
  const auto declaration =
      mended(R"({"parameters":{"type":"object","properties":{"p":)" + schema + "}" + beside + "}}");
  return to_json_text(*declaration.find("parameters")->find("properties")->find("p"));
}

struct Schema {
  std::string what, given, expected;
};

void PrintTo(const Schema& row, std::ostream* out) { *out << row.what; }

class MendedProperty : public testing::TestWithParam<Schema> {};

TEST_P(MendedProperty, IsWhatTheTemplateCanPrint) {
  EXPECT_EQ(property(GetParam().given), GetParam().expected);
}

INSTANTIATE_TEST_SUITE_P(
    Schemas, MendedProperty,
    testing::Values(
        Schema{"well-formed", R"({"type":"string","enum":["a"],"description":"d"})",
               R"({"type":"string","enum":["a"],"description":"d"})"},
        Schema{"nullable union", R"({"type":["null","integer"]})",
               R"({"type":"integer","nullable":true})"},
        Schema{"other union", R"({"type":["string","integer"],"description":"d"})",
               R"-({"type":"string","description":"d (string or integer)"})-"},
        Schema{"anyOf with null", R"({"anyOf":[{"type":"string"},{"type":"null"}],"title":"t"})",
               R"({"type":"string","title":"t","nullable":true})"},
        Schema{"anyOf of several", R"({"anyOf":[{"type":"string"},{"type":"integer"}]})",
               R"({"anyOf":[{"type":"string"},{"type":"integer"}],)"
               R"("description":"string or integer"})"},
        Schema{"lengths", R"({"type":"string","minLength":2,"description":"d"})",
               R"-({"type":"string","minLength":2,"description":"d (at least 2 characters)"})-"},
        Schema{"enum without type", R"({"enum":["a","b"]})",
               R"({"enum":["a","b"],"type":"string"})"},
        Schema{"enum of numbers", R"({"type":"integer","enum":[1,2],"default":1})",
               R"({"type":"integer","enum":[1,2],"default":1,)"
               R"("description":"one of 1, 2; default 1"})"},
        Schema{"null type and description", R"({"type":null,"description":null})", "{}"},
        Schema{"object without properties", R"({"type":"object","additionalProperties":false})",
               R"({"type":"object","additionalProperties":false,"properties":{}})"},
        Schema{
            "inside items",
            R"({"type":"array","items":{"properties":{"q":{"type":["string","null"]}}}})",
            R"({"type":"array","items":{"properties":{"q":{"type":"string","nullable":true}}}})"},
        Schema{"no object", "true", "true"},
        Schema{"unknown reference", R"({"$ref":"#/x"})", "{}"}));

TEST(MendedTool, InlinesReferencesWhoseNeighboursWin) {
  const std::string defs =
      R"(,"$defs":{"P":{"type":"object","description":"d","properties":{"x":{"type":"number"}}},)"
      R"("a/b":{"$ref":"#/$defs/P"}})";
  EXPECT_EQ(property(R"({"$ref":"#/$defs/P","description":"mine"})", defs),
            R"({"type":"object","description":"mine","properties":{"x":{"type":"number"}}})");
  EXPECT_EQ(property(R"({"$ref":"#/$defs/a~1b"})", defs),
            R"({"type":"object","description":"d","properties":{"x":{"type":"number"}}})");
}

TEST(MendedTool, CutsSchemasThatContainThemselves) {
  const std::string defs =
      R"(,"$defs":{"T":{"type":"object","properties":{"a":{"$ref":"#/$defs/T"},)"
      R"("b":{"$ref":"#/$defs/T"},"l":{"type":"array","items":{"$ref":"#/$defs/T"}}}},)"
      R"("loop":{"$ref":"#/$defs/loop"}})";
  const auto text = property(R"({"$ref":"#/$defs/T"})", defs);
  EXPECT_THAT(text, testing::Not(HasSubstr("$ref")));
  EXPECT_LT(text.size(), 1'000'000u);
  EXPECT_EQ(property(R"({"$ref":"#/$defs/loop"})", defs), "{}");
}

TEST(MendedTool, GivesParametersATypeAndDropsWhatIsNoObject) {
  EXPECT_EQ(to_json_text(
                mended(R"({"description":null,"parameters":{"properties":{}},"response":null})")),
            R"({"parameters":{"properties":{},"type":"object"}})");
  EXPECT_EQ(to_json_text(mended(R"({"parameters":{},"response":{"type":"string"}})")),
            R"({"parameters":{}})");
  EXPECT_EQ(to_json_text(mended(R"({"response":{"type":"OBJECT"}})")),
            R"({"response":{"type":"OBJECT"}})");
}

// ---- numbers ----

struct Number {
  std::string json, python;
};

class PythonNumber : public testing::TestWithParam<Number> {};

TEST_P(PythonNumber, IsWrittenAsPythonWritesIt) {
  EXPECT_EQ(python_number(GetParam().json), GetParam().python);
}

INSTANTIATE_TEST_SUITE_P(
    Numbers, PythonNumber,
    testing::Values(Number{"1", "1"}, Number{"-0", "0"}, Number{"1.0", "1.0"},
                    Number{"-0.0", "-0.0"},
                    Number{"123456789012345678901234567890", "123456789012345678901234567890"},
                    Number{"1e20", "1e+20"}, Number{"1e-07", "1e-07"}, Number{"15e-8", "1.5e-07"},
                    Number{"0.0001", "0.0001"}, Number{"0.00001", "1e-05"},
                    Number{"1e15", "1000000000000000.0"}, Number{"1e16", "1e+16"},
                    Number{"123456789.125", "123456789.125"}, Number{"0.1", "0.1"},
                    Number{"1e400", "inf"}, Number{"-1.5E400", "-inf"}, Number{"1e-400", "0.0"},
                    Number{"2.2250738585072014e-308", "2.2250738585072014e-308"},
                    Number{"1.7976931348623157e308", "1.7976931348623157e+308"}));

TEST(SortedMembers, FollowTheLowerCaseOfTheirKeys) {
  const auto object = parse_json_value(R"({"Z":1,"é":1,"aB":1,"b":1,"A":1,"a":1,"_":1})");
  std::string keys;
  for (const auto* member : sorted_members(*object)) keys += member->key + " ";
  EXPECT_EQ(keys, "_ A a aB b Z é ");
}

}  // namespace
}  // namespace fourfold
