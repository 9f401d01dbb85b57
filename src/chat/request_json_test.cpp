#include "chat/request_json.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace fourfold {
namespace {

using testing::HasSubstr;

TEST(ParseRequest, ReadsEveryField) {
  const auto request = parse_request(
      R"({"messages":[
        {"role":"developer","content":[{"type":"text","text":"Be brief."}]},
        {"role":"user","content":[{"type":"image_url"},{"type":"input_audio"},{"type":"video"}]},
        {"role":"assistant","content":null,"reasoning":"","reasoning_content":"hm","tool_calls":[
          {"id":"c","type":"function","function":{"name":"f","arguments":"{\"a\": 1.0}"}}]},
        {"role":"tool","tool_call_id":"c","name":"f","content":[{"type":"text","text":"r"},
          {"type":"image"}]},
        {"role":"assistant","content":"ok","tool_responses":[{"name":"f"}]}],
       "tools":[{"function":{"name":"f","parameters":{"type":"object"}}}],"enable_thinking":true,
       "preserve_thinking":true,"add_generation_prompt":false,"continue_final_message":true})");
  ASSERT_TRUE(request.ok()) << request.error().message;
  const auto& messages = request->messages;
  ASSERT_EQ(messages.size(), 5u);
  EXPECT_EQ(messages[0].role, Role::Developer);
  EXPECT_TRUE(messages[0].is_part_list);
  EXPECT_EQ(messages[1].parts[1].kind, Part::Kind::Audio);
  EXPECT_EQ(messages[2].thought, "hm");
  EXPECT_EQ(to_json_text(messages[2].calls[0].arguments), R"({"a":1.0})");
  EXPECT_EQ(messages[3].results[0].value, JsonValue::of("r"));
  EXPECT_EQ(messages[3].results[0].media.size(), 1u);
  EXPECT_EQ(messages[4].results[0].value, JsonValue::array());
  EXPECT_EQ(request->tools[0].name, "f");
  EXPECT_TRUE(request->thinking.on && request->keep_thoughts && request->continue_last);
  EXPECT_FALSE(request->add_generation_prompt);
}

struct Bad {
  std::string messages;
  std::string error;
};

class BadRequest : public testing::TestWithParam<Bad> {};

TEST_P(BadRequest, IsRefusedWithItsPath) {
  const auto request = parse_request(R"({"messages":)" + GetParam().messages + "}");
  ASSERT_FALSE(request.ok());
  EXPECT_THAT(request.error().message, HasSubstr(GetParam().error));
}

INSTANTIATE_TEST_SUITE_P(
    Rows, BadRequest,
    testing::Values(
        Bad{"null", "messages: expected a list"}, Bad{"[1]", "messages[0]: expected an object"},
        Bad{R"([{"content":"x"}])", "messages[0]: role: expected a string"},
        Bad{R"([{"role":"user","content":{"a":1}}])", "messages[0]: content: expected a string"},
        Bad{R"([{"role":"user","content":[{"type":"text"}]}])",
            "content[0]: text: expected a string"},
        Bad{R"([{"role":"user","content":["x"]}])", "content[0]: expected an object"},
        Bad{R"([{"role":"user","reasoning":"x"}])", "a thought: only messages of role assistant"},
        Bad{R"([{"role":"assistant","tool_calls":{}}])", "tool_calls: expected a list or null"},
        Bad{R"([{"role":"assistant","tool_calls":[{"function":{"name":1}}]}])",
            "tool_calls[0]: name: expected a string"},
        Bad{R"([{"role":"assistant","tool_calls":[{"function":{"name":"f","arguments":"[1]"}}]}])",
            "arguments: expected the JSON text of an object, not of a list"},
        Bad{R"([{"role":"assistant","tool_calls":[{"function":{"name":"f","arguments":7}}]}])",
            "arguments: expected an object or its JSON text, not a number"},
        Bad{R"([],"tools":[{"name":"f"}])", "tools[0]: function: expected an object"},
        Bad{R"([],"tools":[{"function":{"name":"f","parameters":[]}}])",
            "tools[0]: parameters: expected an object"},
        Bad{R"([],"enable_thinking":"yes")", "enable_thinking: expected true or false"}));

