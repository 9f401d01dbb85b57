#include "api/anthropic_request.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "api/mutated_json.h"
#include "base/base64.h"

namespace fourfold {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

const Sealer kSealer{Sealer::Key{1, 2, 3}};

Result<AnthropicRequest> parse(std::string_view text) {
  AnthropicOptions options;
  options.sealer = &kSealer;
  return parse_anthropic(parse_json_value(text).value(), options);
}

Result<AnthropicRequest> with_messages(std::string_view messages) {
  return parse(fmt::format(R"({{"model":"m","messages":{}}})", messages));
}

// A request that says "Hi", with these members beside it.
Result<AnthropicRequest> with(std::string_view members) {
  return parse(
      fmt::format(R"({{"model":"m","messages":[{{"role":"user","content":"Hi"}}],{}}})", members));
}

TEST(AnthropicRequest, HasDefaults) {
  const auto request = with(R"("metadata":{},"service_tier":"auto","stream":null)");
  ASSERT_TRUE(request.ok()) << request.error().message;
  EXPECT_EQ(request->model, "m");
  EXPECT_EQ(request->chat.sampling.max_tokens, 4096);
  EXPECT_FALSE(request->stream);
  EXPECT_FALSE(request->chat.conversation.thinking.on);
  EXPECT_FALSE(request->chat.conversation.continue_last);
  EXPECT_TRUE(request->warnings.empty());
}

TEST(AnthropicRequest, ReadsSampling) {
  const auto request = with(R"("max_tokens":64000,"temperature":0.5,"top_p":0.9,"top_k":40,
    "stop_sequences":["END",""],"stream":true)");
  ASSERT_TRUE(request.ok()) << request.error().message;
  EXPECT_EQ(request->chat.sampling.max_tokens, 64000);
  EXPECT_EQ(request->chat.sampling.temperature, 0.5f);
  EXPECT_EQ(request->chat.sampling.top_p, 0.9f);
  EXPECT_EQ(request->chat.sampling.top_k, 40);
  EXPECT_THAT(request->chat.conversation.stop, ElementsAre("END"));
  EXPECT_TRUE(request->stream);
}

TEST(AnthropicRequest, ReadsSystemTextInEitherForm) {
  const auto text = with(R"("system":"Be brief.")");
  EXPECT_EQ(text->chat.conversation.messages[0].role, Role::System);
  EXPECT_EQ(text->chat.conversation.messages[0].parts[0].text, "Be brief.");
  const auto blocks = with(R"("system":[
    {"type":"text","text":"x-anthropic-billing-header: cc_version=1; cch=abc;"},
    {"type":"text","text":"Be brief.","cache_control":{"type":"ephemeral"}}])");
  ASSERT_TRUE(blocks.ok()) << blocks.error().message;
  const auto& parts = blocks->chat.conversation.messages[0].parts;
  ASSERT_EQ(parts.size(), 1u) << "the billing line is no part of the prompt";
  EXPECT_EQ(parts[0].text, "Be brief.");
  EXPECT_FALSE(blocks->chat.conversation.messages[0].is_part_list) << "as if it were a string";
}

TEST(AnthropicRequest, LeavesSystemMessagesInTheirPlace) {
  const auto request = with_messages(R"([{"role":"user","content":"a"},
    {"role":"system","content":[{"type":"text","text":"skills"}]},{"role":"user","content":"b"}])");
  ASSERT_TRUE(request.ok()) << request.error().message;
  EXPECT_EQ(request->chat.conversation.messages[1].role, Role::System);
}

TEST(AnthropicRequest, ReadsAToolsRoundTrip) {
  const auto request = with_messages(R"([{"role":"user","content":"Weather?"},
    {"role":"assistant","content":[{"type":"text","text":"I look."},
      {"type":"tool_use","id":"toolu_1","name":"f","input":{"city":"Paris"},"caller":{}}]},
    {"role":"user","content":[{"type":"text","text":"Now?"},
      {"type":"tool_result","tool_use_id":"toolu_1","content":[{"type":"text","text":"sun"},
        {"type":"text","text":"ny"}]}]}])");
  ASSERT_TRUE(request.ok()) << request.error().message;
  const auto& messages = request->chat.conversation.messages;
  ASSERT_EQ(messages.size(), 4u);
  EXPECT_EQ(messages[1].parts[0].text, "I look.");
  EXPECT_EQ(to_json_text(messages[1].calls[0].arguments), R"({"city":"Paris"})");
  EXPECT_EQ(messages[2].role, Role::Tool) << "results come before a new turn";
  EXPECT_EQ(messages[2].results[0].call_id, "toolu_1");
  EXPECT_EQ(messages[2].results[0].value, JsonValue::of("sunny"));
  EXPECT_EQ(messages[3].parts[0].text, "Now?");
}

