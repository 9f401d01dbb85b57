// Requests of OpenAI's Responses API → what the engine is asked (http-apis.md 3.7).
//
//   auto request = TRY(parse_responses(body, options));
//   request.chat.conversation …                  // for the engine
//   request.style …                              // for the formatter
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "api/openai_request.h"
#include "api/responses_items.h"
#include "base/json_value.h"
#include "base/result.h"
#include "engine/chat_service.h"

namespace fourfold {

struct ResponsesOptions {
  OpenAiOptions common;
  // The items of a stored conversation, and a stored item; nullopt if there is none of this id.
  std::function<std::optional<std::vector<JsonValue>>(const std::string& id)> find_response;
  std::function<std::optional<JsonValue>(const std::string& id)> find_item;
};

// How the reply is to look.
struct ResponsesStyle {
  JsonValue echo = JsonValue::object();  // what the reply repeats of the request
  ToolNames tool_names;
  bool summarizes = false;     // thoughts are shown as summaries
  bool has_encrypted = false;  // and come sealed as well
  bool has_logprobs = false;
};

struct ResponsesRequest {
  std::string model;
  ChatRequest chat;
  bool stream = false;
  bool store = true;
  ResponsesStyle style;
  std::string instructions;
  MediaSettings media;                            // where its parts say nothing
  ItemList list;                                  // without the trigger
  bool is_compaction = false;                     // the answer is to be a summary
  std::optional<std::int64_t> compact_threshold;  // of prompt tokens: a summary first
  int priority = 0;
  std::optional<std::chrono::milliseconds> keep_alive;
  std::vector<std::string> warnings;
};

// A request of POST /v1/responses, or one of its relatives.
Result<ResponsesRequest> parse_responses(const JsonValue& body, const ResponsesOptions& options);

// The conversation of these items takes the place of that of the request.
Status use_items(ResponsesRequest& request, ItemList list, const ResponsesOptions& options);

}  // namespace fourfold
