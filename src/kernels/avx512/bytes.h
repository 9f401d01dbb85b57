// 64 bytes, a dword of each of 16 rows, as one 512-bit register (see generic/pack.inc).
#pragma once

#include "kernels/avx512/lanes.h"

namespace fourfold {
namespace {

// vpdpbusd wants one unsigned side.
constexpr int kPanelZero = 128;

struct Bytes {
  __m512i v;
};

inline Bytes operator&(Bytes a, Bytes b) { return {_mm512_and_si512(a.v, b.v)}; }
inline Bytes operator|(Bytes a, Bytes b) { return {_mm512_or_si512(a.v, b.v)}; }
inline Bytes operator^(Bytes a, Bytes b) { return {_mm512_xor_si512(a.v, b.v)}; }
inline Bytes all_bytes(int x) { return {_mm512_set1_epi8(static_cast<char>(x))}; }
inline Bytes all_dwords(int x) { return {_mm512_set1_epi32(x)}; }
// Of dwords.
inline Bytes shift_left(Bytes a, int n) { return {_mm512_sll_epi32(a.v, _mm_cvtsi32_si128(n))}; }
inline Bytes shift_right(Bytes a, int n) { return {_mm512_srl_epi32(a.v, _mm_cvtsi32_si128(n))}; }
inline Bytes shift_right_signed(Bytes a, int n) {
  return {_mm512_sra_epi32(a.v, _mm_cvtsi32_si128(n))};
}
// levels[x] of every byte x < 16.
inline Bytes look_up(const std::int8_t* levels, Bytes x) {
  const __m128i table = _mm_load_si128(reinterpret_cast<const __m128i*>(levels));
  return {_mm512_shuffle_epi8(_mm512_broadcast_i32x4(table), x.v)};
}
// The panel is [k / 4][row][4].
inline void put_quads(std::uint8_t* p, const Bytes quads[4]) {
  for (int i = 0; i < 4; ++i) _mm512_storeu_si512(p + 64 * i, quads[i].v);
}

// Dwords as int32.
inline Lanes to_floats(Bytes dwords) { return {_mm512_cvtepi32_ps(dwords.v)}; }
// Dwords as the bits of f32.
inline Lanes as_floats(Bytes dwords) { return {_mm512_castsi512_ps(dwords.v)}; }
// And back.
inline Bytes as_bytes(Lanes a) { return {_mm512_castps_si512(a.v)}; }
inline Bytes add_dwords(Bytes a, Bytes b) { return {_mm512_add_epi32(a.v, b.v)}; }
// Four values of each lane, rounded to nearest even, as the bytes of its dword: 0 <= a < 255.5.
inline Bytes to_bytes(const Lanes a[4]) {
  const auto pair = [&](int i) {
    return _mm512_packs_epi32(_mm512_cvtps_epi32(a[i].v), _mm512_cvtps_epi32(a[i + 1].v));
  };
  const __m128i order = _mm_setr_epi8(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
  return {
      _mm512_shuffle_epi8(_mm512_packus_epi16(pair(0), pair(2)), _mm512_broadcast_i32x4(order))};
}
// sums + the four bytes of each dword, unsigned.
inline Bytes add_quads(Bytes sums, Bytes quads) {
  return {_mm512_dpbusd_epi32(sums.v, quads.v, _mm512_set1_epi8(1))};
}
// The f16 in the low half of each dword.
inline Lanes low_half(Bytes dwords) { return {_mm512_cvtph_ps(_mm512_cvtepi32_epi16(dwords.v))}; }

// What lies side by side for all rows: dwords, f16 numbers, bytes as dwords.
inline Bytes load_dwords(const std::uint8_t* p) { return {_mm512_loadu_si512(p)}; }
inline Lanes load_halves(const std::uint8_t* p) {
  return {_mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)))};
}
inline Bytes load_single_bytes(const std::uint8_t* p) {
  return {_mm512_cvtepu8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)))};
}

// 16 bytes of the rows i, 4 + i, 8 + i, 12 + i.
inline __m512i load_every_fourth(const std::uint8_t* p, std::int64_t stride, int i) {
  const auto at = [&](int row) {
    return _mm_loadu_si128(reinterpret_cast<const __m128i*>(p + row * stride));
  };
  const __m256i low = _mm256_inserti128_si256(_mm256_castsi128_si256(at(i)), at(4 + i), 1);
  const __m256i high = _mm256_inserti128_si256(_mm256_castsi128_si256(at(8 + i)), at(12 + i), 1);
  return _mm512_inserti64x4(_mm512_castsi256_si512(low), high, 1);
}

// Rows as load_every_fourth gives them → a dword of each row in each register.
inline void transpose(const __m512i rows[4], Bytes quads[4]) {
  const __m512i a = _mm512_unpacklo_epi32(rows[0], rows[1]);
  const __m512i b = _mm512_unpacklo_epi32(rows[2], rows[3]);
  const __m512i c = _mm512_unpackhi_epi32(rows[0], rows[1]);
  const __m512i d = _mm512_unpackhi_epi32(rows[2], rows[3]);
  quads[0].v = _mm512_unpacklo_epi64(a, b);
  quads[1].v = _mm512_unpackhi_epi64(a, b);
  quads[2].v = _mm512_unpacklo_epi64(c, d);
  quads[3].v = _mm512_unpackhi_epi64(c, d);
}

// 16 bytes of each row, four at a time.
inline void load_quads(const std::uint8_t* p, std::int64_t stride, Bytes quads[4]) {
  __m512i rows[4];
  for (int i = 0; i < 4; ++i) rows[i] = load_every_fourth(p, stride, i);
  transpose(rows, quads);
}

// Two blocks of 2 + 16 bytes of each row: the 16 bytes, and the 2 as the low half of a dword.
[[gnu::always_inline]] inline void load_two_blocks(const std::uint8_t* p, std::int64_t stride,
                                                   Bytes heads[2], Bytes quads[2][4]) {
  __m512i first[4], middle[4], last[4], shifted[4];  // from bytes 0, 16, 20 and 2 on
  for (int i = 0; i < 4; ++i) {
    first[i] = load_every_fourth(p, stride, i);
    middle[i] = load_every_fourth(p + 16, stride, i);
    last[i] = load_every_fourth(p + 20, stride, i);
    shifted[i] = _mm512_alignr_epi8(middle[i], first[i], 2);
  }
  Bytes dwords[4];
  transpose(first, dwords);
  heads[0] = dwords[0];
  transpose(middle, dwords);
  heads[1] = shift_right(dwords[0], 16);  // the head is bytes 18 and 19
  transpose(shifted, quads[0]);
  transpose(last, quads[1]);
}

}  // namespace
}  // namespace fourfold
