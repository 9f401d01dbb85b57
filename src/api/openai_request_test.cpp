#include "api/openai_request.h"

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

// A chat request of one user message and these further members.
Result<OpenAiChatRequest> chat_with(const std::string& members, const OpenAiOptions& options = {}) {
  return parse_openai_chat(json(R"({"model":"m","messages":[{"role":"user","content":"Hi"}])" +
                                (members.empty() ? "" : "," + members) + "}"),
                           options);
}

Result<OpenAiChatRequest> chat_of(const std::string& messages, const OpenAiOptions& options = {}) {
  return parse_openai_chat(json(R"({"model":"m","messages":)" + messages + "}"), options);
}

std::string text_of(const Message& message) {
  std::string text;
  for (const auto& part : message.parts) text += part.text;
  return text;
}

// Expects an InvalidArgument that names this field.
template <class T>
void expect_refused(const Result<T>& result, std::string_view field) {
  ASSERT_FALSE(result.ok()) << field;
  EXPECT_EQ(result.error().code, Code::InvalidArgument);
  ASSERT_TRUE(result.error().detail) << result.error().message;
  EXPECT_EQ(result.error().detail->field, field);
  EXPECT_THAT(result.error().message, testing::StartsWith(std::string(field)));
}

TEST(OpenAiChatRequest, TakesModelAndMessages) {
  const auto request =
      chat_of(R"([{"role":"developer","content":"Be short."},{"role":"user","content":"Hi"}])");
  ASSERT_TRUE(request.ok()) << request.error().message;
  EXPECT_EQ(request->model, "m");
  const auto& messages = request->chat.conversation.messages;
  ASSERT_EQ(messages.size(), 2u);
  EXPECT_EQ(messages[0].role, Role::System);
  EXPECT_EQ(text_of(messages[0]), "Be short.");
  EXPECT_FALSE(request->stream);
  EXPECT_FALSE(request->chat.conversation.thinking.on);
  EXPECT_THAT(request->warnings, IsEmpty());
}

TEST(OpenAiChatRequest, TakesSamplingSettings) {
  const auto good = chat_with(
      R"("temperature":0,"top_p":0.5,"top_k":-1,"min_p":0.1,"seed":7,"stop":["a","b"],"n":3,)"
      R"("max_tokens":9,"max_completion_tokens":5,"presence_penalty":1,"frequency_penalty":-1,)"
      R"("repetition_penalty":1.1,"logit_bias":{"12":-100},"logprobs":true,"top_logprobs":4,)"
      R"("stream":true,"stream_options":{"include_usage":true})");
  ASSERT_TRUE(good.ok()) << good.error().message;
  const SamplingChoice& sampling = good->chat.sampling;
  EXPECT_EQ(sampling.temperature, 0.0f);
  EXPECT_EQ(sampling.top_p, 0.5f);
  EXPECT_EQ(sampling.top_k, 0);
  EXPECT_EQ(sampling.min_p, 0.1f);
  EXPECT_EQ(sampling.seed, 7u);
  EXPECT_THAT(sampling.stop, ElementsAre("a", "b"));
  EXPECT_EQ(sampling.max_tokens, 5);
  EXPECT_EQ(sampling.presence_penalty, 1.0f);
  EXPECT_EQ(sampling.frequency_penalty, -1.0f);
  EXPECT_EQ(sampling.repeat_penalty, 1.1f);
  ASSERT_EQ(sampling.logit_bias.size(), 1u);
  EXPECT_EQ(sampling.logit_bias[0].id, 12);
  EXPECT_EQ(sampling.n_logprobs, 4);
  EXPECT_EQ(good->chat.n_candidates, 3);
  EXPECT_TRUE(good->stream);
  EXPECT_TRUE(good->style.include_usage);
  EXPECT_TRUE(good->style.has_logprobs);
}

struct Refusal {
  const char* members;
  const char* field;
};

class OpenAiChatRefuses : public testing::TestWithParam<Refusal> {};

