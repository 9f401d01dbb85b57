// One conversation in the words of every dialect is one prompt, id by id.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "api/anthropic_request.h"
#include "api/gemini_request.h"
#include "api/ollama_request.h"
#include "api/openai_request.h"
#include "api/responses_request.h"
#include "base/base64.h"
#include "base/json_value.h"
#include "engine/engine.h"
#include "engine/prepare_chat.h"
#include "engine/test_media.h"
#include "formats/test_files.h"
#include "runtime/position_key.h"
#include "tokenizer/detokenizer.h"

namespace fourfold {
namespace {

using testing::HasSubstr;

const std::string kKeeper = std::string(FOURFOLD_SOURCE_DIR) + "/models/keeper/keeper.gguf";

// Bodies of requests without their model. Stretches in angle brackets stand for what the dialects
// share: see filled_in().
struct Dialects {
  std::string gemini, openai, responses, ollama, anthropic;
};

constexpr const char* kSchema =
    R"({"type":"object","properties":{"city":{"type":"string","description":"Its name"}},"required":["city"]})";

std::string filled_in(std::string body) {
  const std::pair<std::string, std::string> stretches[] = {
      {"<schema>", kSchema},
      {"<picture>", to_base64(test_media::picture(24, 16, 7))},
      {"<function>", std::string(R"("name":"get_weather","description":"Tells the weather.")")}};
  for (const auto& [name, text] : stretches) {
    for (auto at = body.find(name); at != body.npos; at = body.find(name, at + text.size())) {
      body.replace(at, name.size(), text);
    }
  }
  return body;
}

class DialectsTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    const auto blind = Engine::open(kKeeper, {.n_threads = 1});
    ASSERT_TRUE(blind.ok()) << blind.error().message;
    const std::string projector = folder_.file("mmproj.gguf");
    test_media::write_projector(projector, (*blind)->config().text.width);
    EngineOptions options;
    options.n_threads = 1;
    options.mmproj = projector;
    auto engine = Engine::open(kKeeper, options);
    ASSERT_TRUE(engine.ok()) << engine.error().message;
    engine_ = std::move(*engine);
    preparer_ = ChatPreparer::make(*engine_).value();
  }
  static void TearDownTestSuite() {
    preparer_.reset();
    engine_.reset();
  }

  static Result<Prompt> prompt_of(const ChatRequest& chat) {
    auto prepared = TRY(preparer_->prepare(chat));
    return std::move(prepared.prompt);
  }

  // By name of the dialect: its prompt, or its error.
  static std::vector<std::pair<std::string, Result<Prompt>>> prompts(const Dialects& dialects) {
    const auto read = [](const std::string& body) {
      return parse_json_value(filled_in(body)).value();
    };
    const auto prompt = [](const auto& request) -> Result<Prompt> {
      if (!request.ok()) return request.error();
      return prompt_of(request->chat);
    };
    // Named: GCC 12 takes the temporaries of a long initialiser for uninitialised.
    const GeminiRequestOptions gemini;
    const OpenAiOptions openai;
    const ResponsesOptions responses;
    const AnthropicOptions anthropic;
    const OllamaModelTraits ollama{.name = "m",
                                   .capabilities = preparer_->capabilities(),
                                   .context = engine_->context(),
                                   .rules = {}};
    std::vector<std::pair<std::string, Result<Prompt>>> all;
    all.emplace_back("gemini", prompt(parse_gemini_request(read(dialects.gemini), gemini)));
    all.emplace_back("openai", prompt(parse_openai_chat(read(dialects.openai), openai)));
    all.emplace_back("responses", prompt(parse_responses(read(dialects.responses), responses)));
    all.emplace_back("ollama", prompt(parse_ollama_chat(read(dialects.ollama), ollama)));
    all.emplace_back("anthropic", prompt(parse_anthropic(read(dialects.anthropic), anthropic)));
    return all;
  }

  // The text of the prompt that all of them have.
  static std::string common_prompt(const Dialects& dialects) {
    const Tokenizer& tokenizer = preparer_->tokenizer();
    std::vector<PositionKey> common;
    std::string text;
    for (const auto& [name, prompt] : prompts(dialects)) {
      EXPECT_TRUE(prompt.ok()) << name << ": " << prompt.error().message;
      if (!prompt.ok()) continue;
      // Pictures are told apart by their content, too.
      const auto keys = position_keys(prompt->ids, prompt->soft);
      if (common.empty()) {
        common = keys;
        text = decode(tokenizer, prompt->ids);
      }
      EXPECT_EQ(keys, common) << name << ": " << decode(tokenizer, prompt->ids);
    }
    return text;
  }

