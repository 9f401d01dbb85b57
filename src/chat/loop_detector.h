// Notices that a model says the same over and over: one token, or a run of a few (a collapse that
// is reported of the weights themselves, tokenizer-chat.md 5.3).
#pragma once

#include <cstdint>
#include <vector>

#include "tokenizer/token_id.h"

namespace fourfold {

// Far above what tables, rules and long lists of zeros repeat on purpose.
struct LoopLimits {
  int max_period = 64;  // tokens of the run that repeats; 0: never a loop
  int min_repeats = 16;
  int min_tokens = 512;  // of all repetitions together
};

class LoopDetector {
 public:
  explicit LoopDetector(LoopLimits limits = {});

  // Whether the text loops, now that this token has come.
  bool push(TokenId id);

 private:
  LoopLimits limits_;
  std::int64_t n_tokens_ = 0;
  std::vector<TokenId> recent_;  // token n lies in n % max_period
  std::vector<std::int64_t>
      n_repeating_;  // [period − 1]: tokens in a row like the one a period ago
};

}  // namespace fourfold
