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

std::int64_t n_blocks_of(int n_panels) { return (n_panels + kBlockPanels - 1) / kBlockPanels; }

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
  const QuantView gate_x = quantized(x, *p.gate);
  const QuantView up_x = quantized(x, *p.up);
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

// s.gate and s.up: the products of some panels' rows of both weights with each token, in blocks.
void Ops::multiply_gated(const GatedProduct& p, const QuantView& gate_x, const QuantView& up_x,
                         PanelRange panels, std::int64_t n_tokens, Scratch& s) {
  const std::int64_t block_values = n_tokens * kActivationBlock;
  const auto multiply = [&](const Matrix& w, const QuantView& x, auto& buffer) {
    float* sums = Scratch::room(buffer, n_blocks_of(panels.n) * block_values);
    multiply_panels(w, x, panels, n_tokens, s,
                    {.first = sums, .stride = kActivationBlock, .pair_stride = block_values});
  };
  multiply(*p.gate, gate_x, s.gate);
  multiply(*p.up, up_x, s.up);
}

// What these products make together as integers: a few of all tokens' blocks at a time, which the
// first cache holds from one step to the next. Rows that do not exist are zero.
void Ops::put_blocks(const GatedProduct& p, PanelRange panels, std::int64_t n_tokens, Scratch& s,
                     Activations::Integers& out) {
  constexpr std::int64_t kBlocks = 64;
  const std::int64_t n_blocks = n_blocks_of(panels.n);
  const std::int64_t n = n_blocks * n_tokens;  // one block for all tokens, then the next
  const std::int64_t rows_of_last =
      p.gate->n_rows - panels.first * kPanelRows - (n_blocks - 1) * kActivationBlock;
  Scratch::grow(s.block_q, kBlocks * kActivationBlock);
  if (p.fine) Scratch::grow(s.block_q_fine, kBlocks * kActivationBlock);
  Scratch::grow(s.block_scales, kBlocks);
  Scratch::grow(s.block_sums, kBlocks * kBlockSums);
  const std::int64_t row_blocks = round_up(p.gate->n_rows, kActivationBlock) / kActivationBlock;
  const auto put = [&](const auto& from, std::int64_t n_from, std::int64_t n_to, std::int64_t size,
                       auto& to) {
    std::memcpy(to.data() + n_to * size, from.data() + n_from * size,
                sizeof(from[0]) * static_cast<std::size_t>(size));
  };
  for (std::int64_t first = 0; first < n; first += kBlocks) {
    const std::int64_t end = std::min(first + kBlocks, n);
    float* values = s.gate.data() + first * kActivationBlock;
    gate(p, values, s.up.data() + first * kActivationBlock,
         static_cast<int>((end - first) * kActivationBlock));
    for (std::int64_t i = std::max(first, n - n_tokens); i < end && rows_of_last < kActivationBlock;
         ++i) {
      float* block = s.gate.data() + i * kActivationBlock;
      std::fill(block + rows_of_last, block + kActivationBlock, 0.0f);
    }
    kernels_.quantize(values, static_cast<int>((end - first) * kActivationBlock), s.block_q.data(),
                      p.fine ? s.block_q_fine.data() : nullptr, s.block_scales.data(),
                      s.block_sums.data());
    for (std::int64_t i = first; i < end; ++i) {
      const std::int64_t from = i - first;
      const std::int64_t to =
          i % n_tokens * row_blocks + panels.first / kBlockPanels + i / n_tokens;
      put(s.block_q, from, to, kActivationBlock, out.q);
      if (p.fine) put(s.block_q_fine, from, to, kActivationBlock, out.q_fine);
      put(s.block_scales, from, to, 1, out.scales);
      put(s.block_sums, from, to, kBlockSums, out.sums);
    }
  }
}

// gate = gelu(gate) ⊙ up, all three within their bounds.
void Ops::gate(const GatedProduct& p, float* gate, float* up, int n) {
  const auto clamp = [&](const Clip& clip, float* x) {
    if (clip.clips()) kernels_.clamp(x, clip.low, clip.high, n, x);
  };
  clamp(p.gate_clip, gate);
  clamp(p.up_clip, up);
  kernels_.gelu_multiply(gate, up, n, gate);
  clamp(p.clip, gate);
}

}  // namespace fourfold