TEST(AnthropicRequest, TellsAFailedToolAndOneThatSaysNothing) {
  const auto request = with_messages(R"([
    {"role":"assistant","content":[{"type":"tool_use","id":"1","name":"f","input":{}},
      {"type":"tool_use","id":"2","name":"g","input":{}}]},
    {"role":"user","content":[
      {"type":"tool_result","tool_use_id":"1","is_error":true,"content":"no such city"},
      {"type":"tool_result","tool_use_id":"2"}]}])");
  ASSERT_TRUE(request.ok()) << request.error().message;
  const auto& messages = request->chat.conversation.messages;
  ASSERT_EQ(messages.size(), 3u);
  EXPECT_EQ(to_json_text(messages[1].results[0].value), R"({"error":"no such city"})");
  EXPECT_EQ(messages[2].results[0].value, JsonValue::of(""));
}

TEST(AnthropicRequest, TakesThoughtsFromTheirSignature) {
  const auto sealed = *kSealer.seal("the whole thought");
  const auto messages = [](std::string_view block) {
    return fmt::format(R"([{{"role":"user","content":"a"}},{{"role":"assistant","content":[{},
      {{"type":"tool_use","id":"1","name":"f","input":{{}}}}]}}])",
                       block);
  };
  const auto thought = [&](std::string_view block) {
    const auto request = with_messages(messages(block));
    return request.ok() ? request->chat.conversation.messages[1].thought : request.error().message;
  };
  EXPECT_EQ(thought(fmt::format(R"({{"type":"thinking","thinking":"","signature":"{}"}})", sealed)),
            "the whole thought");
  EXPECT_EQ(thought(fmt::format(R"({{"type":"redacted_thinking","data":"{}"}})", sealed)),
            "the whole thought");
  EXPECT_EQ(thought(R"({"type":"thinking","thinking":"hm","signature":"foreign"})"), "hm");
  EXPECT_EQ(thought(R"({"type":"thinking","thinking":"hm"})"), "hm");
  EXPECT_EQ(thought(R"({"type":"redacted_thinking","data":"foreign"})"), "");
}

TEST(AnthropicRequest, ContinuesALastMessageOfTheAssistant) {
  const auto request = with_messages(
      R"([{"role":"user","content":"a"},{"role":"assistant","content":"The answer is"}])");
  EXPECT_TRUE(request->chat.conversation.continue_last);
  const auto empty =
      with_messages(R"([{"role":"user","content":"a"},{"role":"assistant","content":[]}])");
  ASSERT_TRUE(empty.ok()) << empty.error().message;
  EXPECT_FALSE(empty->chat.conversation.continue_last);
  EXPECT_EQ(empty->chat.conversation.messages.size(), 1u);
  const auto call = with_messages(R"([{"role":"user","content":"a"},{"role":"assistant","content":[
    {"type":"tool_use","id":"1","name":"f","input":{}}]}])");
  EXPECT_FALSE(call->chat.conversation.continue_last);
}

TEST(AnthropicRequest, ReadsTools) {
  const auto request = with(R"("tools":[
    {"name":"f","description":"d","input_schema":{"type":"object","properties":{"a":{}}},
     "strict":true,"cache_control":{"type":"ephemeral"},"eager_input_streaming":true},
    {"type":"custom","name":"g","input_schema":{"type":"object"}},
    {"type":"web_search_20250305","name":"web_search","max_uses":5}])");
  ASSERT_TRUE(request.ok()) << request.error().message;
  const auto& tools = request->chat.conversation.tools;
  ASSERT_EQ(tools.size(), 2u);
  EXPECT_TRUE(tools[0].strict);
  EXPECT_EQ(
      to_json_text(tools[0].declaration),
      R"({"name":"f","description":"d","parameters":{"type":"object","properties":{"a":{}}}})");
  EXPECT_EQ(to_json_text(tools[1].declaration), R"({"name":"g"})");
  EXPECT_THAT(request->warnings, ElementsAre("tool \"web_search_20250305\" is not offered"));
}

