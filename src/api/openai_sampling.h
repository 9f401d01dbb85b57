// The settings that the requests of OpenAI's endpoints share: how tokens are drawn, how much is
// thought, who goes first, what form the answer has.
#pragma once

#include <string>
#include <vector>

#include "api/field.h"
#include "base/result.h"
#include "chat/conversation.h"
#include "engine/sampling_choice.h"

namespace fourfold {

// What is known elsewhere and not followed here is named in `warnings`. Without max_tokens, whose
// name differs.
Result<SamplingChoice> read_openai_sampling(const Field& body, std::vector<std::string>& warnings);

// The smallest of these limits; −1 if none is given.
Result<std::int64_t> read_token_limit(const Field& body,
                                      std::initializer_list<std::string_view> names);

struct ThinkingChoice {
  Thinking thinking;
  bool is_shown = true;
};

// reasoning_effort, reasoning{}, chat_template_kwargs, budgets and the extension of Google's layer.
Result<ThinkingChoice> read_openai_thinking(const Field& body, bool think_default);

// The class of the request from service_tier or priority: −1, 0 or 1.
Result<int> read_priority(const Field& body);

// {"type": "text" | "json_object" | "json_schema"}, whose schema stands in it (Responses) or in
// "json_schema" (chat).
Result<ResponseFormat> read_openai_format(const Field& format);
// The format, and the spellings of other servers: structured_outputs, grammar, json_schema.
Result<ResponseFormat> read_any_format(const Field& body, const Field& format);

}  // namespace fourfold