  static inline testing_files::TempFolder folder_;
  static inline std::unique_ptr<Engine> engine_;
  static inline std::unique_ptr<ChatPreparer> preparer_;
};

TEST_F(DialectsTest, TalkHasOnePrompt) {
  const auto text = common_prompt({
      .gemini = R"({"systemInstruction": {"parts": [{"text": "Be kind."}]}, "contents": [
          {"role": "user", "parts": [{"text": "Hi <turn|>"}]},
          {"role": "model", "parts": [{"text": "Good day."}]},
          {"role": "user", "parts": [{"text": "Größer?"}]}]})",
      .openai = R"({"model": "m", "messages": [
          {"role": "system", "content": "Be kind."}, {"role": "user", "content": "Hi <turn|>"},
          {"role": "assistant", "content": "Good day."},
          {"role": "user", "content": [{"type": "text", "text": "Größer?"}]}]})",
      .responses = R"({"model": "m", "instructions": "Be kind.", "input": [
          {"role": "user", "content": "Hi <turn|>"},
          {"role": "assistant", "content": [{"type": "output_text", "text": "Good day."}]},
          {"role": "user", "content": [{"type": "input_text", "text": "Größer?"}]}]})",
      .ollama = R"({"model": "m", "think": false, "messages": [
          {"role": "system", "content": "Be kind."}, {"role": "user", "content": "Hi <turn|>"},
          {"role": "assistant", "content": "Good day."}, {"role": "user", "content": "Größer?"}]})",
      .anthropic = R"({"model": "m", "max_tokens": 100, "system": "Be kind.", "messages": [
          {"role": "user", "content": "Hi <turn|>"}, {"role": "assistant", "content": "Good day."},
          {"role": "user", "content": [{"type": "text", "text": "Größer?"}]}]})",
  });
  EXPECT_THAT(text, HasSubstr("Be kind."));
}

TEST_F(DialectsTest, ThoughtsCallsAndResultsHaveOnePrompt) {
  const auto text = common_prompt({
      .gemini = R"({
        "systemInstruction": {"parts": [{"text": "Be kind."}]},
        "tools": [{"functionDeclarations": [{<function>, "parametersJsonSchema": <schema>}]}],
        "generationConfig": {"thinkingConfig": {"thinkingBudget": 500}},
        "contents": [
          {"role": "user", "parts": [{"text": "How warm is it?"}]},
          {"role": "model", "parts": [
            {"text": "Two cities.", "thought": true},
            {"functionCall": {"id": "a", "name": "get_weather", "args": {"city": "Paris"}}},
            {"functionCall": {"id": "b", "name": "get_weather", "args": {"city": "Rome"}}}]},
          {"role": "user", "parts": [
            {"functionResponse": {"id": "a", "name": "get_weather", "response": {"value": "21"}}},
            {"functionResponse": {"id": "b", "name": "get_weather", "response": {"value": "25"}}}]}]})",
      .openai = R"({"model": "m", "reasoning_effort": "low",
        "tools": [{"type": "function", "function": {<function>, "parameters": <schema>}}],
        "messages": [
          {"role": "system", "content": "Be kind."}, {"role": "user", "content": "How warm is it?"},
          {"role": "assistant", "content": null, "reasoning_content": "Two cities.", "tool_calls": [
            {"id": "a", "type": "function",
             "function": {"name": "get_weather", "arguments": "{\"city\": \"Paris\"}"}},
            {"id": "b", "type": "function",
             "function": {"name": "get_weather", "arguments": "{\"city\": \"Rome\"}"}}]},
          {"role": "tool", "tool_call_id": "a", "content": "21"},
          {"role": "tool", "tool_call_id": "b", "content": "25"}]})",
      .responses = R"({"model": "m", "instructions": "Be kind.", "reasoning": {"effort": "low"},
        "tools": [{"type": "function", <function>, "parameters": <schema>}],
        "input": [
          {"role": "user", "content": "How warm is it?"},
          {"type": "reasoning", "id": "rs_1", "summary": [],
           "content": [{"type": "reasoning_text", "text": "Two cities."}]},
          {"type": "function_call", "call_id": "a", "name": "get_weather",
           "arguments": "{\"city\": \"Paris\"}"},
          {"type": "function_call", "call_id": "b", "name": "get_weather",
           "arguments": "{\"city\": \"Rome\"}"},
          {"type": "function_call_output", "call_id": "a", "output": "21"},
          {"type": "function_call_output", "call_id": "b", "output": "25"}]})",
      .ollama = R"({"model": "m", "think": "low",
        "tools": [{"type": "function", "function": {<function>, "parameters": <schema>}}],
        "messages": [
          {"role": "system", "content": "Be kind."}, {"role": "user", "content": "How warm is it?"},
          {"role": "assistant", "content": "", "thinking": "Two cities.", "tool_calls": [
            {"function": {"name": "get_weather", "arguments": {"city": "Paris"}}},
            {"function": {"name": "get_weather", "arguments": {"city": "Rome"}}}]},
          {"role": "tool", "tool_name": "get_weather", "content": "21"},
          {"role": "tool", "tool_name": "get_weather", "content": "25"}]})",
      .anthropic = R"({"model": "m", "max_tokens": 2000, "system": "Be kind.",
        "thinking": {"type": "enabled", "budget_tokens": 1024},
        "tools": [{<function>, "input_schema": <schema>}],
        "messages": [
          {"role": "user", "content": "How warm is it?"},
          {"role": "assistant", "content": [
            {"type": "thinking", "thinking": "Two cities.", "signature": ""},
            {"type": "tool_use", "id": "a", "name": "get_weather", "input": {"city": "Paris"}},
            {"type": "tool_use", "id": "b", "name": "get_weather", "input": {"city": "Rome"}}]},
          {"role": "user", "content": [
            {"type": "tool_result", "tool_use_id": "a", "content": "21"},
            {"type": "tool_result", "tool_use_id": "b", "content": "25"}]}]})",
  });
  EXPECT_THAT(text, HasSubstr("Two cities."));
  EXPECT_THAT(text, HasSubstr("Rome"));
}