struct Choice {
  std::string json;
  ToolChoice::Mode mode;
  std::vector<std::string> names;
  bool parallel;
};
class AnthropicToolChoice : public testing::TestWithParam<Choice> {};

TEST_P(AnthropicToolChoice, IsRead) {
  const auto request =
      with(R"("tools":[{"name":"f"},{"name":"g"}],"tool_choice":)" + GetParam().json);
  ASSERT_TRUE(request.ok()) << request.error().message;
  const ToolChoice& choice = request->chat.conversation.tool_choice;
  EXPECT_EQ(choice.mode, GetParam().mode);
  EXPECT_EQ(choice.names, GetParam().names);
  EXPECT_EQ(choice.parallel, GetParam().parallel);
}

INSTANTIATE_TEST_SUITE_P(
    Rows, AnthropicToolChoice,
    testing::Values(Choice{"null", ToolChoice::Mode::Auto, {}, true},
                    Choice{R"({"type":"auto"})", ToolChoice::Mode::Auto, {}, true},
                    Choice{R"({"type":"auto","disable_parallel_tool_use":true})",
                           ToolChoice::Mode::Auto,
                           {},
                           false},
                    Choice{R"({"type":"any"})", ToolChoice::Mode::Required, {}, true},
                    Choice{
                        R"({"type":"tool","name":"g"})", ToolChoice::Mode::Required, {"g"}, true},
                    Choice{R"({"type":"none"})", ToolChoice::Mode::None, {}, true}));

struct Thought {
  std::string members;
  bool on;
  std::optional<std::int64_t> budget;
  Thinking::Level level;
};
class AnthropicThinking : public testing::TestWithParam<Thought> {};

TEST_P(AnthropicThinking, IsRead) {
  const auto request = with(GetParam().members);
  ASSERT_TRUE(request.ok()) << request.error().message;
  const Thinking& thinking = request->chat.conversation.thinking;
  EXPECT_EQ(thinking.on, GetParam().on);
  if (!thinking.on) return;
  EXPECT_EQ(thinking.budget_tokens, GetParam().budget);
  EXPECT_EQ(thinking.level, GetParam().level);
}

INSTANTIATE_TEST_SUITE_P(
    Rows, AnthropicThinking,
    testing::Values(
        Thought{R"("thinking":{"type":"enabled","budget_tokens":2048})", true, 2048,
                Thinking::Level::High},
        Thought{R"("thinking":{"type":"adaptive"})", true, {}, Thinking::Level::High},
        Thought{R"("thinking":{"type":"disabled"})", false, {}, {}},
        Thought{R"("output_config":{"effort":"low"})", true, {}, Thinking::Level::Low},
        Thought{R"("thinking":{"type":"adaptive"},"output_config":{"effort":"medium"})",
                true,
                {},
                Thinking::Level::Medium},
        Thought{
            R"("thinking":{"type":"disabled"},"output_config":{"effort":"max"})", false, {}, {}},
        Thought{
            R"("thinking":{"type":"enabled","budget_tokens":99},"output_config":{"effort":"max"})",
            true, 99, Thinking::Level::High}));

TEST(AnthropicRequest, MayHideThoughts) {
  EXPECT_TRUE(with(R"("thinking":{"type":"adaptive","display":"omitted"})")->hides_thoughts);
  EXPECT_FALSE(with(R"("thinking":{"type":"adaptive","display":"summarized"})")->hides_thoughts);
}

TEST(AnthropicRequest, ReadsASchema) {
  for (const auto* member : {R"("output_config":{"format":)", R"("output_format":)"}) {
    const bool is_nested = std::string_view(member).starts_with("\"output_config");
    const auto request =
        with(fmt::format(R"({}{{"type":"json_schema","schema":{{"type":"object"}}}}{})", member,
                         is_nested ? "}" : ""));
    ASSERT_TRUE(request.ok()) << request.error().message;
    EXPECT_EQ(request->chat.conversation.response_format.kind, ResponseFormat::Kind::JsonSchema);
  }
}

