#include "api/ollama_request.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "api/mutated_json.h"

namespace fourfold {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

OllamaModelTraits able_model() {
  OllamaModelTraits model;
  model.name = "m";
  model.capabilities = {.chat = true,
                        .tools = true,
                        .thinking = true,
                        .vision = false,
                        .audio = false,
                        .video = false};
  model.context = 4096;
  return model;
}

JsonValue json(std::string_view text) { return parse_json_value(text).value(); }

Result<OllamaRequest> chat(std::string_view text) {
  return parse_ollama_chat(json(text), able_model());
}

Result<OllamaRequest> generate(std::string_view text) {
  return parse_ollama_generate(json(text), able_model());
}

// A chat that says "Hi", with these members beside it.
Result<OllamaRequest> chat_with(std::string_view members) {
  return chat(fmt::format(R"({{"messages":[{{"role":"user","content":"Hi"}}],{}}})", members));
}

TEST(OllamaName, StandsUnderEitherKey) {
  EXPECT_EQ(*ollama_model_name(json(R"({"model":"a","name":"b"})")), "a");
  EXPECT_EQ(*ollama_model_name(json(R"({"name":"b"})")), "b");
  EXPECT_FALSE(ollama_model_name(json("{}")).ok());
  EXPECT_FALSE(ollama_model_name(json(R"({"model":""})")).ok());
  EXPECT_FALSE(ollama_model_name(json("[]")).ok());
}

TEST(OllamaChat, ReadsMessagesOfEveryRole) {
  const auto request = chat(R"({"messages":[
    {"role":"SYSTEM","content":"Be brief."},
    {"role":"user","content":"Weather?"},
    {"role":"assistant","content":"","thinking":"hm","tool_calls":[
      {"id":"call_1","function":{"index":0,"name":"f","arguments":{"a":1.0}}}]},
    {"role":"tool","tool_name":"f","tool_call_id":"call_1","content":"sunny"},
    {"role":"developer","content":"More."}]})");
  ASSERT_TRUE(request.ok()) << request.error().message;
  const auto& messages = request->chat.conversation.messages;
  ASSERT_EQ(messages.size(), 5u);
  EXPECT_EQ(messages[0].role, Role::System);
  EXPECT_EQ(messages[2].thought, "hm");
  EXPECT_EQ(to_json_text(messages[2].calls[0].arguments), R"({"a":1.0})");
  EXPECT_EQ(messages[3].results[0].name, "f");
  EXPECT_EQ(messages[3].results[0].call_id, "call_1");
  EXPECT_EQ(messages[3].results[0].value, JsonValue::of("sunny"));
  EXPECT_EQ(messages[4].role, Role::System);
  EXPECT_TRUE(request->stream) << "streams unless told otherwise";
  EXPECT_TRUE(request->chat.forget_oldest);
}

TEST(OllamaChat, TakesTheOlderNameOfAToolsResultAndContentAsParts) {
  const auto request = chat(R"({"messages":[
    {"role":"user","content":[{"type":"text","text":"a"},{"type":"text","text":"b"}]},
    {"role":"assistant","tool_calls":[{"function":{"name":"f"}}]},
    {"role":"tool","name":"f","content":null}]})");
  ASSERT_TRUE(request.ok()) << request.error().message;
  const auto& messages = request->chat.conversation.messages;
  EXPECT_EQ(messages[0].parts.size(), 2u);
  EXPECT_TRUE(messages[0].is_part_list);
  EXPECT_EQ(messages[1].calls[0].arguments, JsonValue::object());
  EXPECT_EQ(messages[2].results[0].name, "f");
  EXPECT_EQ(messages[2].results[0].value, JsonValue::of(""));
}

TEST(OllamaChat, PutsPicturesBeforeTheTextAndSoundsBehindIt) {
  const auto request = chat(R"({"messages":[{"role":"user","content":"What?","images":[
    "UklGRiQAAABXQVZFZm10IA==", "data:image/png;base64,iVBORw0KGgo="]}]})");
  ASSERT_TRUE(request.ok()) << request.error().message;
  const auto& parts = request->chat.conversation.messages[0].parts;
  ASSERT_EQ(parts.size(), 3u);
  EXPECT_EQ(parts[0].kind, Part::Kind::Image);
  EXPECT_EQ(parts[0].where, "messages[0].images[1]");
  EXPECT_EQ(parts[1].text, "What?");
  EXPECT_EQ(parts[2].kind, Part::Kind::Audio);
}

