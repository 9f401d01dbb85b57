#include "chat/held_spelling.h"

#include <algorithm>
#include <string>

namespace fourfold {
namespace {

using Ids = std::span<const TokenId>;

// The ids before the next control token.
Ids text_at(const Tokenizer& tokenizer, Ids ids, std::size_t begin) {
  const Ids rest = ids.subspan(begin);
  const auto end =
      std::find_if(rest.begin(), rest.end(), [&](TokenId id) { return tokenizer.is_control(id); });
  return rest.first(static_cast<std::size_t>(end - rest.begin()));
}

std::string bytes_of(const Tokenizer& tokenizer, Ids ids) {
  std::string bytes;
  for (const TokenId id : ids) bytes += tokenizer.bytes(id);
  return bytes;
}

}  // namespace

std::vector<TokenId> with_held_spelling(const Tokenizer& tokenizer, Ids held,
                                        std::vector<TokenId> prompt) {
  const auto [held_rest, prompt_rest] =
      std::mismatch(held.begin(), held.end(), prompt.begin(), prompt.end());
  if (held_rest == held.end() || prompt_rest == prompt.end()) return prompt;

  // Back to the beginning of the text in which they part.
  auto from_held = static_cast<std::size_t>(held_rest - held.begin());
  while (from_held > 0 && !tokenizer.is_control(held[from_held - 1])) --from_held;
  std::size_t from_prompt = from_held;

  while (from_held < held.size() && from_prompt < prompt.size()) {
    const Ids theirs = text_at(tokenizer, held, from_held);
    const Ids ours = text_at(tokenizer, prompt, from_prompt);
    if (bytes_of(tokenizer, theirs) != bytes_of(tokenizer, ours)) break;
    from_held += theirs.size();
    from_prompt += ours.size();
    if (from_held == held.size() || from_prompt == prompt.size()) break;
    if (held[from_held] != prompt[from_prompt]) break;
    ++from_held;
    ++from_prompt;
  }
  std::vector<TokenId> out(held.begin(), held.begin() + static_cast<std::ptrdiff_t>(from_held));
  out.insert(out.end(), prompt.begin() + static_cast<std::ptrdiff_t>(from_prompt), prompt.end());
  return out;
}

}  // namespace fourfold
