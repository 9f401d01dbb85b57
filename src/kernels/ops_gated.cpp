// The two products of a gated feed-forward whose values only its last product will see: a thread
// takes the same rows of both, and what they make together becomes integers while it is in the
// thread's cache.
#include <algorithm>
#include <cstring>

#include "base/check.h"
#include "base/checked.h"
#include "kernels/ops.h"
#include "kernels/ops_scratch.h"

namespace fourfold {
namespace {

// Rows of both matrices that become a block of each token's integers.
constexpr std::int64_t kUnitRows = std::int64_t{kPanels} * kPanelRows;
static_assert(kUnitRows == kActivationBlock);
constexpr std::int64_t kUnitSums = kUnitRows / kSumBlock;

}  // namespace

bool Ops::gates_integers(const GatedProduct& p) const {
  const auto fits = [](const Matrix& w) { return traits(w.dtype).quantised() && w.scale == 1.0f; };
  return !exact_ && fits(*p.gate) && fits(*p.up);
}

void Ops::gated_matmul(const GatedProduct& p, Activations& x, Activations& hidden) {
  const std::int64_t n_tokens = x.x_.n_rows;
  CHECK(gates_integers(p) && p.up->n_rows == p.gate->n_rows);
  CHECK(x.x_.n_cols == p.gate->n_cols && x.x_.n_cols == p.up->n_cols);
  const std::int64_t width = round_up(p.gate->n_rows, kUnitRows);
  hidden.set({nullptr, n_tokens, width, width});
  Activations::Integers& out = hidden.plain_;
  Scratch::grow(out.q, n_tokens * width);
  Scratch::grow(out.scales, n_tokens * width / kActivationBlock);
  Scratch::grow(out.sums, n_tokens * width / kSumBlock);
  const QuantView gate_x = quantized(x, p.gate->fine);
  const QuantView up_x = quantized(x, p.up->fine);
  GroupTimer timer(times_);
  timer.add(*p.gate, n_tokens);
  timer.add(*p.up, n_tokens);
  const std::int64_t n_units = width / kUnitRows;
  pool_.parallel_for(n_units, 1, [&](std::int64_t begin, std::int64_t end, int worker) {
    Scratch& s = *scratch_[static_cast<std::size_t>(worker)];
    for (std::int64_t unit = begin; unit < end; ++unit) {
      rows_of_unit(*p.gate, gate_x, unit, n_tokens, s, p.gate_clip, s.gate);
      rows_of_unit(*p.up, up_x, unit, n_tokens, s, p.up_clip, s.up);
      gate_unit(p.clip, unit, n_units, n_tokens, s, out);
    }
  });
  out.ready = true;
}

// out [n_tokens, kUnitRows]: a unit of rows, those that do not exist zero.
void Ops::rows_of_unit(const Matrix& w, const QuantView& x, std::int64_t unit,
                       std::int64_t n_tokens, Scratch& s, const Clip& clip,
                       AlignedVector<float>& out) {
  const std::int64_t first = unit * kUnitRows;
  const std::int64_t n_rows = std::min(kUnitRows, w.n_rows - first);
  Scratch::grow(out, n_tokens * kUnitRows);
  if (n_rows < kUnitRows) std::fill_n(out.data(), n_tokens * kUnitRows, 0.0f);
  multiply_panels(w.rows(first, n_rows), x, 0, s, {out.data(), n_tokens, n_rows, kUnitRows}, clip);
}

// gelu(s.gate) ⊙ s.up, within `clip`, as a block of each token's integers.
void Ops::gate_unit(const Clip& clip, std::int64_t unit, std::int64_t n_units,
                    std::int64_t n_tokens, Scratch& s, Activations::Integers& out) {
  float* values = s.gate.data();
  const int n = static_cast<int>(n_tokens * kUnitRows);
  kernels_.gelu_multiply(values, s.up.data(), n, values);
  if (clip.clips()) kernels_.clamp(values, clip.low, clip.high, n, values);
  // The blocks of all tokens at once, then each to its row.
  Scratch::grow(s.block_q, n_tokens * kUnitRows);
  Scratch::grow(s.block_scales, n_tokens);
  Scratch::grow(s.block_sums, n_tokens * kUnitSums);
  kernels_.quantize(values, n, s.block_q.data(), nullptr, s.block_scales.data(),
                    s.block_sums.data());
  for (std::int64_t t = 0; t < n_tokens; ++t) {
    const std::int64_t at = t * n_units + unit;
    std::memcpy(out.q.data() + at * kUnitRows, s.block_q.data() + t * kUnitRows, kUnitRows);
    std::memcpy(out.scales.data() + at, s.block_scales.data() + t, sizeof(float));
    std::memcpy(out.sums.data() + at * kUnitSums, s.block_sums.data() + t * kUnitSums,
                kUnitSums * sizeof(std::int32_t));
  }
}

}  // namespace fourfold
