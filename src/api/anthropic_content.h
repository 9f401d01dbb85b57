// The messages of an Anthropic request, block by block. Internal to anthropic_request.cpp.
#pragma once

#include <string>
#include <vector>

#include "api/anthropic_request.h"
#include "api/field.h"
#include "chat/conversation.h"

namespace fourfold {

// The system text in front, a string or text blocks.
Result<std::vector<Message>> read_anthropic_system(const Field& system);

// A user's message becomes its results, one message each, and what else it says.
Result<std::vector<Message>> read_anthropic_message(const Field& message,
                                                    const AnthropicOptions& options,
                                                    MessageRules& rules,
                                                    std::vector<std::string>& warnings);

}  // namespace fourfold