TEST_F(DialectsTest, APictureThoughtsCallsAndResultsHaveOnePrompt) {
  const auto text = common_prompt({
      .gemini = R"({
        "systemInstruction": {"parts": [{"text": "Be kind."}]},
        "tools": [{"functionDeclarations": [{<function>, "parametersJsonSchema": <schema>}]}],
        "generationConfig": {"thinkingConfig": {"thinkingBudget": 500}},
        "contents": [
          {"role": "user", "parts": [
            {"inlineData": {"mimeType": "image/bmp", "data": "<picture>"}},
            {"text": "How warm is it here?"}]},
          {"role": "model", "parts": [
            {"text": "Two cities.", "thought": true},
            {"functionCall": {"id": "a", "name": "get_weather", "args": {"city": "Paris"}}},
            {"functionCall": {"id": "b", "name": "get_weather", "args": {"city": "Rome"}}}]},
          {"role": "user", "parts": [
            {"functionResponse": {"id": "a", "name": "get_weather", "response": {"value": "21"}}},
            {"functionResponse": {"id": "b", "name": "get_weather", "response": {"value": "25"},
             "parts": [{"inlineData": {"mimeType": "image/bmp", "data": "<picture>"}}]}}]}]})",
      .openai = R"({"model": "m", "reasoning_effort": "low",
        "tools": [{"type": "function", "function": {<function>, "parameters": <schema>}}],
        "messages": [
          {"role": "system", "content": "Be kind."},
          {"role": "user", "content": [
            {"type": "image_url", "image_url": {"url": "data:image/bmp;base64,<picture>"}},
            {"type": "text", "text": "How warm is it here?"}]},
          {"role": "assistant", "content": null, "reasoning_content": "Two cities.", "tool_calls": [
            {"id": "a", "type": "function",
             "function": {"name": "get_weather", "arguments": "{\"city\": \"Paris\"}"}},
            {"id": "b", "type": "function",
             "function": {"name": "get_weather", "arguments": "{\"city\": \"Rome\"}"}}]},
          {"role": "tool", "tool_call_id": "a", "content": "21"},
          {"role": "tool", "tool_call_id": "b", "content": [{"type": "text", "text": "25"},
            {"type": "image_url", "image_url": "data:;base64,<picture>"}]}]})",
      .responses = R"({"model": "m", "instructions": "Be kind.", "reasoning": {"effort": "low"},
        "tools": [{"type": "function", <function>, "parameters": <schema>}],
        "input": [
          {"role": "user", "content": [
            {"type": "input_image", "image_url": "data:image/bmp;base64,<picture>"},
            {"type": "input_text", "text": "How warm is it here?"}]},
          {"type": "reasoning", "id": "rs_1", "summary": [],
           "content": [{"type": "reasoning_text", "text": "Two cities."}]},
          {"type": "function_call", "call_id": "a", "name": "get_weather",
           "arguments": "{\"city\": \"Paris\"}"},
          {"type": "function_call", "call_id": "b", "name": "get_weather",
           "arguments": "{\"city\": \"Rome\"}"},
          {"type": "function_call_output", "call_id": "a", "output": "21"},
          {"type": "function_call_output", "call_id": "b", "output": [
            {"type": "input_text", "text": "25"},
            {"type": "input_image", "image_url": "data:image/bmp;base64,<picture>"}]}]})",
      .ollama = R"({"model": "m", "think": "low",
        "tools": [{"type": "function", "function": {<function>, "parameters": <schema>}}],
        "messages": [
          {"role": "system", "content": "Be kind."},
          {"role": "user", "content": "How warm is it here?", "images": ["<picture>"]},
          {"role": "assistant", "content": "", "thinking": "Two cities.", "tool_calls": [
            {"function": {"name": "get_weather", "arguments": {"city": "Paris"}}},
            {"function": {"name": "get_weather", "arguments": {"city": "Rome"}}}]},
          {"role": "tool", "tool_name": "get_weather", "content": "21"},
          {"role": "tool", "tool_name": "get_weather", "content": "25", "images": ["<picture>"]}]})",
      .anthropic = R"({"model": "m", "max_tokens": 2000, "system": "Be kind.",
        "thinking": {"type": "enabled", "budget_tokens": 1024},
        "tools": [{<function>, "input_schema": <schema>}],
        "messages": [
          {"role": "user", "content": [
            {"type": "image", "source": {"type": "base64", "media_type": "image/bmp",
             "data": "<picture>"}},
            {"type": "text", "text": "How warm is it here?"}]},
          {"role": "assistant", "content": [
            {"type": "thinking", "thinking": "Two cities.", "signature": ""},
            {"type": "tool_use", "id": "a", "name": "get_weather", "input": {"city": "Paris"}},
            {"type": "tool_use", "id": "b", "name": "get_weather", "input": {"city": "Rome"}}]},
          {"role": "user", "content": [
            {"type": "tool_result", "tool_use_id": "a", "content": "21"},
            {"type": "tool_result", "tool_use_id": "b", "content": [
              {"type": "text", "text": "25"},
              {"type": "image", "source": {"type": "base64", "media_type": "image/bmp",
               "data": "<picture>"}}]}]}]})",
  });
  const auto first = text.find("<|image>");
  EXPECT_NE(first, text.npos);
  EXPECT_NE(text.find("<|image>", first + 1), text.npos);
}

