#include "api/openai_tools.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace fourfold {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using Mode = ToolChoice::Mode;

JsonValue json(std::string_view text) {
  auto value = parse_json_value(text);
  EXPECT_TRUE(value.ok()) << text;
  return value.ok() ? *value : JsonValue::null();
}

Result<DeclaredTools> tools_of(std::string_view text) {
  const JsonValue list = json(text);
  return read_openai_tools(Field(&list, "tools"));
}

std::vector<std::string> names_of(const DeclaredTools& declared) {
  std::vector<std::string> names;
  for (const auto& tool : declared.tools) names.push_back(tool.name);
  return names;
}

TEST(OpenAiTools, ReadsNestedAndFlatFunctions) {
  const auto declared =
      tools_of(R"([{"type":"function","function":{"name":"f","description":"d","strict":true,)"
               R"("parameters":{"type":"object","properties":{"a":{"type":"string"}}}}},)"
               R"({"type":"function","name":"g"}])");
  ASSERT_TRUE(declared.ok()) << declared.error().message;
  EXPECT_THAT(names_of(*declared), ElementsAre("f", "g"));
  EXPECT_TRUE(declared->tools[0].strict);
  EXPECT_FALSE(declared->tools[1].strict);
  EXPECT_EQ(to_json_text(declared->tools[0].declaration),
            R"({"name":"f","description":"d","parameters":)"
            R"({"type":"object","properties":{"a":{"type":"string"}}}})");
}

// R3: however it is spelled, a tool without parameters is one and the same.
TEST(OpenAiTools, ToolsWithoutParametersAreOne) {
  for (const auto* parameters :
       {"null", "{}", R"({"type":"object"})", R"({"type":"object","properties":{}})",
        R"({"type":"object","properties":null,"required":[],"additionalProperties":false})",
        R"({"$schema":"x","title":"T","type":"object","properties":{}})"}) {
    const auto declared = tools_of(std::string(R"([{"type":"function","function":{"name":"f",)") +
                                   R"("parameters":)" + parameters + "}}]");
    ASSERT_TRUE(declared.ok()) << parameters;
    EXPECT_EQ(to_json_text(declared->tools[0].declaration), R"({"name":"f"})") << parameters;
  }
}

TEST(OpenAiTools, LeavesOutHostedToolsAndSaysSo) {
  const auto declared = tools_of(
      R"([{"type":"web_search"},{"type":"function","name":"f"},{"type":"mcp","server_label":"x"}])");
  ASSERT_TRUE(declared.ok());
  EXPECT_THAT(names_of(*declared), ElementsAre("f"));
  EXPECT_THAT(declared->warnings, ElementsAre(HasSubstr("web_search"), HasSubstr("mcp")));
}

// R4: equal names in two namespaces, and the way back by the table.
TEST(OpenAiTools, JoinsNamespaces) {
  const auto declared = tools_of(
      R"([{"type":"namespace","name":"mcp__a","description":"A.","tools":[)"
      R"({"type":"function","name":"get","description":"Gets."},{"type":"custom","name":"raw"}]},)"
      R"({"type":"namespace","name":"b_","tools":[{"type":"function","name":"get"}]},)"
      R"({"type":"namespace","name":"empty","tools":[]}])");
  ASSERT_TRUE(declared.ok()) << declared.error().message;
  EXPECT_THAT(names_of(*declared), ElementsAre("mcp__a__get", "mcp__a__raw", "b_get"));
  EXPECT_EQ(declared->tools[0].declaration.find("description")->text, "A.\nGets.");
  const ClientTool* tool = declared->names.find("mcp__a__get");
  ASSERT_TRUE(tool);
  EXPECT_EQ(tool->name_space, "mcp__a");
  EXPECT_EQ(tool->name, "get");
  EXPECT_FALSE(tool->is_custom);
  EXPECT_TRUE(declared->names.find("mcp__a__raw")->is_custom);
  EXPECT_EQ(declared->names.model_name("b_", "get"), "b_get");
  EXPECT_EQ(declared->names.model_name("", "get"), "get");
  EXPECT_EQ(declared->names.model_name("gone", "x"), "gone__x");
}

TEST(OpenAiTools, ShortensJoinedNamesTheSameWayEachTime) {
  const std::string longer(60, 'n');
  const auto text =
      R"([{"type":"function","name":"a__get"},{"type":"namespace","name":"a","tools":[)"
      R"({"type":"function","name":"get"},{"type":"function","name":"zwölf"}]},)"
      R"({"type":"namespace","name":")" +
      longer + R"(","tools":[{"type":"function","name":"get"}]}])";
  const auto declared = tools_of(text);
  ASSERT_TRUE(declared.ok()) << declared.error().message;
  ASSERT_EQ(declared->tools.size(), 4u);
  const auto names = names_of(*declared);
  EXPECT_EQ(names[0], "a__get");
  EXPECT_THAT(names[1], testing::MatchesRegex("a__get_[0-9a-f]{8}"));
  EXPECT_THAT(names[2], testing::MatchesRegex("a__zw__lf_[0-9a-f]{8}"));
  EXPECT_EQ(names[3].size(), 64u);
  EXPECT_EQ(names_of(*tools_of(text)), names);
  EXPECT_EQ(declared->names.find(names[3])->name_space, longer);
  EXPECT_EQ(declared->names.model_name("a", "get"), names[1]);
}

