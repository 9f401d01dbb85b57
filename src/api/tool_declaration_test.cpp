#include "api/tool_declaration.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace fourfold {
namespace {

using testing::HasSubstr;

Result<Tool> declared(const JsonValue& json) {
  const Field field(&json, "tools[0]");
  return make_tool({.name = TRY(read_tool_name(field["name"], kToolNames)),
                    .description = field["description"],
                    .parameters = field["parameters"],
                    .response = field["response"]});
}

TEST(ToolDeclaration, ToolsWithoutParametersAreOneTool) {
  for (const auto* text :
       {R"({"name":"f"})", R"({"name":"f","parameters":null})", R"({"name":"f","parameters":{}})",
        R"({"name":"f","parameters":{"type":"object","properties":{},"required":[]}})"}) {
    const auto json = *parse_json_value(text);
    const auto tool = declared(json);
    ASSERT_TRUE(tool.ok()) << tool.error().message;
    EXPECT_EQ(to_json_text(tool->declaration), R"({"name":"f"})");
  }
}

TEST(ToolDeclaration, KeepsWhatTheClientSent) {
  const auto json = *parse_json_value(
      R"({"parameters":{"properties":{"b":{},"a":{}}},"description":"d","name":"f","x":1})");
  const auto tool = declared(json);
  ASSERT_TRUE(tool.ok()) << tool.error().message;
  EXPECT_EQ(to_json_text(tool->declaration),
            R"({"name":"f","description":"d","parameters":{"properties":{"b":{},"a":{}}}})");
}

TEST(ToolDeclaration, RefusesWithThePath) {
  const std::pair<const char*, const char*> rows[] = {
      {R"({})", "tools[0].name: missing"},
      {R"({"name":""})", "tools[0].name: \"\" is no name of a tool"},
      {R"({"name":"a b"})", "tools[0].name: \"a b\" is no name of a tool"},
      {R"({"name":"f","description":1})", "tools[0].description: expected a string"},
      {R"({"name":"f","parameters":[]})", "tools[0].parameters: expected an object"},
      {R"({"name":"f","response":true})", "tools[0].response: expected an object"}};
  for (const auto& [text, message] : rows) {
    const auto json = *parse_json_value(text);
    const auto tool = declared(json);
    ASSERT_FALSE(tool.ok()) << text;
    EXPECT_THAT(tool.error().message, HasSubstr(message));
  }
}

TEST(ToolDeclaration, GeminiNamesStartWithALetter) {
  const auto json = *parse_json_value(R"(["_a.b:c-d","1a","a/b"])");
  const auto items = *Field(&json, "n").list();
  EXPECT_TRUE(read_tool_name(items[0], kGeminiToolNames).ok());
  EXPECT_FALSE(read_tool_name(items[1], kGeminiToolNames).ok());
  EXPECT_FALSE(read_tool_name(items[2], kGeminiToolNames).ok());
  EXPECT_TRUE(read_tool_name(items[2], kToolNames).ok());
}

TEST(ToolDeclaration, NamesMustDiffer) {
  EXPECT_TRUE(check_tool_names_differ({{.name = "f"}, {.name = "g"}}, "tools").ok());
  const auto twice = check_tool_names_differ({{.name = "f"}, {.name = "f"}}, "tools");
  ASSERT_FALSE(twice.ok());
  EXPECT_EQ(twice.error().message, "tools: \"f\" is declared twice");
}

}  // namespace
}  // namespace fourfold
