// What the tables of 256-bit registers do to eight rows: one register is half of a panel's 16 rows.
#pragma once

#include <immintrin.h>

#include <cstdint>

#include "kernels/table.h"

namespace fourfold {
namespace {

// vpmaddubsw and vpdpbusd want one unsigned side, and so does the cheap way from bytes to 16 bits.
constexpr int kPanelZero = 128;
// The panel [k / 4][row][4] is read as two halves of eight rows.
constexpr int kRowBytes = 4;
constexpr int kHalves = 2;
constexpr int kHalfRows = kPanelRows / kHalves;

inline __m256i load_bytes(const std::uint8_t* p) {
  return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
}
inline __m256i broadcast_dword(const void* p) {
  std::int32_t dword;
  __builtin_memcpy(&dword, p, 4);
  return _mm256_set1_epi32(dword);
}

// The f16 in the low half of each dword.
inline __m256 low_half(__m256i dwords) {
  const __m256i cleared = _mm256_blend_epi16(dwords, _mm256_setzero_si256(), 0b10101010);
  return _mm256_cvtph_ps(
      _mm_packus_epi32(_mm256_castsi256_si128(cleared), _mm256_extracti128_si256(cleared, 1)));
}

// 16 bytes of the rows i and 4 + i.
inline __m256i load_pair(const std::uint8_t* p, std::int64_t stride, int i) {
  const auto at = [&](int row) {
    return _mm_loadu_si128(reinterpret_cast<const __m128i*>(p + row * stride));
  };
  return _mm256_inserti128_si256(_mm256_castsi128_si256(at(i)), at(4 + i), 1);
}

// Rows as load_pair gives them → a dword of each row in each register.
inline void transpose(const __m256i pairs[4], __m256i quads[4]) {
  const __m256i a = _mm256_unpacklo_epi32(pairs[0], pairs[1]);
  const __m256i b = _mm256_unpacklo_epi32(pairs[2], pairs[3]);
  const __m256i c = _mm256_unpackhi_epi32(pairs[0], pairs[1]);
  const __m256i d = _mm256_unpackhi_epi32(pairs[2], pairs[3]);
  quads[0] = _mm256_unpacklo_epi64(a, b);
  quads[1] = _mm256_unpackhi_epi64(a, b);
  quads[2] = _mm256_unpacklo_epi64(c, d);
  quads[3] = _mm256_unpackhi_epi64(c, d);
}

// The sum of a group's activations.
inline std::int32_t sum_of_group(const QuantView& x, int t, int g, int group) {
  const std::int32_t* sums = x.sums + t * x.sum_stride + g * (group / kSumBlock);
  std::int32_t sum = sums[0];
  for (int i = 1; i < group / kSumBlock; ++i) sum += sums[i];
  return sum;
}

template <int T>
inline void load_sums(const PanelSums& acc, __m256 sums[T][kHalves]) {
  for (int t = 0; t < T; ++t) {
    for (int h = 0; h < kHalves; ++h) {
      sums[t][h] = _mm256_loadu_ps(acc.first + t * acc.stride + h * kHalfRows);
    }
  }
}

template <int T>
inline void store_sums(const __m256 sums[T][kHalves], const PanelSums& acc) {
  for (int t = 0; t < T; ++t) {
    for (int h = 0; h < kHalves; ++h) {
      _mm256_storeu_ps(acc.first + t * acc.stride + h * kHalfRows, sums[t][h]);
    }
  }
}

// sums += dots·scale (+ the group's sum·offset) for all rows of a panel and one token.
template <bool kOffsets>
inline void add_group(const PanelView& w, const QuantView& x, int t, int g, int group,
                      const __m256i dots[kHalves], __m256 sums[kHalves]) {
  const __m256 x_scale =
      _mm256_set1_ps(x.scales[t * x.scale_stride + g * group / kActivationBlock]);
  for (int h = 0; h < kHalves; ++h) {
    const int at = (group == 64 ? 2 * g : g) * kPanelRows + h * kHalfRows;
    const __m256 scale = _mm256_mul_ps(_mm256_loadu_ps(w.scales + at), x_scale);
    sums[h] = _mm256_fmadd_ps(_mm256_cvtepi32_ps(dots[h]), scale, sums[h]);
    if constexpr (kOffsets) {
      const auto x_sum = static_cast<float>(sum_of_group(x, t, g, group));
      const __m256 offset = _mm256_mul_ps(_mm256_loadu_ps(w.offsets + at), x_scale);
      sums[h] = _mm256_fmadd_ps(_mm256_set1_ps(x_sum), offset, sums[h]);
    }
  }
}

}  // namespace
}  // namespace fourfold