TEST_P(OpenAiChatRefuses, NamingTheField) {
  expect_refused(chat_with(GetParam().members), GetParam().field);
}

INSTANTIATE_TEST_SUITE_P(
    Fields, OpenAiChatRefuses,
    testing::Values(
        Refusal{R"("temperature":3)", "temperature"},
        Refusal{R"("temperature":"hot")", "temperature"}, Refusal{R"("top_p":1.5)", "top_p"},
        Refusal{R"("n":9)", "n"}, Refusal{R"("n":0)", "n"},
        Refusal{R"("max_tokens":0)", "max_tokens"}, Refusal{R"("stop":[1])", "stop[0]"},
        Refusal{R"("logit_bias":{"a":1})", "logit_bias"},
        Refusal{R"("logprobs":true,"top_logprobs":21)", "top_logprobs"},
        Refusal{R"("top_logprobs":2)", "top_logprobs"},
        Refusal{R"("modalities":["text","audio"])", "modalities"},
        Refusal{R"("audio":{"voice":"a"})", "audio"},
        Refusal{R"("response_format":{"type":"xml"})", "response_format.type"},
        Refusal{R"("response_format":{"type":"json_schema"})", "response_format.schema"},
        Refusal{R"("reasoning_effort":"huge")", "reasoning_effort"},
        Refusal{R"("tools":[{"type":"function","function":{}}])", "tools[0].function.name"},
        Refusal{R"("tools":[{"type":"function","function":{"name":"f","parameters":3}}])",
                "tools[0].function.parameters"},
        Refusal{R"("tool_choice":"required")", "tool_choice"},
        Refusal{R"("tool_choice":{"type":"function","function":{"name":"g"}})",
                "tool_choice.function.name"},
        Refusal{R"("continue_final_message":true)", "continue_final_message"}));

TEST(OpenAiChatRequest, RefusesWhatIsNoRequest) {
  expect_refused(parse_openai_chat(json(R"({"messages":[{"role":"user","content":"a"}]})"), {}),
                 "model");
  expect_refused(parse_openai_chat(json(R"({"model":"m"})"), {}), "messages");
  expect_refused(chat_of("[]"), "messages");
  expect_refused(chat_of(R"([{"role":"robot","content":"a"}])"), "messages[0].role");
  expect_refused(chat_of(R"([{"role":"user","content":3}])"), "messages[0].content");
  EXPECT_FALSE(parse_openai_chat(json("[]"), {}).ok());
}

// http-apis.md 1.7: what holds nothing vanishes.
TEST(OpenAiChatRequest, DropsMessagesOfNothing) {
  const auto request = chat_of(
      R"([{"role":"user","content":"Hi"},{"role":"assistant","content":null},)"
      R"({"role":"user","content":[]},{"role":"user","content":[{}]},)"
      R"({"role":"assistant","content":"  "},{"role":"user","content":[{"type":"text"}]}])");
  ASSERT_TRUE(request.ok()) << request.error().message;
  ASSERT_EQ(request->chat.conversation.messages.size(), 1u);
  expect_refused(chat_of(R"([{"role":"user","content":" "}])"), "messages[0]");
}

TEST(OpenAiChatRequest, KeepsTwoUsersInARowApart) {
  const auto request = chat_of(R"([{"role":"user","content":"a"},{"role":"user","content":"b"}])");
  ASSERT_TRUE(request.ok());
  EXPECT_EQ(request->chat.conversation.messages.size(), 2u);
}

TEST(OpenAiChatRequest, LeavesSystemTextAlone) {
  EXPECT_TRUE(chat_of(R"([{"role":"system","content":"a"}])").ok());
}

TEST(OpenAiChatRequest, DropsTheBillingLine) {
  const auto request =
      chat_of(R"([{"role":"system","content":"x-anthropic-billing-header: a=1\nBe kind."},)"
              R"({"role":"user","content":"x-anthropic-billing-header: b"}])");
  ASSERT_TRUE(request.ok());
  EXPECT_EQ(text_of(request->chat.conversation.messages[0]), "Be kind.");
  EXPECT_EQ(text_of(request->chat.conversation.messages[1]), "x-anthropic-billing-header: b");
}

