// Quantised blocks as integers, and the scalar conversions. This is the definition that every
// kernel is tested against (formats.md 2.2, golden checksums 2.5).
//
// All block types have one common form: value[i] = scale[i / group] · q[i] + offset[i / group],
// where the product is exact in f32 and the sum is rounded once. So one unpacking routine a type
// serves dequantisation, the exact path and the integer dots.
#pragma once

#include <cstdint>
#include <span>

#include "tensor/dtype.h"

namespace fourfold {

float f16_to_f32(std::uint16_t half);
std::uint16_t f32_to_f16(float value);  // nearest even, overflow to infinity
inline float bf16_to_f32(std::uint16_t bits) {
  return __builtin_bit_cast(float, static_cast<std::uint32_t>(bits) << 16);
}
std::uint16_t f32_to_bf16(float value);  // nearest even, NaN made quiet

// Unpacks `n_blocks` blocks of a quantised type.
//   q       [n_blocks · block]          integers in [-128, 127]
//   scales  [n_blocks · block / group]
//   offsets [n_blocks · block / group]  written only for types with has_min; may be null otherwise
void unpack_blocks(DType type, const std::byte* blocks, std::int64_t n_blocks, std::int8_t* q,
                   float* scales, float* offsets);

// `n` values of any weight type to f32; n is a multiple of the block.
void dequantize(DType type, const std::byte* data, std::int64_t n, float* out);

}  // namespace fourfold
