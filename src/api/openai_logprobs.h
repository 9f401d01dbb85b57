// Log probabilities in the words of OpenAI's clients.
#pragma once

#include <string>
#include <vector>

#include "api/answer.h"
#include "base/json_value.h"
#include "tokenizer/tokenizer.h"

namespace fourfold {

// What a token adds to a text, with U+FFFD for bytes that are no character on their own.
std::string token_text(const Tokenizer& tokenizer, TokenId id);

// Never infinite: −9999 stands for what cannot be.
JsonValue logprob_number(float logprob);

// Markers and calls have no part in it, thoughts only where they are shown.
bool has_logprob(const Tokenizer& tokenizer, const DrawnToken& drawn, bool shows_thoughts);

// {"token", "bytes", "logprob", "top_logprobs": [{"token", "bytes", "logprob"}]}
JsonValue logprob_entry(const Tokenizer& tokenizer, const SampledToken& token);

std::vector<JsonValue> logprob_entries(const Tokenizer& tokenizer,
                                       const std::vector<DrawnToken>& tokens, bool shows_thoughts);

}  // namespace fourfold
