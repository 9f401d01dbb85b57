// Views of matrices: weights as they lie in the file, activations in f32.
#pragma once

#include <cstddef>
#include <cstdint>

#include "tensor/dtype.h"

namespace fourfold {

class InterleavedMatrix;

// A weight matrix [n_rows, n_cols], rows contiguous; the bytes belong to the checkpoint's mapping.
struct Matrix {
  DType dtype = DType::F32;
  const std::byte* data = nullptr;
  std::int64_t n_rows = 0;
  std::int64_t n_cols = 0;
  float scale = 1.0f;  // multiplies every weight (NVFP4 side tensors, formats.md 2.6)
  bool fine = false;   // meets activations in their 15-bit form; fixed when the model is loaded
  bool pairs = false;  // Q8_0, not fine: each two blocks of a row have the same scale
  const InterleavedMatrix* interleaved = nullptr;  // the same rows in another layout, or null

  bool empty() const { return data == nullptr; }
  std::int64_t row_bytes() const { return size_bytes(dtype, n_cols); }
  const std::byte* row(std::int64_t r) const { return data + r * row_bytes(); }
  // The rows [first, first + n).
  Matrix rows(std::int64_t first, std::int64_t n) const {
    return {dtype, row(first), n, n_cols, scale, fine, pairs, nullptr};
  }
};

// f32 rows [n_rows, n_cols] in the caller's memory.
struct MatView {
  float* data = nullptr;
  std::int64_t n_rows = 0;
  std::int64_t n_cols = 0;
  std::int64_t stride = 0;  // floats from row to row

  float* row(std::int64_t r) const { return data + r * stride; }
  MatView rows(std::int64_t first, std::int64_t n) const { return {row(first), n, n_cols, stride}; }
  MatView columns(std::int64_t first, std::int64_t n) const {
    return {data + first, n_rows, n, stride};
  }
};

}  // namespace fourfold
