#include "tensor/quantize.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>

#include "base/check.h"
#include "tensor/blocks.h"

namespace fourfold {
namespace {

constexpr float kMaxF16 = 65504.0f;
constexpr std::size_t kBlock = 32;  // of Q4_0 and Q8_0

void store_u16(std::uint16_t value, std::byte* out) {
  out[0] = static_cast<std::byte>(value & 255);
  out[1] = static_cast<std::byte>(value >> 8);
}

// 0 for a scale so small that its inverse overflows; f16 stores it as 0 anyway.
float inverse(float scale) {
  return std::fabs(scale) >= std::numeric_limits<float>::min() ? 1.0f / scale : 0.0f;
}

// The first value with the largest magnitude.
float signed_extremum(std::span<const float> values) {
  return *std::ranges::max_element(values, {}, [](float x) { return std::fabs(x); });
}

// Fills the levels of one block behind its scale, which it returns. Levels are computed with the
// scale before it is rounded to f16.
float encode_q4_0(std::span<const float> x, std::byte* levels) {
  const float scale = signed_extremum(x) / -8.0f;
  const float id = inverse(scale);
  const auto level = [id](float value) {
    return static_cast<std::uint8_t>(std::min(15, static_cast<int>(value * id + 8.5f)));
  };
  for (std::size_t j = 0; j < kBlock / 2; ++j) {
    levels[j] = static_cast<std::byte>(level(x[j]) | level(x[j + kBlock / 2]) << 4);
  }
  return scale;
}

float encode_q8_0(std::span<const float> x, std::byte* levels) {
  const float scale = std::fabs(signed_extremum(x)) / 127.0f;
  const float id = inverse(scale);
  for (std::size_t j = 0; j < kBlock; ++j) {
    // Half away from zero.
    levels[j] = static_cast<std::byte>(static_cast<std::int8_t>(std::round(x[j] * id)));
  }
  return scale;
}

template <class EncodeBlock>
Status encode_blocks(DType type, std::span<const float> values, std::byte* out,
                     EncodeBlock encode_block) {
  for (std::size_t i = 0; i < values.size(); i += kBlock, out += traits(type).block_bytes) {
    const auto block = values.subspan(i, kBlock);
    // max_element does not see NaN, so every value is looked at.
    if (!std::ranges::all_of(block, [](float x) { return std::isfinite(x); })) {
      return invalid_argument("{}: values {} to {} are not all finite", name(type), i,
                              i + kBlock - 1);
    }
    const float scale = encode_block(block, out + 2);
    if (std::fabs(scale) > kMaxF16) {
      return invalid_argument("{}: values {} to {} need a scale of {}, the largest is {}",
                              name(type), i, i + kBlock - 1, scale, kMaxF16);
    }
    store_u16(f32_to_f16(scale), out);
  }
  return {};
}

template <class Convert>
Status narrow(std::span<const float> values, std::byte* out, Convert convert) {
  for (const float value : values) {
    store_u16(convert(value), out);
    out += 2;
  }
  return {};
}

}  // namespace

Status quantize(DType type, std::span<const float> values, std::span<std::byte> out) {
  const auto n = static_cast<std::int64_t>(values.size());
  CHECK(n % traits(type).block == 0);
  CHECK(static_cast<std::int64_t>(out.size()) == size_bytes(type, n));
  switch (type) {
    case DType::F32: std::ranges::copy(std::as_bytes(values), out.begin()); return {};
    case DType::F16: return narrow(values, out.data(), f32_to_f16);
    case DType::BF16: return narrow(values, out.data(), f32_to_bf16);
    case DType::Q4_0: return encode_blocks(type, values, out.data(), encode_q4_0);
    case DType::Q8_0: return encode_blocks(type, values, out.data(), encode_q8_0);
    default: return unimplemented("encoding to {} (F32, F16, BF16, Q8_0, Q4_0)", name(type));
  }
}

}  // namespace fourfold
