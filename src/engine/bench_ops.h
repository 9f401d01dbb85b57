// What the time of a bench row went to, operation by operation (`fourfold bench --explain`).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "kernels/machine_bench.h"
#include "kernels/op_times.h"
#include "model/text/text_model.h"

namespace fourfold {

// All operations of one kind, and of one weight type where it has weights.
struct BenchOp {
  std::string op;          // "ffn down", "attention", "norms"
  std::string type;        // "Q4_0"; empty without weights
  std::int64_t calls = 0;  // a repetition
  double ms = 0.0;         // a repetition
  double share = 0.0;      // of the row's time
  double gb_s = 0.0;       // of weights, or of keys and values
  double gmac_s = 0.0;
  std::string limit;      // the one that is nearest: "read bandwidth"; empty: it has none
  double of_limit = 0.0;  // the time at that limit ÷ the time taken

  // Time that the machine does not ask for.
  double excess_ms() const { return ms * (1.0 - of_limit); }
};

// The operations of n_reps repetitions that took `seconds` in all, the longest first.
std::vector<BenchOp> list_ops(const OpTimes& times, const TextModel& model, bool exact,
                              const MachineLimits& limits, int n_reps, double seconds);

// Names the operation with the most time above its limit:
// "ffn down (Q4_0): 41 % of decode, at 71 % of the read bandwidth".
std::string explain(const std::vector<BenchOp>& ops, std::string_view what);

}  // namespace fourfold
