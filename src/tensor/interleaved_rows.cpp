#include "tensor/interleaved_rows.h"

#include <algorithm>
#include <cstring>
#include <span>

#include "base/check.h"

namespace fourfold {
namespace {

// Bytes of a block that follow each other in both layouts, as items of so many bytes.
struct Run {
  int at;
  int n_bytes;
  int item = 4;
};

// The runs of a block in their new order: that in which kernels read them, so that the stream of
// memory goes one way.
std::span<const Run> runs_of(DType type) {
  static constexpr Run kNibbles[] = {{0, 2, 2}, {2, 16}};
  static constexpr Run kQ5_0[] = {{0, 2, 2}, {2, 20}};
  static constexpr Run kQ8_0[] = {{0, 2, 2}, {2, 32}};
  static constexpr Run kMxfp4[] = {{0, 1, 1}, {1, 16}};
  static constexpr Run kQ4_K[] = {{0, 144}};
  static constexpr Run kIq4Xs[] = {{0, 136}};
  // Half of the fifth bits before the nibbles that they belong to.
  static constexpr Run kQ5_K[] = {{0, 32},  {48, 16}, {80, 16}, {112, 16}, {144, 16},
                                  {32, 16}, {64, 16}, {96, 16}, {128, 16}, {160, 16}};
  // Scales first; upper bits before the nibbles that they belong to.
  static constexpr Run kQ6_K[] = {{192, 16}, {208, 2, 2}, {128, 16}, {0, 16},   {32, 16},
                                  {144, 16}, {16, 16},    {48, 16},  {160, 16}, {64, 16},
                                  {96, 16},  {176, 16},   {80, 16},  {112, 16}};
  switch (type) {
    case DType::Q4_0:
    case DType::IQ4_NL: return kNibbles;
    case DType::Q5_0: return kQ5_0;
    case DType::Q8_0: return kQ8_0;
    case DType::MXFP4: return kMxfp4;
    case DType::Q4_K: return kQ4_K;
    case DType::Q5_K: return kQ5_K;
    case DType::Q6_K: return kQ6_K;
    case DType::IQ4_XS: return kIq4Xs;
    default: return {};
  }
}

template <int kItem>
std::byte* place_items(const std::byte* from, int n, int r, std::byte* to) {
  for (int i = 0; i < n; ++i, to += kInterleave * kItem) {
    std::memcpy(to + kItem * r, from + kItem * i, kItem);
  }
  return to;
}

// A block of row r into its places; returns where the next one goes.
std::byte* place_block(std::span<const Run> runs, const std::byte* block, int r, std::byte* to) {
  for (const Run& run : runs) {
    const std::byte* from = block + run.at;
    switch (run.item) {
      case 1: to = place_items<1>(from, run.n_bytes, r, to); break;
      case 2: to = place_items<2>(from, run.n_bytes / 2, r, to); break;
      default: to = place_items<4>(from, run.n_bytes / 4, r, to);
    }
  }
  return to;
}

}  // namespace

void interleave_rows(DType type, const std::byte* rows, std::int64_t row_stride,
                     std::int64_t n_bytes, std::byte* panel) {
  const std::span<const Run> runs = runs_of(type);
  const int block_bytes = traits(type).block_bytes;
  CHECK(!runs.empty() && n_bytes % block_bytes == 0);
  for (int r = 0; r < kInterleave; ++r, rows += row_stride) {
    std::byte* to = panel;
    for (std::int64_t at = 0; at < n_bytes; at += block_bytes) {
      to = place_block(runs, rows + at, r, to);
    }
  }
}

bool InterleavedMatrix::suits(const Matrix& w) {
  return !w.empty() && !runs_of(w.dtype).empty() && w.n_rows >= kInterleave;
}

std::int64_t InterleavedMatrix::size_bytes(const Matrix& w) {
  return w.n_rows / kInterleave * kInterleave * w.row_bytes();
}

// Of the stretch in a pair of panels, or in a last one alone.
std::int64_t InterleavedMatrix::offset(std::int64_t i, std::int64_t k) const {
  const std::int64_t pair = i / kInterleavePanels * kInterleavePanels;
  const std::int64_t n_together = std::min<std::int64_t>(kInterleavePanels, n_panels() - pair);
  const std::int64_t depth = std::min<std::int64_t>(kInterleaveDepth, source_.n_cols - k);
  return kInterleave *
         (pair * source_.row_bytes() + n_together * fourfold::size_bytes(source_.dtype, k) +
          (i - pair) * fourfold::size_bytes(source_.dtype, depth));
}

void InterleavedMatrix::fill_next() {
  const std::int64_t i = n_filled_.load(std::memory_order_relaxed);
  CHECK(i < n_panels());
  const DType type = source_.dtype;
  const std::byte* rows = source_.row(i * kInterleave);
  for (std::int64_t k = 0; k < source_.n_cols; k += kInterleaveDepth) {
    const std::int64_t depth = std::min<std::int64_t>(kInterleaveDepth, source_.n_cols - k);
    interleave_rows(type, rows + fourfold::size_bytes(type, k), source_.row_bytes(),
                    fourfold::size_bytes(type, depth), memory_ + offset(i, k));
  }
  n_filled_.store(i + 1, std::memory_order_release);
}

}  // namespace fourfold
