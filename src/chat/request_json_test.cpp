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
