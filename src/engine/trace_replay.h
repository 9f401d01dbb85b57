// Draws the tokens of a trace again, and compares two traces.
//
//   const Trace again = TRY(replay(trace, *service));
//   if (const auto difference = first_difference(trace, again)) …
#pragma once

#include <cstdint>
#include <optional>

#include "base/result.h"
#include "engine/chat_service.h"
#include "engine/trace.h"

namespace fourfold {

// The same ids, the same state of the sampler, the same rules; as many tokens as there were.
Result<Trace> replay(const Trace& trace, ChatService& service);

struct TraceDifference {
  int candidate = 0;
  std::int64_t position = 0;  // of the token in the answer
  // Null where one answer has ended.
  const DrawnToken* a = nullptr;
  const DrawnToken* b = nullptr;
};

// Of the ids of answers. Points into both.
std::optional<TraceDifference> first_difference(const Trace& a, const Trace& b);

// The largest one between the log probabilities of tokens that are the same, up to the first
// difference.
double largest_logprob_distance(const Trace& a, const Trace& b);

// How likely a token's alternatives say that an id is; nullopt if it is not among them.
std::optional<float> find_logprob(const DrawnToken& token, TokenId id);

}  // namespace fourfold
