// A prompt that begins with what a cache holds, although the model has cut the same text into other
// tokens than the tokenizer would: then nothing of it has to run again.
#pragma once

#include <span>
#include <vector>

#include "tokenizer/tokenizer.h"

namespace fourfold {

// `prompt` with the ids of `held` wherever, from the beginning on, both spell the same bytes
// between the same control tokens. Control tokens are those of `prompt`, none is added or lost.
std::vector<TokenId> with_held_spelling(const Tokenizer& tokenizer, std::span<const TokenId> held,
                                        std::vector<TokenId> prompt);

}  // namespace fourfold
