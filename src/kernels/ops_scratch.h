// The buffers that one worker of Ops keeps between calls.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "base/checked.h"
#include "kernels/aligned_vector.h"
#include "kernels/ops.h"

namespace fourfold {

// Panels that meet the activations together, and the k of which they are unpacked at a time: a unit
// stays in the second cache, and sums are not put away and fetched again too often.
inline constexpr int kPanels = 2;
inline constexpr int kPanelDepth = 2048;
// A thread takes so many panels at once where they meet many tokens, kPanels of them after the
// other for each kTileTokens: the activations of these come from afar once and not four times.
inline constexpr int kUnitPanels = 8;
inline constexpr int kTileTokens = 24;

inline int at_most(int n, std::int64_t left) {
  return static_cast<int>(std::min<std::int64_t>(n, left));
}

inline std::int64_t n_panels_of(const Matrix& w) {
  return round_up(w.n_rows, kPanelRows) / kPanelRows;
}

// The activations' rows from `first` on.
inline QuantView rows_from(QuantView x, std::int64_t first) {
  x.q += first * x.q_stride;
  if (x.q_fine) x.q_fine += first * x.q_stride;
  x.scales += first * x.scale_stride;
  x.sums += first * x.sum_stride;
  return x;
}

// The sums of two panels lie side by side: a token's 32 of the first two, those of the next token a
// stride behind; those of the next two panels a pair's stride behind.
inline constexpr int kPairRows = kPanels * kPanelRows;
struct Ops::PairSums {
  float* first;
  std::int64_t stride;
  std::int64_t pair_stride;

  // From token t on.
  PanelSums of(int panel, std::int64_t t) const {
    float* pair = from(panel).first;
    return {.first = pair + t * stride + panel % kPanels * kPanelRows, .stride = stride};
  }
  // Of the pair of a panel, and those behind it.
  PairSums from(int panel) const {
    return {first + panel / kPanels * pair_stride, stride, pair_stride};
  }
};

struct Ops::ScratchPanel {
  AlignedVector<std::uint8_t> q = AlignedVector<std::uint8_t>(kPanelRows * kPanelDepth);
  AlignedVector<float> scales = AlignedVector<float>(kPanelRows * kPanelDepth / kSumBlock);
  AlignedVector<float> offsets = AlignedVector<float>(kPanelRows * kPanelDepth / kSumBlock);
};

struct Ops::Scratch {
  // matmul by panels
  std::vector<std::int8_t> rows = std::vector<std::int8_t>(kPanelRows * kPanelDepth);
  std::vector<float> row_scales = std::vector<float>(kPanelDepth / kSumBlock);
  std::vector<float> row_offsets = std::vector<float>(kPanelDepth / kSumBlock);
  ScratchPanel panels[kUnitPanels];
  AlignedVector<float> last_panel;  // [T, 16]: the sums of one that misses rows
  std::vector<float> clipped;       // a row of activations
  // gated products: sums [pairs of panels, T, 32], and the integers of blocks
  AlignedVector<float> gate, up;
  std::vector<std::int8_t> block_q, block_q_fine;
  std::vector<float> block_scales;
  std::vector<std::int32_t> block_sums;
  // matmul in f32
  std::vector<float> weights;
  // attention
  std::vector<float> q, k, v;
  std::vector<int> first, last;
  AlignedVector<float> part, total;  // running softmax of a span, and of all spans so far
  AlignedVector<std::uint16_t> q_bf16, k_bf16, v_bf16, weights_bf16;
  AlignedVector<float> scores;

  template <class Buffer>
  static void grow(Buffer& buffer, std::int64_t n) {
    if (static_cast<std::int64_t>(buffer.size()) < n) buffer.resize(static_cast<std::size_t>(n));
  }
  // Room for n values.
  template <class T>
  static T* room(AlignedVector<T>& buffer, std::int64_t n) {
    grow(buffer, n);
    return buffer.data();
  }
};

}  // namespace fourfold