TEST(OpenAiChatRequest, ReadsCallsAndResults) {
  const auto request =
      chat_of(R"([{"role":"user","content":"Hi"},)"
              R"({"role":"assistant","content":null,"reasoning_content":"hm","tool_calls":[)"
              R"({"id":"c1","type":"function","function":{"name":"f","arguments":"{\"a\":1.0}"}},)"
              R"({"id":"c2","type":"function","function":{"name":"g","arguments":{"b":2}}},)"
              R"({"id":"c3","type":"custom","custom":{"name":"h","input":"x"}}]},)"
              R"({"role":"tool","tool_call_id":"c1","content":"one"},)"
              R"({"role":"tool","tool_call_id":"c2","content":[{"type":"text","text":"t"},)"
              R"({"type":"text","text":"wo"}]},{"role":"tool","tool_call_id":"c3"}])");
  ASSERT_TRUE(request.ok()) << request.error().message;
  const auto& messages = request->chat.conversation.messages;
  ASSERT_EQ(messages.size(), 5u);
  EXPECT_EQ(messages[1].thought, "hm");
  ASSERT_EQ(messages[1].calls.size(), 3u);
  EXPECT_EQ(to_json_text(messages[1].calls[0].arguments), R"({"a":1.0})");
  EXPECT_EQ(to_json_text(messages[1].calls[1].arguments), R"({"b":2})");
  EXPECT_EQ(to_json_text(messages[1].calls[2].arguments), R"({"input":"x"})");
  EXPECT_EQ(messages[2].results[0].call_id, "c1");
  EXPECT_EQ(messages[3].results[0].value, JsonValue::of("two"));
  EXPECT_EQ(messages[4].results[0].value, JsonValue::of(""));
}

TEST(OpenAiChatRequest, ReadsLegacyFunctions) {
  const auto request = parse_openai_chat(
      json(R"({"model":"m","functions":[{"name":"f"}],"function_call":{"name":"f"},"messages":[)"
           R"({"role":"user","content":"a"},{"role":"assistant","content":null,)"
           R"("function_call":{"name":"f","arguments":"{}"}},)"
           R"({"role":"function","name":"f","content":"r"}]})"),
      {});
  ASSERT_TRUE(request.ok()) << request.error().message;
  const Conversation& conversation = request->chat.conversation;
  EXPECT_TRUE(request->style.is_legacy);
  EXPECT_EQ(conversation.tool_choice.mode, Mode::Required);
  EXPECT_THAT(conversation.tool_choice.names, ElementsAre("f"));
  EXPECT_FALSE(conversation.tool_choice.parallel);
  EXPECT_EQ(conversation.messages[1].calls[0].name, "f");
  EXPECT_EQ(conversation.messages[2].results[0].name, "f");
}

// R2: a history that can be read is answered, however broken its calls are.
TEST(OpenAiChatRequest, ReplaysBrokenCallsThatWereAnswered) {
  const std::string history =
      R"([{"role":"user","content":"Hi"},{"role":"assistant","tool_calls":[)"
      R"({"id":"c","type":"function","function":{"name":"f","arguments":"{\"a\":"}}]})";
  const auto answered = chat_of(history + R"(,{"role":"tool","tool_call_id":"c","content":"r"}])");
  ASSERT_TRUE(answered.ok()) << answered.error().message;
  EXPECT_EQ(to_json_text(answered->chat.conversation.messages[1].calls[0].arguments),
            R"({"arguments":"{\"a\":"})");
  EXPECT_THAT(answered->warnings, testing::SizeIs(1));
  expect_refused(chat_of(history + "]"), "messages[1].tool_calls[0].function.arguments");
  const OpenAiOptions strict{.refuse_broken_calls = true};
  EXPECT_FALSE(
      chat_of(history + R"(,{"role":"tool","tool_call_id":"c","content":"r"}])", strict).ok());
}

