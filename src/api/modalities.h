// Tokens of a prompt by what they stand for: text, pictures, films, sounds.
#pragma once

#include <cstdint>
#include <span>

#include "base/json_value.h"
#include "engine/media_encoder.h"
#include "tokenizer/control_tokens.h"
#include "tokenizer/token_id.h"

namespace fourfold {

// Soft tokens and the markers around them; what is left of `ids` is text.
MediaTokens count_media_tokens(const ControlIds& control, std::span<const TokenId> ids);

// [{"modality": "TEXT", "tokenCount": 12}, …]: Gemini's details, whose sum is n_tokens. Text is
// always there, media where there are some.
JsonValue gemini_token_details(std::int64_t n_tokens, const MediaTokens& media);

// "text_tokens", "image_tokens", "video_tokens" beside OpenAI's "audio_tokens", where a prompt has
// media.
void add_openai_token_details(std::int64_t n_tokens, const MediaTokens& media, JsonValue& details);

}  // namespace fourfold
