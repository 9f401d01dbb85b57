// Scalar encoders: f32 rows to block types, as the reference encodes without an importance matrix
// (formats.md 2.4).
#pragma once

#include <cstddef>
#include <span>

#include "base/result.h"
#include "tensor/dtype.h"

namespace fourfold {

// Fills `out`, whose size is size_bytes(type, values.size()); the number of values is a multiple
// of the block. Types: F32, F16, BF16, Q8_0, Q4_0 (Unimplemented for others).
// InvalidArgument for values that are not finite or need a scale beyond f16.
Status quantize(DType type, std::span<const float> values, std::span<std::byte> out);

}  // namespace fourfold