TEST(OpenAiChatRequest, BlankArgumentsAreNone) {
  for (const auto* arguments : {R"("")", R"(" ")", "null", "{}", R"("{}")", R"("null")"}) {
    const auto request = chat_of(
        std::string(R"([{"role":"user","content":"Hi"},{"role":"assistant","tool_calls":[)") +
        R"({"id":"c","function":{"name":"f","arguments":)" + arguments +
        R"(}}]},{"role":"tool","tool_call_id":"c","content":"r"}])");
    ASSERT_TRUE(request.ok()) << arguments;
    EXPECT_EQ(request->chat.conversation.messages[1].calls[0].arguments, JsonValue::object());
    EXPECT_THAT(request->warnings, IsEmpty()) << arguments;
  }
}

TEST(OpenAiChatRequest, TakesBackASealedThought) {
  const Sealer sealer(Sealer::Key{});
  const auto sealed = sealer.seal("I must call f.");
  ASSERT_TRUE(sealed);
  const auto with = [&](const std::string& signature) {
    return chat_of(R"([{"role":"user","content":"a"},{"role":"assistant","tool_calls":[{"id":"c",)"
                   R"("function":{"name":"f","arguments":"{}"},"extra_content":{"google":)"
                   R"({"thought_signature":")" +
                       signature + R"("}}}]},{"role":"tool","tool_call_id":"c","content":"r"}])",
                   {.help = {.sealer = &sealer}});
  };
  const auto good = with(*sealed);
  ASSERT_TRUE(good.ok());
  EXPECT_EQ(good->chat.conversation.messages[1].thought, "I must call f.");
  const auto garbled = with("AAAA");
  ASSERT_TRUE(garbled.ok());
  EXPECT_EQ(garbled->chat.conversation.messages[1].thought, "");
}

TEST(OpenAiChatRequest, ContinuesTheLastMessageOnlyIfAsked) {
  const std::string members =
      R"({"model":"m","messages":[{"role":"user","content":"a"},{"role":"assistant","content":"b"}])";
  const auto plain = parse_openai_chat(json(members + "}"), {});
  ASSERT_TRUE(plain.ok());
  EXPECT_FALSE(plain->chat.conversation.continue_last);
  for (const auto* how : {R"("continue_final_message":true)", R"("add_generation_prompt":false)"}) {
    const auto asked = parse_openai_chat(json(members + "," + how + "}"), {});
    ASSERT_TRUE(asked.ok());
    EXPECT_TRUE(asked->chat.conversation.continue_last) << how;
  }
}

// ---- media ----

TEST(OpenAiChatRequest, ReadsMediaFromDataUrls) {
  // A PNG's first bytes.
  const auto request = chat_of(
      R"([{"role":"user","content":[{"type":"text","text":"What?"},)"
      R"({"type":"image_url","image_url":{"url":"data:image/jpeg;base64,iVBORw0KGgo=","detail":"low"}},)"
      R"({"type":"image_url","image_url":"DATA:;base64,iVBORw0KGgo"}]}])");
  ASSERT_TRUE(request.ok()) << request.error().message;
  const auto& parts = request->chat.conversation.messages[0].parts;
  ASSERT_EQ(parts.size(), 3u);
  EXPECT_EQ(parts[1].kind, Part::Kind::Image);
  EXPECT_EQ(parts[1].bytes, "\x89PNG\r\n\x1a\n");
  EXPECT_EQ(parts[1].where, "messages[0].content[1].image_url.url");
  EXPECT_EQ(parts[2].bytes, parts[1].bytes);
  EXPECT_EQ(parts[1].settings.budget, 70);
  EXPECT_FALSE(parts[2].settings.budget);
}