JsonValue json(std::string_view text) { return *parse_json_value(text); }

std::vector<Tool> two_tools() { return {{.name = "f"}, {.name = "g"}}; }

TEST(ReadToolChoice, TakesTheFormsOfClients) {
  using Mode = ToolChoice::Mode;
  using Names = std::vector<std::string>;
  const struct {
    const char* text;
    Mode mode;
    Names names;
  } rows[] = {
      {R"("none")", Mode::None, {}},
      {R"("auto")", Mode::Auto, {}},
      {R"("required")", Mode::Required, {}},
      {R"({"type":"function","function":{"name":"g"}})", Mode::Required, {"g"}},
      {R"({"type":"function","name":"g"})", Mode::Required, {"g"}},
      {R"({"type":"allowed_tools","mode":"required","tools":[{"type":"function","name":"f"}]})",
       Mode::Required,
       {"f"}},
      {R"({"type":"allowed_tools","allowed_tools":{"mode":"auto","tools":[
          {"function":{"name":"f"}},{"function":{"name":"g"}}]}})",
       Mode::Auto,
       {"f", "g"}},
  };
  for (const auto& row : rows) {
    const auto choice = read_tool_choice(json(row.text), two_tools());
    ASSERT_TRUE(choice.ok()) << row.text << ": " << choice.error().message;
    EXPECT_EQ(choice->mode, row.mode) << row.text;
    EXPECT_EQ(choice->names, row.names) << row.text;
  }
}

TEST(ReadToolChoice, RefusesTheRest) {
  const std::pair<const char*, const char*> rows[] = {
      {R"("any")", "\"any\" (expected none, auto or required)"},
      {"3", "tool_choice: expected a string or an object"},
      {R"({"type":"custom"})", "type: \"custom\" (expected function or allowed_tools)"},
      {R"({"type":"function","function":{"name":"h"}})", "\"h\": no tool of this name"},
      {R"({"type":"allowed_tools","tools":[]})", "tools: expected at least one"},
  };
  for (const auto& [text, error] : rows) {
    const auto choice = read_tool_choice(json(text), two_tools());
    ASSERT_FALSE(choice.ok()) << text;
    EXPECT_THAT(choice.error().message, HasSubstr(error));
  }
}

TEST(ReadResponseFormat, TakesEveryKind) {
  using Kind = ResponseFormat::Kind;
  const std::pair<const char*, Kind> rows[] = {
      {R"({"type":"text"})", Kind::Text},
      {R"({"type":"json_object"})", Kind::Json},
      {R"({"type":"json_schema","json_schema":{"name":"n","schema":{"type":"null"}}})",
       Kind::JsonSchema},
      {R"({"type":"regex","regex":"a+"})", Kind::Regex},
      {R"({"type":"grammar","grammar":"root ::= \"a\""})", Kind::Grammar},
  };
  for (const auto& [text, kind] : rows) {
    const auto format = read_response_format(json(text));
    ASSERT_TRUE(format.ok()) << text << ": " << format.error().message;
    EXPECT_EQ(format->kind, kind) << text;
  }
  EXPECT_EQ(read_response_format(json(rows[2].first))->schema, json(R"({"type":"null"})"));
  EXPECT_EQ(read_response_format(json(rows[3].first))->source, "a+");
  for (const auto* bad :
       {"[]", R"({"type":"xml"})", R"({"type":"json_schema"})", R"({"type":"regex"})"}) {
    EXPECT_FALSE(read_response_format(json(bad)).ok()) << bad;
  }
}

TEST(ReadArguments, TakesNothingForAnEmptyObject) {
  for (const auto& nothing : {JsonValue::null(), JsonValue::of(""), JsonValue::of(" \n"),
                              JsonValue::of("null"), JsonValue::of("{}")}) {
    const auto arguments = read_arguments(nothing);
    ASSERT_TRUE(arguments.ok());
    EXPECT_EQ(*arguments, JsonValue::object());
  }
}

}  // namespace
}  // namespace fourfold
