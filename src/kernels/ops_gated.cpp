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

// So many panels' rows become a block of each token's integers.
constexpr int kBlockPanels = kActivationBlock / kPanelRows;
static_assert(kBlockPanels == kPanels);
constexpr std::int64_t kBlockSums = kActivationBlock / kSumBlock;

}  // namespace

bool Ops::gates_integers(const GatedProduct& p) const {
  const auto fits = [](const Matrix& w) { return traits(w.dtype).quantised() && w.scale == 1.0f; };
  return !exact_ && fits(*p.gate) && fits(*p.up);
}

void Ops::gated_matmul(const GatedProduct& p, Activations& x, Activations& hidden) {
  const std::int64_t n_tokens = x.x_.n_rows;
  CHECK(gates_integers(p) && p.up->n_rows == p.gate->n_rows);
  CHECK(x.x_.n_cols == p.gate->n_cols && x.x_.n_cols == p.up->n_cols);
  const std::int64_t width = round_up(p.gate->n_rows, kActivationBlock);
  hidden.set({nullptr, n_tokens, width, width});
  if (n_tokens == 0) return;
  Activations::Integers& out = p.fine ? hidden.fine_ : hidden.plain_;
  Scratch::grow(out.q, n_tokens * width);
  if (p.fine) Scratch::grow(out.q_fine, n_tokens * width);
  Scratch::grow(out.scales, n_tokens * width / kActivationBlock);
  Scratch::grow(out.sums, n_tokens * width / kSumBlock);
  const QuantView gate_x = quantized(x, p.gate->fine);
  const QuantView up_x = quantized(x, p.up->fine);
  GroupTimer timer(times_);
  timer.add(*p.gate, n_tokens);
  timer.add(*p.up, n_tokens);
  const int unit = panels_of_unit(*p.gate, n_tokens, 2);
  pool_.parallel_for(n_panels_of(*p.gate), unit,
                     [&](std::int64_t begin, std::int64_t end, int worker) {
                       Scratch& s = *scratch_[static_cast<std::size_t>(worker)];
                       // One token's sums are few, and to change between the weights makes the
                       // stream of memory begin anew.
                       const int n_most = n_tokens == 1 ? static_cast<int>(end - begin) : unit;
                       for (std::int64_t first = begin; first < end; first += n_most) {
                         const PanelRange panels{first, at_most(n_most, end - first), end};
                         multiply_gated(p, gate_x, up_x, panels, n_tokens, s);
                         put_blocks(p, panels, n_tokens, s, out);
                       }
                     });
  out.ready = true;
}

// s.gate: what some panels' rows of both weights make of each token, in blocks. Rows that do not
// exist are zero.
void Ops::multiply_gated(const GatedProduct& p, const QuantView& gate_x, const QuantView& up_x,
                         PanelRange panels, std::int64_t n_tokens, Scratch& s) {
  const std::int64_t n_blocks = round_up(panels.n, kBlockPanels) / kBlockPanels;
  const std::int64_t block_values = n_tokens * kActivationBlock;
  const int n_values = static_cast<int>(n_blocks * block_values);
  const auto multiply = [&](const Matrix& w, const QuantView& x, const Clip& clip, auto& buffer) {
    float* sums = Scratch::room(buffer, n_values);
    multiply_panels(w, x, panels, n_tokens, s,
                    {.first = sums, .stride = kActivationBlock, .pair_stride = block_values});
    if (clip.clips()) kernels_.clamp(sums, clip.low, clip.high, n_values, sums);
    return sums;
  };
  float* gate = multiply(*p.gate, gate_x, p.gate_clip, s.gate);
  const float* up = multiply(*p.up, up_x, p.up_clip, s.up);
  kernels_.gelu_multiply(gate, up, n_values, gate);
  if (p.clip.clips()) kernels_.clamp(gate, p.clip.low, p.clip.high, n_values, gate);
  const std::int64_t first_of_last = panels.first * kPanelRows + (n_blocks - 1) * kActivationBlock;
  const std::int64_t n_rows = p.gate->n_rows - first_of_last;
  if (n_rows >= kActivationBlock) return;
  float* last = gate + (n_blocks - 1) * block_values;
  for (std::int64_t t = 0; t < n_tokens; ++t, last += kActivationBlock) {
    std::fill(last + n_rows, last + kActivationBlock, 0.0f);
  }
}

// s.gate as blocks of each token's integers: of one block after the other for all tokens, then each
// to its row.
void Ops::put_blocks(const GatedProduct& p, PanelRange panels, std::int64_t n_tokens, Scratch& s,
                     Activations::Integers& out) {
  const std::int64_t n_blocks = round_up(panels.n, kBlockPanels) / kBlockPanels;
  const std::int64_t n_values = n_blocks * n_tokens * kActivationBlock;
  Scratch::grow(s.block_q, n_values);
  if (p.fine) Scratch::grow(s.block_q_fine, n_values);
  Scratch::grow(s.block_scales, n_blocks * n_tokens);
  Scratch::grow(s.block_sums, n_blocks * n_tokens * kBlockSums);
  kernels_.quantize(s.gate.data(), static_cast<int>(n_values), s.block_q.data(),
                    p.fine ? s.block_q_fine.data() : nullptr, s.block_scales.data(),
                    s.block_sums.data());
  const std::int64_t row_blocks = round_up(p.gate->n_rows, kActivationBlock) / kActivationBlock;
  const auto put = [&](const auto& from, std::int64_t n_from, std::int64_t n_to, std::int64_t size,
                       auto& to) {
    std::memcpy(to.data() + n_to * size, from.data() + n_from * size,
                sizeof(from[0]) * static_cast<std::size_t>(size));
  };
  for (std::int64_t t = 0; t < n_tokens; ++t) {
    for (std::int64_t b = 0; b < n_blocks; ++b) {
      const std::int64_t from = b * n_tokens + t;
      const std::int64_t to = t * row_blocks + panels.first / kBlockPanels + b;
      put(s.block_q, from, to, kActivationBlock, out.q);
      if (p.fine) put(s.block_q_fine, from, to, kActivationBlock, out.q_fine);
      put(s.block_scales, from, to, 1, out.scales);
      put(s.block_sums, from, to, kBlockSums, out.sums);
    }
  }
}

}  // namespace fourfold
