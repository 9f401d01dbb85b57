// How much a model is asked to think: the words of all dialects (http-apis.md 1.7). Levels become
// token budgets in chat/thinking_budget.h.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "chat/conversation.h"

namespace fourfold {

inline Thinking thinking_off() { return {}; }
inline Thinking thinking_on(Thinking::Level level = Thinking::Level::High) {
  return {.on = true, .level = level};
}

// Of a switch: true, false.
inline Thinking thinking_if(bool on) { return on ? thinking_on() : thinking_off(); }

// "none", "off", "minimal", "low", "medium", "high", "xhigh", "max", in any letter case; nullopt
// for other words.
std::optional<Thinking> thinking_of_level(std::string_view word);

// Of a number of tokens: 0 is off, a negative one as many as fit.
Thinking thinking_of_budget(std::int64_t n_tokens);

}  // namespace fourfold