TEST(OpenAiChatRequest, ReadsHowMediaAreSeen) {
  const std::string members =
      R"({"model":"m","messages":[{"role":"user","content":[)"
      R"({"type":"image_url","image_url":{"url":"data:;base64,iVBORw0KGgo","detail":"high"}},)"
      R"({"type":"image_url","image_url":{"url":"data:;base64,iVBORw0KGgo","detail":"auto"}},)"
      R"({"type":"video_url","video_url":{"url":"data:;base64,GkXfow"}}]}],)"
      R"("mm_processor_kwargs":)";
  const auto request = parse_openai_chat(
      json(members + R"({"max_soft_tokens":140,"num_frames":8,"sound":false}})"), {});
  ASSERT_TRUE(request.ok()) << request.error().message;
  const auto& parts = request->chat.conversation.messages[0].parts;
  EXPECT_EQ(parts[0].settings.budget, 1120);
  EXPECT_EQ(parts[1].settings.budget, 140);
  EXPECT_EQ(parts[2].settings.budget, 140);
  EXPECT_EQ(parts[2].settings.n_frames, 8);
  EXPECT_EQ(parts[2].settings.sound, false);
  expect_refused(parse_openai_chat(json(members + R"({"max_soft_tokens":100}})"), {}),
                 "mm_processor_kwargs.max_soft_tokens");
  expect_refused(parse_openai_chat(json(members + R"({"num_frames":8,"fps":1}})"), {}),
                 "mm_processor_kwargs.num_frames");
  expect_refused(chat_of(R"([{"role":"user","content":[{"type":"image_url","image_url":)"
                         R"({"url":"data:;base64,iVBORw0KGgo","detail":"huge"}}]}])"),
                 "messages[0].content[0].image_url.detail");
}

TEST(OpenAiChatRequest, ReadsTextFiles) {
  const auto request = chat_of(
      R"([{"role":"user","content":[{"type":"file","file":{"filename":"a.txt","file_data":"aGk="}}]}])");
  ASSERT_TRUE(request.ok()) << request.error().message;
  EXPECT_EQ(text_of(request->chat.conversation.messages[0]), "hi");
}

TEST(OpenAiChatRequest, NeverFetches) {
  for (const auto* url : {"http://localhost/a.png", "https://example.org/", "file:///etc/passwd",
                          "/etc/passwd", "ftp://a"}) {
    const auto request = chat_of(
        std::string(R"([{"role":"user","content":[{"type":"image_url","image_url":{"url":")") +
        url + R"("}}]}])");
    expect_refused(request, "messages[0].content[0].image_url.url");
    EXPECT_THAT(request.error().message, HasSubstr("--fetch-urls"));
  }
}

TEST(OpenAiChatRequest, RefusesWhatIsNoMedium) {
  expect_refused(chat_of(R"([{"role":"user","content":[{"type":"input_audio","input_audio":)"
                         R"({"data":"aGk=","format":"wav"}}]}])"),
                 "messages[0].content[0].input_audio.data");
  expect_refused(chat_of(R"([{"role":"user","content":[{"type":"hologram","x":1}]}])"),
                 "messages[0].content[0].type");
  expect_refused(
      chat_of(R"([{"role":"user","content":[{"type":"file","file":{"file_id":"file-1"}}]}])"),
      "messages[0].content[0].file.file_id");
}

// ---- thinking ----

struct ThinkingCase {
  const char* members;
  bool on;
  Thinking::Level level = Thinking::Level::Unset;
  std::int64_t budget = -1;
};

class OpenAiThinking : public testing::TestWithParam<ThinkingCase> {};

TEST_P(OpenAiThinking, FollowsTheTable) {
  const auto request = chat_with(GetParam().members);
  ASSERT_TRUE(request.ok()) << request.error().message;
  const Thinking& thinking = request->chat.conversation.thinking;
  EXPECT_EQ(thinking.on, GetParam().on);
  EXPECT_EQ(thinking.level, GetParam().level);
  EXPECT_EQ(thinking.budget_tokens.value_or(-1), GetParam().budget);
}

