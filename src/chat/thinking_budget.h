// How long a model may think, so that an answer still fits.
#pragma once

#include <cstdint>

#include "chat/conversation.h"

namespace fourfold {

// Tokens for thoughts if `room` tokens are left for thoughts and answer; 0: do not think at all.
// What was asked for, or the level's figure, less what is reserved for the answer (http-apis.md
// 1.7).
std::int64_t thinking_budget(const Thinking& thinking, std::int64_t room);

}  // namespace fourfold
