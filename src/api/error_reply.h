// One error, four faces (http-apis.md 1.5).
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"

namespace fourfold {

enum class Dialect { Gemini, OpenAI, Responses, Ollama, Anthropic, Operations };
std::string_view name(Dialect dialect);  // "gemini", "openai" (also of Responses), …

using HeaderList = std::vector<std::pair<std::string, std::string>>;

struct ErrorReply {
  int status = 500;
  HeaderList headers;  // Retry-After, retry-after-ms, x-should-retry
  std::string body;    // one line of JSON
};

// Reasons in ErrorDetail that have a row of their own: context_length_exceeded, unsupported_value,
// unsupported_media, model_not_found, invalid_api_key, missing_api_key, insufficient_scope,
// origin_not_allowed, queue_full, rate_limit_exceeded, model_loading, model_load_failed,
// body_too_large, not_offered, method_not_allowed, previous_response_not_found, compaction_failed.
// Without a reason the code decides.
ErrorReply error_reply(Dialect dialect, const Error& error, std::string_view request_id);

// "model 'm' not found": each dialect says it in its own words around the name.
Error model_not_found(std::string_view model);
// 501: "image generation is not offered by this server".
Error not_offered(std::string_view what);

}  // namespace fourfold
