// Requests in Anthropic's dialect: /v1/messages and its token count (http-apis.md 5).
#pragma once

#include <string>
#include <vector>

#include "api/messages.h"
#include "api/openai_media.h"
#include "api/sealed_text.h"
#include "base/json_value.h"
#include "base/result.h"
#include "engine/chat_service.h"

namespace fourfold {

struct AnthropicOptions {
  const Sealer* sealer = nullptr;  // opens the signatures of thoughts; null: none is known
  FileReader read_file;            // null: no files are stored
  bool thinks_by_default = false;
  MessageRules rules;  // as far as they are settings of the server
};

struct AnthropicRequest {
  std::string model;
  ChatRequest chat;
  bool stream = false;
  bool hides_thoughts = false;  // they are answered by their signature alone
  std::vector<std::string> warnings;
};

Result<AnthropicRequest> parse_anthropic(const JsonValue& body, const AnthropicOptions& options);

}  // namespace fourfold