TEST(OllamaChat, ReadsHowMediaAreSeen) {
  const auto request = chat(R"({"mm_processor_kwargs":{"max_soft_tokens":1120,"fps":0.5},
    "messages":[{"role":"user","content":[
      {"type":"video_url","video_url":{"url":"data:;base64,GkXfow"}},
      {"type":"image_url","image_url":{"url":"iVBORw0KGgo=","detail":"low"}}]},
     {"role":"tool","content":"x","images":["iVBORw0KGgo="]}]})");
  ASSERT_TRUE(request.ok()) << request.error().message;
  const auto& messages = request->chat.conversation.messages;
  EXPECT_EQ(messages[0].parts[0].settings.fps, 0.5);
  EXPECT_EQ(messages[0].parts[0].settings.budget, 1120);
  EXPECT_EQ(messages[0].parts[1].settings.budget, 70);
  EXPECT_EQ(messages[1].results[0].media[0].settings.budget, 1120);
  const auto one = generate(
      R"({"prompt":"What?","images":["iVBORw0KGgo="],"mm_processor_kwargs":{"max_soft_tokens":70}})");
  ASSERT_TRUE(one.ok()) << one.error().message;
  EXPECT_EQ(one->chat.conversation.messages[0].parts[0].settings.budget, 70);
  const auto bad = chat_with(R"("mm_processor_kwargs":{"max_soft_tokens":7})");
  ASSERT_FALSE(bad.ok());
  EXPECT_THAT(bad.error().message, testing::HasSubstr("70, 140, 280, 560 or 1120"));
}

TEST(OllamaChat, WithoutMessagesLoadsOrUnloads) {
  for (const auto* body : {"{}", R"({"messages":[]})", R"({"messages":null})"}) {
    const auto request = chat(body);
    ASSERT_TRUE(request.ok());
    EXPECT_TRUE(request->only_loads) << body;
    EXPECT_FALSE(request->unloads());
  }
  EXPECT_TRUE(chat(R"({"keep_alive":0})")->unloads());
  EXPECT_TRUE(chat(R"({"keep_alive":"0s"})")->unloads());
  EXPECT_FALSE(chat_with(R"("keep_alive":0)")->unloads());
}

TEST(OllamaChat, ReadsToolsWithoutWhatTheyDoNotSay) {
  const auto request = chat_with(R"("tools":[{"type":"function","function":{"name":"f",
    "description":"d","parameters":{"type":"object","properties":{"a":{"type":["string","null"]}}}}},
    {"function":{"name":"g","parameters":{"type":"object","properties":{},"required":[]}}}])");
  ASSERT_TRUE(request.ok()) << request.error().message;
  const auto& tools = request->chat.conversation.tools;
  ASSERT_EQ(tools.size(), 2u);
  EXPECT_NE(tools[0].declaration.find("parameters"), nullptr);
  EXPECT_EQ(to_json_text(tools[1].declaration), R"({"name":"g"})");
}

TEST(OllamaChat, TakesAToolChoiceAlthoughTheProtocolHasNone) {
  const auto request = chat_with(R"("tools":[{"function":{"name":"f"}}],"tool_choice":"required")");
  ASSERT_TRUE(request.ok()) << request.error().message;
  EXPECT_EQ(request->chat.conversation.tool_choice.mode, ToolChoice::Mode::Required);
}

TEST(OllamaChat, ReadsFormats) {
  using Kind = ResponseFormat::Kind;
  EXPECT_EQ(chat_with(R"("format":"")")->chat.conversation.response_format.kind, Kind::Text);
  EXPECT_EQ(chat_with(R"("format":null)")->chat.conversation.response_format.kind, Kind::Text);
  EXPECT_EQ(chat_with(R"("format":"json")")->chat.conversation.response_format.kind, Kind::Json);
  const auto schema = chat_with(R"("format":{"type":"object"})");
  EXPECT_EQ(schema->chat.conversation.response_format.kind, Kind::JsonSchema);
  EXPECT_EQ(to_json_text(schema->chat.conversation.response_format.schema), R"({"type":"object"})");
}

