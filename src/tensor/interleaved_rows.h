// A second layout of a quantised matrix: 16 rows interleaved, so that what a core reads for a
// product is one stream of memory and comes as the registers want it.
//
// A panel holds 16 rows, block after block. A block is taken apart into items: a scale of two bytes
// (one in MXFP4), then four bytes at a time. Each item of all 16 rows lies side by side, and the
// items follow each other as kernels read them: in the order of the file, except in Q5_K and Q6_K.
// The bytes are the file's; only their places change.
//
// Two panels lie together in stretches of their columns: kInterleaveDepth of the one, the same of
// the other, then the next ones. So few activations stay in a core's first cache until both have
// met them; those of a whole row would be driven out by the weights that come by, and have to come
// back while the stream waits.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "tensor/dtype.h"
#include "tensor/matrix.h"

namespace fourfold {

inline constexpr int kInterleave = 16;
inline constexpr int kInterleavePanels = 2;
inline constexpr int kInterleaveDepth = 1024;  // columns: whole blocks of every type

// So many bytes, whole blocks, of each of 16 rows → 16 · n_bytes.
void interleave_rows(DType type, const std::byte* rows, std::int64_t row_stride,
                     std::int64_t n_bytes, std::byte* panel);

// The copy of one matrix, filled by one thread while others use what is there.
class InterleavedMatrix {
 public:
  // Whether `w` can have one: quantised, of a type that kernels read so, at least 16 rows.
  static bool suits(const Matrix& w);
  // Its size; a rest of fewer than 16 rows stays out.
  static std::int64_t size_bytes(const Matrix& w);

  // Empty. size_bytes(w) bytes of `memory` and w's own must outlive it.
  InterleavedMatrix(const Matrix& w, std::byte* memory) : source_(w), memory_(memory) {}

  const Matrix& source() const { return source_; }
  std::int64_t n_panels() const { return source_.n_rows / kInterleave; }
  // Whether the rows from 16·i on are copied. Any thread, any time.
  bool has_panel(std::int64_t i) const { return i < n_filled_.load(std::memory_order_acquire); }
  // The stretch of panel i that begins at column k, a multiple of kInterleaveDepth. The same one of
  // an even panel's neighbour lies behind it.
  const std::byte* at(std::int64_t i, std::int64_t k) const { return memory_ + offset(i, k); }
  // Copies the next panel: n_panels() times, by one thread.
  void fill_next();

 private:
  std::int64_t offset(std::int64_t i, std::int64_t k) const;

  Matrix source_;
  std::byte* memory_;
  std::atomic<std::int64_t> n_filled_ = 0;
};

}  // namespace fourfold
