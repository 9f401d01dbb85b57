#include "runtime/soft_batch.h"

#include <algorithm>

namespace fourfold {

void SoftBatch::gather(std::span<const SoftSpan> soft, std::int64_t first, std::int64_t n,
                       bool blocks) {
  values_ = nullptr;
  copied_.clear();
  rows_.clear();
  blocks_.clear();
  int n_spans = 0;
  for (const SoftSpan& span : soft) {
    const SoftRows& rows = *span.rows;
    const std::int64_t begin = std::max(first, span.first);
    const std::int64_t end = std::min(first + n, span.first + rows.n_rows);
    if (begin >= end) continue;
    const float* values = rows.values.data() + (begin - span.first) * rows.width;
    if (n_spans++ == 0) {
      values_ = values;
    } else {
      // More than one: they are copied behind each other.
      if (copied_.empty()) {
        copied_.assign(values_, values_ + static_cast<std::int64_t>(rows_.size()) * rows.width);
      }
      copied_.insert(copied_.end(), values, values + (end - begin) * rows.width);
    }
    for (std::int64_t at = begin; at < end; ++at) {
      rows_.push_back(static_cast<std::int32_t>(at - first));
    }
    if (!blocks || !rows.is_visual) continue;
    blocks_.resize(static_cast<std::size_t>(n), -1);
    std::fill(blocks_.begin() + (begin - first), blocks_.begin() + (end - first), n_spans);
  }
  if (!copied_.empty()) values_ = copied_.data();
}

void SoftBatch::show(BatchSegment& segment) const {
  segment.embeds = values_;
  segment.embed_rows = rows_;
  segment.blocks = blocks_;
}

BlockRange cut_block(std::span<const SoftSpan> soft, std::int64_t end) {
  for (const SoftSpan& span : soft) {
    const std::int64_t last = span.first + span.rows->n_rows;
    if (span.rows->is_visual && span.first < end && end < last) return {span.first, last};
  }
  return {};
}

std::int64_t largest_block(std::span<const SoftSpan> soft) {
  std::int64_t largest = 0;
  for (const SoftSpan& span : soft) {
    if (span.rows->is_visual) largest = std::max(largest, span.rows->n_rows);
  }
  return largest;
}

Status check_soft(std::span<const SoftSpan> soft, std::int64_t n_positions) {
  std::int64_t done = 0;
  for (const SoftSpan& span : soft) {
    if (!span.rows || span.rows->n_rows <= 0 || span.first < done ||
        span.rows->n_rows > n_positions - span.first) {
      return internal_error("soft rows at {}: not apart, or beyond the prompt of {} tokens",
                            span.first, n_positions);
    }
    done = span.first + span.rows->n_rows;
  }
  return {};
}

Status check_values(std::span<const SoftSpan> soft, std::int64_t first, int width) {
  for (const SoftSpan& span : soft) {
    const SoftRows& rows = *span.rows;
    if (span.first + rows.n_rows <= first) continue;
    const auto n_values =
        static_cast<std::size_t>(rows.n_rows) * static_cast<std::size_t>(rows.width);
    const bool has_width = width == 0 ? rows.width > 0 : rows.width == width;
    if (has_width && rows.values.size() == n_values) continue;
    return internal_error("soft rows at {}: {} values of {} rows, width {} (expected {})",
                          span.first, rows.values.size(), rows.n_rows, rows.width, width);
  }
  return {};
}

}  // namespace fourfold
