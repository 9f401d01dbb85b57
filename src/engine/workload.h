// What running rows costs at least: the bytes that must be read and the products that must be
// formed, by the shapes of a body. Speeds are measured against it.
//
//   const Workload workload(model, plan, exact);
//   Work step = workload.step({.n_rows = 1, .position = 4096, .n_wanted = 1});
#pragma once

#include <cstdint>

#include "kernels/machine_bench.h"
#include "model/text/text_model.h"
#include "runtime/kv_plan.h"

namespace fourfold {

struct Work {
  double bytes = 0.0;  // weights once a step, K/V once a sequence and step
  // Multiply-accumulates, by the arithmetic that is quickest for their weights: int8 for quantised
  // ones, bf16 dots for bf16 ones and attention, f32 for the others.
  double int8_macs = 0.0;
  double bf16_macs = 0.0;
  double f32_macs = 0.0;

  double macs() const { return int8_macs + bf16_macs + f32_macs; }
  // A machine without other costs would need so long: the longer of reading and multiplying.
  double seconds_at(const MachineLimits& limits) const;

  Work& operator+=(const Work& other);
};

// Reading, and products with weights of a type; all of them in f32 when `exact`.
Work work_with(DType type, bool exact, double bytes, double macs);

// Rows of `batch` sequences of the same length in one step.
struct StepShape {
  std::int64_t n_rows = 1;    // of each sequence
  std::int64_t position = 0;  // of its first row
  std::int64_t n_wanted = 1;  // its last rows, which run to the end; the others stop where no later
                              // layer has K/V of its own
  int batch = 1;
};

class Workload {
 public:
  // `exact`: everything in f32. The model outlives this.
  Workload(const TextModel& model, const KvPlan& plan, bool exact);

  // Without the head.
  Work step(const StepShape& shape) const;
  // n rows of logits.
  Work head(std::int64_t n_rows) const;
  // A prompt in chunks, the last row's logits included. n_wanted is one or all of its rows.
  Work prefill(const StepShape& shape, int chunk) const;
  // shape.n_rows steps of one row with its logits.
  Work decode(const StepShape& shape) const;

 private:
  Work matrix(const Matrix& w, std::int64_t n_rows) const;
  Work attention(int layer, const StepShape& shape, std::int64_t n_rows) const;
  Work experts(const LayerWeights& w, std::int64_t n_rows) const;

  const TextModel& model_;
  KvPlan plan_;
  bool exact_;
};

}  // namespace fourfold
