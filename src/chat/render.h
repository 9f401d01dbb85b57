// Conversation → prompt: what the official chat template of revision R4 (2026-07-09) writes,
// without its defects, as trusted and untrusted text and as ids (tokenizer-chat.md 2).
//
//   const auto conversation = TRY(parse_request(json_text));
//   const auto prompt = TRY(render(tokenizer, conversation, {.variant = Variant::Small}));
//   session.generate(prompt.ids);
//
// Vocabularies of Gemma 3 get the form of that family (tokenizer-chat.md 2.10).
#pragma once

#include <string_view>

#include "base/result.h"
#include "chat/conversation.h"
#include "chat/prompt.h"
#include "formats/model_config.h"
#include "tokenizer/tokenizer.h"

namespace fourfold {

// Large bodies want an empty thought in front of an answer without thinking; small ones would then
// think in the visible answer (tokenizer-chat.md 2.5).
enum class Variant { Small, Large };

// Small bodies are those with per-layer embeddings.
Variant variant_of(const ModelConfig& config);

struct RenderOptions {
  Variant variant = Variant::Large;
  // The template's own text, defects included: nothing is refused, mended or put in order.
  bool as_template = false;
};

Result<Prompt> render(const Tokenizer& tokenizer, const Conversation& conversation,
                      const RenderOptions& options);

}  // namespace fourfold