struct Thought {
  std::string members;
  bool on;
  Thinking::Level level;
};
class OllamaThinking : public testing::TestWithParam<Thought> {};

TEST_P(OllamaThinking, IsAsTheRequestAndTheModelWantIt) {
  const auto request = chat_with(GetParam().members);
  ASSERT_TRUE(request.ok()) << request.error().message;
  const Thinking& thinking = request->chat.conversation.thinking;
  EXPECT_EQ(thinking.on, GetParam().on);
  if (!thinking.on) return;
  EXPECT_EQ(thinking.level, GetParam().level);
}

INSTANTIATE_TEST_SUITE_P(
    Rows, OllamaThinking,
    testing::Values(Thought{R"("x":0)", true, Thinking::Level::High},
                    Thought{R"("think":false)", false, {}},
                    Thought{R"("think":true)", true, Thinking::Level::High},
                    Thought{R"("think":"low")", true, Thinking::Level::Low},
                    Thought{R"("think":"medium")", true, Thinking::Level::Medium},
                    Thought{R"("think":"max")", true, Thinking::Level::High},
                    Thought{R"("options":{"num_predict":511})", false, {}},
                    Thought{R"("options":{"num_predict":512})", true, Thinking::Level::High},
                    Thought{R"("options":{"num_predict":-1})", true, Thinking::Level::High},
                    Thought{R"("think":true,"options":{"num_predict":64})", true,
                            Thinking::Level::High}));

TEST(OllamaChat, LeavesModelsAloneThatDoNotThink) {
  OllamaModelTraits model = able_model();
  model.capabilities.thinking = model.capabilities.tools = false;
  const auto plain = json(R"({"messages":[{"role":"user","content":"Hi"}]})");
  EXPECT_FALSE(parse_ollama_chat(plain, model)->chat.conversation.thinking.on);
  const auto thinks = json(R"({"messages":[{"role":"user","content":"Hi"}],"think":true})");
  EXPECT_EQ(parse_ollama_chat(thinks, model).error().message, "\"m\" does not support thinking");
  const auto calls =
      json(R"({"messages":[{"role":"user","content":"Hi"}],"tools":[{"function":{"name":"f"}}]})");
  EXPECT_EQ(parse_ollama_chat(calls, model).error().message, "\"m\" does not support tools");
}

TEST(OllamaOptions, AreClamped) {
  const auto request = chat_with(R"("options":{"temperature":9,"top_p":-1,"min_p":2,"top_k":-3,
    "repeat_last_n":-7,"repeat_penalty":0,"num_predict":10,"seed":18446744073709551615,
    "stop":["a","","b"],"presence_penalty":0.5,"frequency_penalty":1e999})");
  ASSERT_TRUE(request.ok()) << request.error().message;
  const SamplingChoice& choice = request->chat.sampling;
  EXPECT_EQ(choice.temperature, 2.0f);
  EXPECT_EQ(choice.top_p, 0.0f);
  EXPECT_EQ(choice.min_p, 1.0f);
  EXPECT_EQ(choice.top_k, 0);
  EXPECT_EQ(choice.repeat_last_n, -1);
  EXPECT_GT(*choice.repeat_penalty, 0.0f);
  EXPECT_EQ(choice.max_tokens, 10);
  EXPECT_EQ(choice.seed, 18446744073709551615u);
  EXPECT_THAT(choice.stop, ElementsAre("a", "b"));
  EXPECT_EQ(request->chat.conversation.stop, choice.stop);
  EXPECT_EQ(check_options(sample_options(choice, {}), 100).ok(), true);
}

TEST(OllamaOptions, OfNoEffectAreReported) {
  const auto request = chat_with(
      R"("options":{"num_gpu":1,"use_mmap":true,"num_ctx":8192,"mirostat":2,"nonsense":[]})");
  ASSERT_TRUE(request.ok()) << request.error().message;
  EXPECT_THAT(request->warnings,
              ElementsAre("option num_gpu has no effect", "option use_mmap has no effect",
                          "num_ctx: the context is 4096 tokens", "option mirostat has no effect",
                          "unknown option \"nonsense\""));
  EXPECT_TRUE(chat_with(R"("options":{"num_ctx":2048,"seed":-1,"top_k":null})")->warnings.empty());
  EXPECT_FALSE(chat_with(R"("options":{"seed":-1})")->chat.sampling.seed.has_value());
}

