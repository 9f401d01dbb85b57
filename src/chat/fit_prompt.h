// A conversation that outgrows the context forgets its oldest exchanges (tokenizer-chat.md 2.9).
//
// An exchange is a user message with all that follows, up to the next user message; what stands
// before the first one goes with it. System texts in front and the newest exchange always stay.
#pragma once

#include <cstdint>

#include "base/result.h"
#include "chat/conversation.h"
#include "chat/render.h"

namespace fourfold {

struct FittedPrompt {
  Prompt prompt;
  std::size_t n_forgotten_messages = 0;  // from the first one behind the system texts on
  int n_forgotten_exchanges = 0;
  std::int64_t n_forgotten_tokens = 0;
};

// Forgets nothing as long as one token of an answer fits behind the prompt; otherwise so much that
// the prompt can grow for several turns. ResourceExhausted with both numbers if the system texts,
// the tools and the newest exchange do not fit alone.
Result<FittedPrompt> fit_prompt(const Tokenizer& tokenizer, const Conversation& conversation,
                                const RenderOptions& options, std::int64_t context);

// Takes out the first n messages behind the system texts.
void forget_messages(std::vector<Message>& messages, std::size_t n);

// "prompt of 4100 tokens: the context holds 4096, the answer included".
Error prompt_too_long(std::int64_t n_tokens, std::int64_t context);

}  // namespace fourfold
