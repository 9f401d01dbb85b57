#include "chat/fit_prompt.h"

#include <algorithm>

namespace fourfold {
namespace {

std::int64_t size_of(const Prompt& prompt) { return static_cast<std::int64_t>(prompt.ids.size()); }

std::size_t n_system_texts(const std::vector<Message>& messages) {
  const auto other = std::find_if(messages.begin(), messages.end(), [](const Message& message) {
    return message.role != Role::System && message.role != Role::Developer;
  });
  return static_cast<std::size_t>(other - messages.begin());
}

// Where exchanges begin, without the first one.
std::vector<std::size_t> cuts(const std::vector<Message>& messages, std::size_t first) {
  std::vector<std::size_t> out;
  bool has_user = false;
  for (std::size_t i = first; i < messages.size(); ++i) {
    if (messages[i].role != Role::User) continue;
    if (has_user) out.push_back(i);
    has_user = true;
  }
  return out;
}

}  // namespace

void forget_messages(std::vector<Message>& messages, std::size_t n) {
  const auto first = messages.begin() + static_cast<std::ptrdiff_t>(n_system_texts(messages));
  messages.erase(first, first + static_cast<std::ptrdiff_t>(n));
}

Error prompt_too_long(std::int64_t n_tokens, std::int64_t context) {
  return resource_exhausted("prompt of {} tokens: the context holds {}, the answer included",
                            n_tokens, context)
      .with({.reason = "context_length_exceeded",
             .prompt_tokens = n_tokens,
             .context_tokens = context});
}

Result<FittedPrompt> fit_prompt(const Tokenizer& tokenizer, const Conversation& conversation,
                                const RenderOptions& options, std::int64_t context) {
  FittedPrompt fitted{.prompt = TRY(render(tokenizer, conversation, options))};
  const std::int64_t n_whole = size_of(fitted.prompt);
  if (n_whole < context) return fitted;

  const std::int64_t reserve = std::min<std::int64_t>(1024, context / 4);
  const std::size_t first = n_system_texts(conversation.messages);
  const auto places = cuts(conversation.messages, first);
  const auto cut_at = [&](std::size_t place) -> Result<FittedPrompt> {
    Conversation rest = conversation;
    const std::size_t n_messages = places[place] - first;
    forget_messages(rest.messages, n_messages);
    FittedPrompt cut{.prompt = TRY(render(tokenizer, rest, options)),
                     .n_forgotten_messages = n_messages,
                     .n_forgotten_exchanges = static_cast<int>(place) + 1};
    cut.n_forgotten_tokens = n_whole - size_of(cut.prompt);
    return cut;
  };

  // The fewest exchanges that leave room enough, by bisection; if none does, all that may go.
  std::size_t low = 0, high = places.size();
  while (low < high) {
    const std::size_t middle = low + (high - low) / 2;
    const auto cut = TRY(cut_at(middle));
    if (size_of(cut.prompt) + reserve <= context) {
      high = middle;
    } else {
      low = middle + 1;
    }
  }
  if (!places.empty()) fitted = TRY(cut_at(std::min(low, places.size() - 1)));
  if (size_of(fitted.prompt) >= context) return prompt_too_long(size_of(fitted.prompt), context);
  return fitted;
}

}  // namespace fourfold
