// Requests in Ollama's dialect: /api/chat and /api/generate (http-apis.md 4.2).
//
//   const auto name = TRY(ollama_model_name(body));
//   auto request = TRY(parse_ollama_chat(body, facts_of(name)));
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "api/messages.h"
#include "base/json_value.h"
#include "base/result.h"
#include "engine/chat_service.h"

namespace fourfold {

// What a request's meaning depends on.
struct OllamaModelTraits {
  std::string name;  // as the client wrote it
  ChatCapabilities capabilities;
  std::int64_t context = 0;
  bool thinks_by_default = true;
  MessageRules rules;  // as far as they are settings of the server
};

struct OllamaRequest {
  ChatRequest chat;
  std::optional<RawRequest> raw;  // instead of `chat`
  std::vector<TokenId> context;   // of generate: goes in front
  bool stream = true;
  bool only_loads = false;  // nothing to answer: the model is loaded, or unloaded
  std::optional<std::chrono::milliseconds> keep_alive;
  std::vector<std::string> warnings;

  bool has_logprobs() const { return (raw ? raw->sampling : chat.sampling).n_logprobs >= 0; }
  bool unloads() const { return only_loads && keep_alive && keep_alive->count() == 0; }
};

// "model", or "name" as some clients call it.
Result<std::string> ollama_model_name(const JsonValue& body);

Result<OllamaRequest> parse_ollama_chat(const JsonValue& body, const OllamaModelTraits& model);
Result<OllamaRequest> parse_ollama_generate(const JsonValue& body, const OllamaModelTraits& model);

// Sampling of "options"; also what /api/create calls "parameters".
Result<SamplingChoice> parse_ollama_options(const JsonValue& options, std::int64_t context,
                                            std::vector<std::string>& warnings);
// Messages as /api/chat and /api/create have them; broken calls are noted in the rules.
Result<std::vector<Message>> parse_ollama_messages(const JsonValue& body, MessageRules& rules,
                                                   std::vector<std::string>& warnings);

// Seconds as a number, or a Go duration, "1h30m"; negative: for ever.
Result<std::chrono::milliseconds> parse_keep_alive(const JsonValue& value);

}  // namespace fourfold
