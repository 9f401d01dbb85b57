// Requests of OpenAI's chat completions and completions → what the engine is asked.
//
//   auto request = TRY(parse_openai_chat(body, {.think_default = false}));
//   request.chat.conversation …                  // for the engine
//   request.style …                              // for the formatter
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "api/openai_messages.h"
#include "api/openai_sampling.h"
#include "api/openai_tools.h"
#include "base/json_value.h"
#include "base/result.h"
#include "engine/chat_service.h"

namespace fourfold {

// What the server has settled.
struct OpenAiOptions {
  bool think_default = false;
  bool refuse_broken_calls = false;
  std::vector<std::string> billing_prefixes = {"x-anthropic-billing-header:"};
  HistoryHelp help;
};

// How the reply is to look.
struct OpenAiChatStyle {
  bool include_usage = false;
  bool shows_thoughts = true;
  bool has_logprobs = false;
  bool is_legacy = false;  // one function_call instead of tool_calls
  ToolNames tool_names;
};

struct OpenAiChatRequest {
  std::string model;
  ChatRequest chat;
  bool stream = false;
  OpenAiChatStyle style;
  int priority = 0;
  std::optional<std::chrono::milliseconds> keep_alive;
  std::vector<std::string> warnings;
};

Result<OpenAiChatRequest> parse_openai_chat(const JsonValue& body, const OpenAiOptions& options);

// How the reply of a completion is to look.
struct CompletionStyle {
  bool include_usage = false;
  bool echo = false;
  int n_logprobs = -1;  // −1: none
  int n_shown = 1;      // of the candidates of each prompt, the best ones
};

struct CompletionRequest {
  std::string model;
  std::vector<RawRequest> prompts;  // the same but for their text
  bool stream = false;
  CompletionStyle style;
  int priority = 0;
  std::optional<std::chrono::milliseconds> keep_alive;
  std::vector<std::string> warnings;
};

Result<CompletionRequest> parse_completion(const JsonValue& body);

// "model" of any OpenAI request.
Result<std::string> read_model_name(const Field& body);
// How long the model stays loaded: seconds, or "5m".
Result<std::optional<std::chrono::milliseconds>> read_keep_alive(const Field& body);

}  // namespace fourfold