TEST(AnthropicRequest, ReadsDocumentsAndPictures) {
  const auto request = with_messages(fmt::format(R"([{{"role":"user","content":[
    {{"type":"document","source":{{"type":"text","media_type":"text/plain","data":"one"}}}},
    {{"type":"document","source":{{"type":"base64","media_type":"text/plain","data":"{}"}}}},
    {{"type":"document","source":{{"type":"content","content":[{{"type":"text","text":"th"}},
      {{"type":"text","text":"ree"}}]}}}},
    {{"type":"image","source":{{"type":"base64","media_type":"image/png","data":"iVBORw0KGgo="}}}}]}}])",
                                                 to_base64("two")));
  ASSERT_TRUE(request.ok()) << request.error().message;
  const auto& parts = request->chat.conversation.messages[0].parts;
  ASSERT_EQ(parts.size(), 4u);
  EXPECT_EQ(parts[0].text, "one");
  EXPECT_EQ(parts[1].text, "two");
  EXPECT_EQ(parts[2].text, "three");
  EXPECT_EQ(parts[3].kind, Part::Kind::Image);
  EXPECT_EQ(parts[3].where, "messages[0].content[3]");
}

TEST(AnthropicRequest, APictureInADocumentKeepsItsPlace) {
  const auto request = with_messages(R"([{"role":"user","content":[
    {"type":"document","source":{"type":"content","content":[{"type":"text","text":"a"},
      {"type":"text","text":"b"},
      {"type":"image","source":{"type":"url","url":"data:image/png;base64,iVBORw0KGgo="}},
      {"type":"text","text":"c"}]}}]}])");
  ASSERT_TRUE(request.ok()) << request.error().message;
  const auto& parts = request->chat.conversation.messages[0].parts;
  ASSERT_EQ(parts.size(), 3u);
  EXPECT_EQ(parts[0].text, "ab");
  EXPECT_EQ(parts[1].kind, Part::Kind::Image);
  EXPECT_EQ(parts[2].text, "c");
}

TEST(AnthropicRequest, ReadsFilesThatWereUploaded) {
  AnthropicOptions options;
  options.read_file = [](const std::string& id) -> Result<SharedBytes> {
    if (id != "pic") return not_found("no file {}", id);
    return SharedBytes("\x89PNG\r\n\x1a\n");
  };
  const auto body = [](const char* id) {
    return parse_json_value(
               fmt::format(R"({{"model":"m","mm_processor_kwargs":{{"max_soft_tokens":560}},
        "messages":[{{"role":"user","content":[
          {{"type":"image","source":{{"type":"file","file_id":"{}"}}}}]}}]}})",
                           id))
        .value();
  };
  const auto request = parse_anthropic(body("pic"), options);
  ASSERT_TRUE(request.ok()) << request.error().message;
  const auto& part = request->chat.conversation.messages[0].parts[0];
  EXPECT_EQ(part.kind, Part::Kind::Image);
  EXPECT_EQ(part.settings.budget, 560);
  EXPECT_FALSE(parse_anthropic(body("none"), options).ok());
}

TEST(AnthropicRequest, KeepsABrokenCallThatHasItsResult) {
  const auto request = with_messages(R"([
    {"role":"assistant","content":[{"type":"tool_use","id":"1","name":"f","input":"{\"a\":"}]},
    {"role":"user","content":[{"type":"tool_result","tool_use_id":"1","content":"x"}]}])");
  ASSERT_TRUE(request.ok()) << request.error().message;
  EXPECT_EQ(to_json_text(request->chat.conversation.messages[0].calls[0].arguments),
            R"({"arguments":"{\"a\":"})");
  EXPECT_EQ(request->warnings.size(), 1u);
}

struct Bad {
  std::string members;
  std::string error;
};
class BadAnthropicRequest : public testing::TestWithParam<Bad> {};

TEST_P(BadAnthropicRequest, IsRefusedSayingWhere) {
  const auto request = with(GetParam().members);
  ASSERT_FALSE(request.ok());
  EXPECT_EQ(request.error().code, Code::InvalidArgument);
  EXPECT_THAT(request.error().message, HasSubstr(GetParam().error));
}

