// A conversation of plain texts → the ids of its prompt. No tools, thinking or media.
//
//   const auto prompt = render_chat(tokenizer, messages, {.empty_thought = is_large});
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tokenizer/token_id.h"
#include "tokenizer/tokenizer.h"

namespace fourfold {

enum class Role { System, User, Model };

struct ChatMessage {
  Role role = Role::User;
  std::string text;  // untrusted: control strings in it stay text
};

struct RenderOptions {
  // Large bodies (those without per-layer embeddings) want an empty thought in front of an answer
  // without thinking; small ones would then think in the visible answer (tokenizer-chat.md 2.5).
  bool empty_thought = false;
};

// Ends where the model's answer begins.
std::vector<TokenId> render_chat(const Tokenizer& tokenizer, std::span<const ChatMessage> messages,
                                 RenderOptions options = {});

// Without white space at both ends, as Python's str.strip() sees it.
std::string_view trim(std::string_view text);

}  // namespace fourfold
