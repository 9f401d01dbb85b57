// Ollama's "context": the ids of a conversation, which a client hands back unread to go on with it.
#pragma once

#include <span>
#include <vector>

#include "api/ollama_request.h"
#include "base/result.h"
#include "chat/conversation.h"
#include "tokenizer/tokenizer.h"

namespace fourfold {

// The turns that these ids spell, without thoughts: they are rendered anew, so that ids from a
// client can forge nothing that a list of messages could not say. InvalidArgument for ids that are
// no turns, or of another vocabulary.
Result<std::vector<Message>> messages_of_context(const Tokenizer& tokenizer,
                                                 std::span<const TokenId> ids);

// Puts the request's context in front of what it asks.
Status add_ollama_context(const Tokenizer& tokenizer, OllamaRequest& request);

}  // namespace fourfold