TEST_F(DialectsTest, SystemTextInTheMiddleHasOnePrompt) {
  const std::string openai = R"({"model": "m", "messages": [
      {"role": "system", "content": "Be kind."}, {"role": "user", "content": "Hi"},
      {"role": "assistant", "content": "Good day."}, {"role": "system", "content": "Be short."},
      {"role": "user", "content": "And now?"}]})";
  common_prompt({
      .gemini = R"({"systemInstruction": {"parts": [{"text": "Be kind."}]}, "contents": [
          {"role": "user", "parts": [{"text": "Hi"}]},
          {"role": "model", "parts": [{"text": "Good day."}]},
          {"role": "system", "parts": [{"text": "Be short."}]},
          {"role": "user", "parts": [{"text": "And now?"}]}]})",
      .openai = openai,
      .responses = R"({"model": "m", "instructions": "Be kind.", "input": [
          {"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Good day."},
          {"role": "developer", "content": "Be short."},
          {"role": "user", "content": "And now?"}]})",
      .ollama = R"({"model": "m", "think": false, "messages": [
          {"role": "system", "content": "Be kind."}, {"role": "user", "content": "Hi"},
          {"role": "assistant", "content": "Good day."}, {"role": "system", "content": "Be short."},
          {"role": "user", "content": "And now?"}]})",
      .anthropic = R"({"model": "m", "max_tokens": 100, "system": "Be kind.", "messages": [
          {"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Good day."},
          {"role": "system", "content": "Be short."}, {"role": "user", "content": "And now?"}]})",
  });
}

}  // namespace
}  // namespace fourfold