struct Duration {
  std::string json;
  std::int64_t ms;
};
class OllamaKeepAlive : public testing::TestWithParam<Duration> {};

TEST_P(OllamaKeepAlive, IsSecondsOrAGoDuration) {
  const auto parsed = parse_keep_alive(json(GetParam().json));
  ASSERT_TRUE(parsed.ok()) << parsed.error().message;
  EXPECT_EQ(parsed->count(), GetParam().ms);
}

INSTANTIATE_TEST_SUITE_P(Rows, OllamaKeepAlive,
                         testing::Values(Duration{"300", 300'000}, Duration{"0", 0},
                                         Duration{"-1", -1000}, Duration{"1.5", 1500},
                                         Duration{R"("5m")", 300'000},
                                         Duration{R"("1h30m")", 5'400'000},
                                         Duration{R"("300ms")", 300}, Duration{R"("-1s")", -1000},
                                         Duration{R"("1.5s")", 1500}, Duration{R"("0")", 0},
                                         Duration{R"("10")", 10'000}, Duration{R"("1ns")", 1},
                                         Duration{"1e300", 1'000'000'000'000'000}));

TEST(OllamaKeepAliveErrors, AreRefused) {
  for (const auto* text : {R"("")", R"("5x")", R"("m")", R"("--5m")", R"("5m3")", "true", "{}"}) {
    EXPECT_FALSE(parse_keep_alive(json(text)).ok()) << text;
  }
}

TEST(OllamaGenerate, IsAChatOfOneMessage) {
  const auto request = generate(R"({"prompt":"Hi","system":"Be brief.","stream":false})");
  ASSERT_TRUE(request.ok()) << request.error().message;
  EXPECT_FALSE(request->stream);
  const auto& messages = request->chat.conversation.messages;
  ASSERT_EQ(messages.size(), 2u);
  EXPECT_EQ(messages[0].role, Role::System);
  EXPECT_EQ(messages[1].parts[0].text, "Hi");
  EXPECT_FALSE(request->raw);
}

TEST(OllamaGenerate, TakesARawPromptAsItIs) {
  const auto request = generate(R"({"prompt":" <|turn>user\n","raw":true,"logprobs":true})");
  ASSERT_TRUE(request.ok()) << request.error().message;
  ASSERT_TRUE(request->raw);
  EXPECT_EQ(request->raw->text, " <|turn>user\n");
  EXPECT_TRUE(request->raw->trusted);
  EXPECT_TRUE(request->has_logprobs());
}

TEST(OllamaGenerate, LetsAPretrainedModelContinue) {
  OllamaModelTraits model = able_model();
  model.capabilities = {.chat = false};
  const auto request = parse_ollama_generate(json(R"({"prompt":"Once"})"), model);
  ASSERT_TRUE(request.ok()) << request.error().message;
  ASSERT_TRUE(request->raw);
  EXPECT_FALSE(request->raw->trusted) << "the text of a user is no markup";
}

TEST(OllamaGenerate, KeepsTheContextForLater) {
  EXPECT_THAT(generate(R"({"prompt":"x","context":[2,3.0]})")->context, ElementsAre(2, 3));
}

struct Bad {
  bool is_generate;
  std::string members;
  std::string error;
};
class BadOllamaRequest : public testing::TestWithParam<Bad> {};

TEST_P(BadOllamaRequest, IsRefusedSayingWhere) {
  const auto& [is_generate, members, error] = GetParam();
  const auto request =
      is_generate ? generate(fmt::format(R"({{"prompt":"x",{}}})", members)) : chat_with(members);
  ASSERT_FALSE(request.ok());
  EXPECT_EQ(request.error().code, Code::InvalidArgument);
  EXPECT_THAT(request.error().message, HasSubstr(error));
}

INSTANTIATE_TEST_SUITE_P(
    Rows, BadOllamaRequest,
    testing::Values(
        Bad{false, R"("format":"yaml")", "format: \"yaml\" (expected \"json\" or a JSON schema)"},
        Bad{false, R"("format":1)", "format: 1"},
        Bad{false, R"("think":"some")", "think: expected"},
        Bad{false, R"("think":1)", "think: expected"},
        Bad{false, R"("options":{"top_k":"4"})", "option \"top_k\" must be of type integer"},
        Bad{false, R"("options":{"top_k":1.5})", "option \"top_k\" must be of type integer"},
        Bad{false, R"("options":{"temperature":"hot"})",
            "option \"temperature\" must be of type float32"},
        Bad{false, R"("options":{"use_mmap":1})", "option \"use_mmap\" must be of type boolean"},
        Bad{false, R"("options":{"stop":[1]})", "option \"stop\" must be of type array"},
        Bad{false, R"("options":[])", "options: expected an object"},
        Bad{false, R"("keep_alive":"soon")", "keep_alive"},
        Bad{false, R"("logprobs":true,"top_logprobs":21)", "top_logprobs: 21"},
        Bad{false, R"("stream":"yes")", "stream: expected true or false"},
        Bad{false, R"("tools":[{"function":{}}])", "tools[0].function.name: missing"},
        Bad{false, R"("tools":[{"type":"function"}])", "tools[0].function: missing"},
        Bad{false, R"("tool_choice":{"type":"function","function":{"name":"f"}})", "tool_choice"},
        Bad{false, R"("messages":[{"role":"user","content":" "}])",
            "messages[0] has no text or media"},
        Bad{false, R"("messages":[{"role":"robot","content":"x"}])", "messages[0].role: \"robot\""},
        Bad{false, R"("messages":[{"role":"user","content":{}}])", "messages[0].content: expected"},
        Bad{false, R"("messages":[{"role":"user","content":"x","images":["?"]}])",
            "messages[0].images[0]"},
        Bad{false, R"("messages":[{"role":"user","content":"x","images":["http://a/b.png"]}])",
            "--fetch-urls"},
        Bad{false, R"("messages":[{"role":"assistant","tool_calls":[
              {"function":{"name":"f","arguments":"{"}}]}])",
            "messages[0].tool_calls[0].function.arguments"},
        Bad{true, R"("suffix":"y")", "\"m\" does not support insert"},
        Bad{true, R"("raw":true,"system":"y")",
            "raw mode does not support template, system, or context"},
        Bad{true, R"("raw":true,"context":[1])",
            "raw mode does not support template, system, or context"},
        Bad{true, R"("context":[-1])", "context[0]: -1"},
        Bad{true, R"("context":"1")", "context: expected a list"}));

bool is_read_or_refused(const Result<OllamaRequest>& request) {
  if (request.ok()) return true;
  return request.error().code == Code::InvalidArgument && !request.error().message.empty();
}

TEST(OllamaRequests, OfAnyShapeAreReadOrRefusedWithAReason) {
  constexpr std::string_view kChat = R"({"messages":[{"role":"system","content":"s"},
    {"role":"user","content":[{"type":"text","text":"u"}],"images":[]},
    {"role":"assistant","content":"c","thinking":"t","tool_calls":[
      {"id":"1","function":{"index":0,"name":"f","arguments":{"a":1}}}]},
    {"role":"tool","tool_name":"f","tool_call_id":"1","content":"r"}],
    "tools":[{"type":"function","function":{"name":"f","description":"d",
      "parameters":{"type":"object","properties":{"a":{"type":"string"}}}}}],
    "options":{"num_ctx":1,"seed":2,"stop":["x"],"top_p":0.5},"keep_alive":"5m","format":"json",
    "think":true,"truncate":true,"logprobs":true,"top_logprobs":3,"stream":false})";
  int n_read = 0, n_refused = 0;
  for_each_mutation(kChat, [&](const JsonValue& body) {
    const auto request = parse_ollama_chat(body, able_model());
    ++(request.ok() ? n_read : n_refused);
    EXPECT_TRUE(is_read_or_refused(request)) << to_json_text(body);
  });
  EXPECT_GT(n_read, 0);
  EXPECT_GT(n_refused, 100);

  constexpr std::string_view kGenerate = R"({"prompt":"p","system":"s","context":[1,2],"raw":false,
    "suffix":"","template":"","images":[],"options":{"num_predict":3}})";
  for_each_mutation(kGenerate, [](const JsonValue& body) {
    const auto request = parse_ollama_generate(body, able_model());
    EXPECT_TRUE(is_read_or_refused(request)) << to_json_text(body);
  });
}

}  // namespace
}  // namespace fourfold