INSTANTIATE_TEST_SUITE_P(
    Rows, BadAnthropicRequest,
    testing::Values(
        Bad{R"("model":"")", "model: empty"}, Bad{R"("model":null)", "model: missing"},
        Bad{R"("messages":[])", "messages: empty"},
        Bad{R"("messages":[{"role":"user","content":[]}])", "messages[0] has no text or media"},
        Bad{R"("messages":[{"role":"system","content":"x"}])", "messages[0] has no text or media"},
        Bad{R"("messages":[{"role":"robot","content":"x"}])",
            "messages[0].role: \"robot\" (expected user, assistant or system)"},
        Bad{R"("messages":[{"role":"user","content":[{"type":"hologram"}]}])",
            "messages[0].content[0].type: \"hologram\""},
        Bad{R"("messages":[{"role":"user","content":[{"type":"text"}]}])",
            "messages[0].content[0].text: missing"},
        Bad{R"("messages":[{"role":"user","content":[{"type":"image","source":
              {"type":"url","url":"http://127.0.0.1/a.png"}}]}])",
            "messages[0].content[0].source.url"},
        Bad{R"("messages":[{"role":"user","content":[{"type":"document","source":
              {"type":"base64","media_type":"application/pdf","data":"AAAA"}}]}])",
            "media_type: \"application/pdf\" is not supported"},
        Bad{R"("messages":[{"role":"user","content":[{"type":"document","source":
              {"type":"file","file_id":"x"}}]}])",
            "source.file_id: no file of this id is stored here"},
        Bad{R"("messages":[{"role":"assistant","content":[{"type":"tool_use","id":"1","name":"f",
              "input":"{"}]}])",
            "messages[0].content[0].input"},
        Bad{R"("system":[{"type":"image"}])", "system[0].type: \"image\" (expected text)"},
        Bad{R"("temperature":1.5)", "temperature: 1.5 is out of range"},
        Bad{R"("top_p":2)", "top_p"}, Bad{R"("top_k":-1)", "top_k"},
        Bad{R"("max_tokens":0)", "max_tokens"},
        Bad{R"("tools":[{"type":"bash_20250124","name":"bash"}])",
            "tools[0].input_schema: missing"},
        Bad{R"("tools":[{"name":""}])", "tools[0].name"},
        Bad{R"("tools":[{"name":"f","input_schema":"x"}])", "tools[0].input_schema: expected"},
        Bad{R"("tool_choice":{"type":"any"})", "tool_choice: no tool is declared"},
        Bad{R"("tools":[{"name":"f"}],"tool_choice":{"type":"tool","name":"g"})",
            "tool_choice.name: no tool \"g\""},
        Bad{R"("tool_choice":{"type":"must"})", "tool_choice.type: \"must\""},
        Bad{R"("thinking":{"type":"deep"})", "thinking.type: \"deep\""},
        Bad{R"("thinking":{"type":"enabled","budget_tokens":0})", "thinking.budget_tokens"},
        Bad{R"("output_config":{"effort":"some"})", "output_config.effort: \"some\""},
        Bad{R"("output_config":{"format":{"type":"json_schema"}})",
            "output_config.format.schema: missing"},
        Bad{R"("output_config":{"format":{"type":"xml"}})", "output_config.format.type: \"xml\""}));

TEST(AnthropicRequest, OfAnyShapeIsReadOrRefusedWithAReason) {
  constexpr std::string_view kBody = R"({"model":"m","max_tokens":9,"system":[
    {"type":"text","text":"s","cache_control":{"type":"ephemeral"}}],
    "messages":[{"role":"user","content":[{"type":"text","text":"u"},
      {"type":"document","source":{"type":"text","media_type":"text/plain","data":"d"}}]},
    {"role":"assistant","content":[{"type":"thinking","thinking":"t","signature":"x"},
      {"type":"text","text":"a"},{"type":"tool_use","id":"1","name":"f","input":{"a":1}}]},
    {"role":"user","content":[{"type":"tool_result","tool_use_id":"1","is_error":false,
      "content":[{"type":"text","text":"r"}]}]}],
    "tools":[{"name":"f","description":"d","strict":false,
      "input_schema":{"type":"object","properties":{"a":{}}}}],
    "tool_choice":{"type":"tool","name":"f","disable_parallel_tool_use":true},
    "thinking":{"type":"enabled","budget_tokens":5,"display":"omitted"},
    "output_config":{"effort":"low","format":{"type":"json_schema","schema":{}}},
    "stop_sequences":["x"],"temperature":1,"top_p":1,"top_k":1,"stream":true})";
  int n_read = 0, n_refused = 0;
  for_each_mutation(kBody, [&](const JsonValue& body) {
    const auto request = parse_anthropic(body, {.sealer = &kSealer, .rules = {}});
    ++(request.ok() ? n_read : n_refused);
    if (request.ok()) return;
    EXPECT_EQ(request.error().code, Code::InvalidArgument) << to_json_text(body);
    EXPECT_FALSE(request.error().message.empty());
  });
  EXPECT_GT(n_read, 100);
  EXPECT_GT(n_refused, 100);
}

}  // namespace
}  // namespace fourfold
