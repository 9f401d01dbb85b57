// 64 bytes, a dword of each of 16 rows, as two 256-bit registers (see generic/pack.inc).
#pragma once

#include "kernels/avx2/half_panel.h"
#include "kernels/avx2/lanes.h"

namespace fourfold {
namespace {

struct Bytes {
  __m256i low;
  __m256i high;
};

inline Bytes operator&(Bytes a, Bytes b) {
  return {_mm256_and_si256(a.low, b.low), _mm256_and_si256(a.high, b.high)};
}
inline Bytes operator|(Bytes a, Bytes b) {
  return {_mm256_or_si256(a.low, b.low), _mm256_or_si256(a.high, b.high)};
}
inline Bytes operator^(Bytes a, Bytes b) {
  return {_mm256_xor_si256(a.low, b.low), _mm256_xor_si256(a.high, b.high)};
}
inline Bytes all_bytes(int x) {
  const __m256i all = _mm256_set1_epi8(static_cast<char>(x));
  return {all, all};
}
inline Bytes all_dwords(int x) { return {_mm256_set1_epi32(x), _mm256_set1_epi32(x)}; }
// Of dwords.
inline Bytes shift_left(Bytes a, int n) {
  const __m128i count = _mm_cvtsi32_si128(n);
  return {_mm256_sll_epi32(a.low, count), _mm256_sll_epi32(a.high, count)};
}
inline Bytes shift_right(Bytes a, int n) {
  const __m128i count = _mm_cvtsi32_si128(n);
  return {_mm256_srl_epi32(a.low, count), _mm256_srl_epi32(a.high, count)};
}
inline Bytes shift_right_signed(Bytes a, int n) {
  const __m128i count = _mm_cvtsi32_si128(n);
  return {_mm256_sra_epi32(a.low, count), _mm256_sra_epi32(a.high, count)};
}
// levels[x] of every byte x < 16.
inline Bytes look_up(const std::int8_t* levels, Bytes x) {
  const __m256i table =
      _mm256_broadcastsi128_si256(_mm_load_si128(reinterpret_cast<const __m128i*>(levels)));
  return {_mm256_shuffle_epi8(table, x.low), _mm256_shuffle_epi8(table, x.high)};
}
// The panel is [k / 4][row][4].
inline void put_quads(std::uint8_t* p, const Bytes quads[4]) {
  auto* out = reinterpret_cast<__m256i*>(p);
  for (int i = 0; i < 4; ++i, out += 2) {
    _mm256_storeu_si256(out, quads[i].low);
    _mm256_storeu_si256(out + 1, quads[i].high);
  }
}

// Dwords as int32.
inline Lanes to_floats(Bytes dwords) {
  return {_mm256_cvtepi32_ps(dwords.low), _mm256_cvtepi32_ps(dwords.high)};
}
// Dwords as the bits of f32.
inline Lanes as_floats(Bytes dwords) {
  return {_mm256_castsi256_ps(dwords.low), _mm256_castsi256_ps(dwords.high)};
}
// And back.
inline Bytes as_bytes(Lanes a) { return {_mm256_castps_si256(a.low), _mm256_castps_si256(a.high)}; }
inline Bytes add_dwords(Bytes a, Bytes b) {
  return {_mm256_add_epi32(a.low, b.low), _mm256_add_epi32(a.high, b.high)};
}
// Four values of each row, rounded to nearest even, as the bytes of its dword.
inline __m256i to_bytes(__m256 a, __m256 b, __m256 c, __m256 d) {
  const __m256i first = _mm256_packs_epi32(_mm256_cvtps_epi32(a), _mm256_cvtps_epi32(b));
  const __m256i second = _mm256_packs_epi32(_mm256_cvtps_epi32(c), _mm256_cvtps_epi32(d));
  const __m128i order = _mm_setr_epi8(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
  return _mm256_shuffle_epi8(_mm256_packus_epi16(first, second),
                             _mm256_broadcastsi128_si256(order));
}
// The same for all rows: 0 <= a < 255.5.
inline Bytes to_bytes(const Lanes a[4]) {
  return {to_bytes(a[0].low, a[1].low, a[2].low, a[3].low),
          to_bytes(a[0].high, a[1].high, a[2].high, a[3].high)};
}
inline __m256i add_quads(__m256i sums, __m256i quads) {
  const __m256i pairs = _mm256_maddubs_epi16(quads, _mm256_set1_epi8(1));
  return _mm256_add_epi32(sums, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
}
// sums + the four bytes of each dword, unsigned.
inline Bytes add_quads(Bytes sums, Bytes quads) {
  return {add_quads(sums.low, quads.low), add_quads(sums.high, quads.high)};
}
// The f16 in the low half of each dword.
inline Lanes low_half(Bytes dwords) { return {low_half(dwords.low), low_half(dwords.high)}; }

// 16 bytes of each row, four at a time.
inline void load_quads(const std::uint8_t* p, std::int64_t stride, Bytes quads[4]) {
  __m256i halves[kHalves][4];
  for (int h = 0; h < kHalves; ++h) {
    __m256i pairs[4];
    for (int i = 0; i < 4; ++i) pairs[i] = load_pair(p + h * kHalfRows * stride, stride, i);
    transpose(pairs, halves[h]);
  }
  for (int i = 0; i < 4; ++i) quads[i] = {halves[0][i], halves[1][i]};
}

}  // namespace
}  // namespace fourfold