TEST(OpenAiTools, CustomToolsTakeOneText) {
  const auto declared = tools_of(
      R"([{"type":"custom","name":"patch","description":"Patches.","format":{"type":"grammar",)"
      R"("syntax":"regex","definition":"a|b"}},)"
      R"({"type":"custom","custom":{"name":"lark","format":{"type":"grammar","grammar":)"
      R"({"syntax":"lark","definition":"start: \"a\""}}}},{"type":"custom","name":"plain"}])");
  ASSERT_TRUE(declared.ok()) << declared.error().message;
  EXPECT_EQ(to_json_text(*declared->tools[0].declaration.find("parameters")),
            R"({"type":"object","properties":{"input":{"type":"string","pattern":"^(?:a|b)$"}},)"
            R"("required":["input"]})");
  EXPECT_THAT(declared->tools[0].declaration.find("description")->text, HasSubstr("Patches.\n"));
  EXPECT_THAT(declared->warnings, ElementsAre("tool lark: its lark grammar is not enforced"));
  EXPECT_EQ(custom_input(json(R"({"input":"x"})")), "x");
  EXPECT_EQ(custom_input(json(R"({"other":1})")), R"({"other":1})");
}

TEST(OpenAiTools, SaysOfATwiceDeclaredTool) {
  const auto declared =
      tools_of(R"([{"type":"function","name":"f"},{"type":"function","name":"f"}])");
  ASSERT_TRUE(declared.ok());
  EXPECT_THAT(names_of(*declared), ElementsAre("f"));
  EXPECT_THAT(declared->warnings, ElementsAre(HasSubstr("twice")));
}

// ---- tool choice ----

struct ChoiceCase {
  const char* choice;
  Mode mode;
  std::vector<std::string> names;
};

class OpenAiToolChoice : public testing::TestWithParam<ChoiceCase> {};

TEST_P(OpenAiToolChoice, IsReadInBothForms) {
  const auto declared =
      tools_of(R"([{"type":"function","name":"f"},{"type":"custom","name":"c"},)"
               R"({"type":"namespace","name":"n","tools":[{"type":"function","name":"f"}]}])");
  ASSERT_TRUE(declared.ok());
  const JsonValue choice = json(GetParam().choice);
  std::vector<std::string> warnings;
  const auto read = read_openai_tool_choice(Field(&choice, "tool_choice"), *declared, warnings);
  ASSERT_TRUE(read.ok()) << read.error().message;
  EXPECT_EQ(read->mode, GetParam().mode);
  EXPECT_EQ(read->names, GetParam().names);
}

INSTANTIATE_TEST_SUITE_P(
    Spellings, OpenAiToolChoice,
    testing::Values(
        ChoiceCase{"null", Mode::Auto, {}}, ChoiceCase{R"("auto")", Mode::Auto, {}},
        ChoiceCase{R"("none")", Mode::None, {}}, ChoiceCase{R"("required")", Mode::Required, {}},
        ChoiceCase{R"({"type":"function","function":{"name":"f"}})", Mode::Required, {"f"}},
        ChoiceCase{R"({"type":"function","name":"f"})", Mode::Required, {"f"}},
        ChoiceCase{R"({"type":"function","name":"f","namespace":"n"})", Mode::Required, {"n__f"}},
        ChoiceCase{R"({"type":"custom","custom":{"name":"c"}})", Mode::Required, {"c"}},
        ChoiceCase{R"({"type":"web_search"})", Mode::Auto, {}},
        ChoiceCase{R"({"type":"allowed_tools","allowed_tools":{"mode":"required","tools":[)"
                   R"({"type":"function","function":{"name":"f"}}]}})",
                   Mode::Required,
                   {"f"}},
        ChoiceCase{R"({"type":"allowed_tools","mode":"auto","tools":[{"type":"custom","name":"c"},)"
                   R"({"type":"web_search"}]})",
                   Mode::Auto,
                   {"c"}},
        ChoiceCase{R"({"type":"allowed_tools","tools":[{"type":"web_search"}]})", Mode::None, {}}));

TEST(OpenAiToolChoiceErrors, NameTheField) {
  const auto declared = tools_of(R"([{"type":"function","name":"f"}])");
  for (const auto* text : {R"("often")", "3", R"({"type":"function","name":"g"})",
                           R"({"type":"allowed_tools","mode":"auto","tools":[]})"}) {
    const JsonValue choice = json(text);
    std::vector<std::string> warnings;
    const auto read = read_openai_tool_choice(Field(&choice, "tool_choice"), *declared, warnings);
    ASSERT_FALSE(read.ok()) << text;
    EXPECT_THAT(read.error().message, testing::StartsWith("tool_choice")) << text;
  }
}

TEST(OpenAiToolChoiceErrors, RequiredWithHostedToolsAloneIsAuto) {
  const auto declared = tools_of(R"([{"type":"web_search"}])");
  const JsonValue choice = JsonValue::of("required");
  std::vector<std::string> warnings;
  const auto read = read_openai_tool_choice(Field(&choice, "tool_choice"), *declared, warnings);
  ASSERT_TRUE(read.ok());
  EXPECT_EQ(read->mode, Mode::Auto);
}

}  // namespace
}  // namespace fourfold