INSTANTIATE_TEST_SUITE_P(
    Spellings, OpenAiThinking,
    testing::Values(
        ThinkingCase{"", false}, ThinkingCase{R"("reasoning_effort":"none")", false},
        ThinkingCase{R"("reasoning_effort":"minimal")", false},
        ThinkingCase{R"("reasoning_effort":"low")", true, Thinking::Level::Low},
        ThinkingCase{R"("reasoning_effort":"medium")", true, Thinking::Level::Medium},
        ThinkingCase{R"("reasoning_effort":"xhigh")", true, Thinking::Level::High},
        ThinkingCase{R"("reasoning":{"effort":"low"})", true, Thinking::Level::Low},
        ThinkingCase{R"("reasoning":{"max_tokens":77})", true, Thinking::Level::Unset, 77},
        ThinkingCase{R"("thinking_token_budget":5,"reasoning_effort":"high")", true,
                     Thinking::Level::Unset, 5},
        ThinkingCase{R"("thinking_budget_tokens":0)", false},
        ThinkingCase{R"("chat_template_kwargs":{"enable_thinking":true})", true,
                     Thinking::Level::High},
        ThinkingCase{R"("chat_template_kwargs":{"enable_thinking":false})", false},
        ThinkingCase{R"("extra_body":{"google":{"thinking_config":{"thinking_budget":9}}})", true,
                     Thinking::Level::Unset, 9}));

TEST(OpenAiChatRequest, HidesThoughtsOnDemand) {
  for (const auto* members : {R"("include_reasoning":false)", R"("reasoning":{"exclude":true})",
                              R"("reasoning_format":"none")"}) {
    const auto request = chat_with(members);
    ASSERT_TRUE(request.ok());
    EXPECT_FALSE(request->style.shows_thoughts) << members;
  }
  EXPECT_TRUE(chat_with("")->style.shows_thoughts);
}

TEST(OpenAiChatRequest, TheServerMayThinkByDefault) {
  EXPECT_TRUE(chat_with("", {.think_default = true})->chat.conversation.thinking.on);
}

// ---- formats ----

struct FormatCase {
  const char* members;
  ResponseFormat::Kind kind;
  const char* content;
};

class OpenAiFormat : public testing::TestWithParam<FormatCase> {};

TEST_P(OpenAiFormat, IsReadInEverySpelling) {
  const auto request = chat_with(GetParam().members);
  ASSERT_TRUE(request.ok()) << request.error().message;
  const ResponseFormat& format = request->chat.conversation.response_format;
  EXPECT_EQ(format.kind, GetParam().kind);
  const bool is_schema = format.kind == ResponseFormat::Kind::JsonSchema;
  EXPECT_EQ(is_schema ? to_json_text(format.schema) : format.source, GetParam().content);
}

using FormatKind = ResponseFormat::Kind;
INSTANTIATE_TEST_SUITE_P(
    Spellings, OpenAiFormat,
    testing::Values(
        FormatCase{R"("response_format":{"type":"text"})", FormatKind::Text, ""},
        FormatCase{R"("response_format":{"type":"json_object"})", FormatKind::Json, ""},
        FormatCase{R"("response_format":{"type":"json_object","schema":{"type":"object"}})",
                   FormatKind::JsonSchema, R"({"type":"object"})"},
        FormatCase{R"("response_format":{"type":"json_schema","json_schema":{"name":"a",)"
                   R"("strict":true,"schema":{"type":"array"}}})",
                   FormatKind::JsonSchema, R"({"type":"array"})"},
        FormatCase{R"("structured_outputs":{"json":{"type":"null"}})", FormatKind::JsonSchema,
                   R"({"type":"null"})"},
        FormatCase{R"("structured_outputs":{"choice":["a.b","c"]})", FormatKind::Regex,
                   R"((?:a\.b|c))"},
        FormatCase{R"("structured_outputs":{"regex":"[ab]+"})", FormatKind::Regex, "[ab]+"},
        FormatCase{R"("grammar":"root ::= \"a\"")", FormatKind::Grammar, R"(root ::= "a")"},
        FormatCase{R"("json_schema":{"type":"object"})", FormatKind::JsonSchema,
                   R"({"type":"object"})"}));

