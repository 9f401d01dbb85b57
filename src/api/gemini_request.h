// Requests in Gemini's dialect: generateContent and countTokens (http-apis.md 2.3–2.5, 2.9, 2.10).
//
//   const auto request = TRY(parse_gemini_request(body, {.model = "gemma-4-e4b-it", …}));
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "api/gemini_content.h"
#include "api/messages.h"
#include "base/json_value.h"
#include "base/result.h"
#include "engine/chat_service.h"

namespace fourfold {

// What a request's meaning depends on.
struct GeminiRequestOptions {
  std::string model;  // of the path; empty: whatever the body says
  bool thinks_by_default = false;
  bool ignore_server_tools = false;  // reported instead of refused
  GeminiContentOptions content;
  // As far as they are settings of the server.
  std::vector<std::string> billing_prefixes = {"x-anthropic-billing-header:"};
  bool refuse_broken_calls = false;
  // The body with which the cached content was made that the request names; null: none.
  const JsonValue* cached = nullptr;
};

struct GeminiRequest {
  ChatRequest chat;
  bool include_thoughts = false;
  bool has_logprobs = false;
  std::vector<std::string> warnings;
};

Result<GeminiRequest> parse_gemini_request(const JsonValue& body,
                                           const GeminiRequestOptions& options);
// A body of countTokens: contents alone, or a whole generateContentRequest.
Result<GeminiRequest> parse_gemini_count(const JsonValue& body,
                                         const GeminiRequestOptions& options);
// A body of cachedContents: what a prompt begins with. Nothing is to be answered yet, so system
// text alone will do.
Result<GeminiRequest> parse_gemini_cache(const JsonValue& body,
                                         const GeminiRequestOptions& options);

// "cachedContents/ID" → ID; empty if the request (or the one to be counted) names none.
Result<std::string> cached_content_id(const JsonValue& body);

}  // namespace fourfold
