// The soft rows of a stretch of a sequence, as the decoder takes them.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/result.h"
#include "model/text/decoder.h"
#include "tensor/soft_rows.h"

namespace fourfold {

class SoftBatch {
 public:
  // Rows [first, first + n) of a sequence with these spans. With `blocks` those of visual spans are
  // marked as blocks that see themselves whole.
  void gather(std::span<const SoftSpan> soft, std::int64_t first, std::int64_t n, bool blocks);

  // Points into this, until the next gather.
  void show(BatchSegment& segment) const;

  const float* values() const { return values_; }
  std::span<const std::int32_t> rows() const { return rows_; }
  std::span<const std::int32_t> blocks() const { return blocks_; }

 private:
  const float* values_ = nullptr;  // [rows_.size(), D], of one span or of copied_
  std::vector<float> copied_;
  std::vector<std::int32_t> rows_;    // ascending, counted from `first`
  std::vector<std::int32_t> blocks_;  // [n], or empty without any
};

// The visual block that [.., end) would cut: [first, last) of it. Empty where it cuts none.
struct BlockRange {
  std::int64_t first = 0, last = 0;

  bool empty() const { return first == last; }
};
BlockRange cut_block(std::span<const SoftSpan> soft, std::int64_t end);

// Rows of the largest visual block; 0 without one.
std::int64_t largest_block(std::span<const SoftSpan> soft);

// Internal when spans overlap or reach beyond n_positions.
Status check_soft(std::span<const SoftSpan> soft, std::int64_t n_positions);
// Internal when rows of positions from `first` on lack their values, or have another width than
// `width` (0: any).
Status check_values(std::span<const SoftSpan> soft, std::int64_t first, int width = 0);

}  // namespace fourfold