// ---- loosened and ignored ----

TEST(OpenAiChatRequest, ReportsSamplersThatItDoesNotHave) {
  const auto request = chat_with(
      R"("mirostat":2,"dry_multiplier":0.8,"xtc_probability":0,"typical_p":1.0,"ignore_eos":true,)"
      R"("samplers":["top_p","top_k"],"never_heard_of":1)");
  ASSERT_TRUE(request.ok());
  EXPECT_THAT(
      request->warnings,
      testing::UnorderedElementsAre("mirostat is not offered", "dry_multiplier is not offered",
                                    "ignore_eos is not offered", "the order of samplers is fixed"));
}

TEST(OpenAiChatRequest, PriorityComesFromEitherField) {
  EXPECT_EQ(chat_with(R"("service_tier":"flex")")->priority, -1);
  EXPECT_EQ(chat_with(R"("service_tier":"priority")")->priority, 1);
  EXPECT_EQ(chat_with(R"("service_tier":"auto")")->priority, 0);
  EXPECT_EQ(chat_with(R"("priority":-5)")->priority, 1);
  EXPECT_EQ(chat_with(R"("priority":5)")->priority, -1);
}

TEST(OpenAiChatRequest, KeepAliveIsReadAsOllamaSpellsIt) {
  EXPECT_EQ(chat_with(R"("keep_alive":0)")->keep_alive, std::chrono::milliseconds(0));
  EXPECT_EQ(chat_with(R"("keep_alive":"5m")")->keep_alive, std::chrono::minutes(5));
  expect_refused(chat_with(R"("keep_alive":"soon")"), "keep_alive");
}

// ---- completions ----

Result<CompletionRequest> completion_with(const std::string& members) {
  return parse_completion(json(R"({"model":"m",)" + members + "}"));
}

TEST(CompletionRequest, TakesAllFormsOfPrompts) {
  EXPECT_EQ(completion_with(R"("prompt":"a")")->prompts[0].text, "a");
  EXPECT_TRUE(completion_with(R"("prompt":"a")")->prompts[0].trusted);
  EXPECT_EQ(completion_with(R"("prompt":["a","b"])")->prompts.size(), 2u);
  EXPECT_THAT(completion_with(R"("prompt":[2,5])")->prompts[0].ids, ElementsAre(2, 5));
  EXPECT_THAT(completion_with(R"("prompt":[[2],[5,6]])")->prompts[1].ids, ElementsAre(5, 6));
}

TEST(CompletionRequest, RefusesBadMembers) {
  expect_refused(parse_completion(json(R"({"model":"m"})")), "prompt");
  expect_refused(completion_with(R"("prompt":[])"), "prompt");
  expect_refused(completion_with(R"("prompt":[[]])"), "prompt[0]");
  expect_refused(completion_with(R"("prompt":"a","suffix":"b")"), "suffix");
  expect_refused(completion_with(R"("prompt":"a","n":3,"best_of":2)"), "best_of");
  expect_refused(completion_with(R"("prompt":"a","best_of":2,"stream":true)"), "best_of");
  expect_refused(completion_with(R"("prompt":"a","logprobs":-1)"), "logprobs");
}

TEST(CompletionRequest, TakesTheBestOfMany) {
  const auto request =
      completion_with(R"("prompt":"a","n":2,"best_of":4,"logprobs":3,"echo":true)");
  ASSERT_TRUE(request.ok()) << request.error().message;
  EXPECT_EQ(request->style.n_shown, 2);
  EXPECT_EQ(request->prompts[0].n_candidates, 4);
  EXPECT_EQ(request->prompts[0].sampling.n_logprobs, 3);
  EXPECT_EQ(request->style.n_logprobs, 3);
  EXPECT_THAT(request->warnings, ElementsAre("the prompt has no log probabilities"));
}

}  // namespace
}  // namespace fourfold
