// Lanes and Bytes of eight rows, for generic/blocks.inc: with 16 rows the weights of a block alone
// would fill all registers. Other names, and other meanings of the same names, than lanes.h and
// bytes.h have.
#pragma once

#include "kernels/avx2/half_panel.h"

namespace fourfold {
namespace {
namespace eight_rows {

struct Lanes {
  __m256 v;
};
struct Bytes {
  __m256i v;
};

inline Lanes load(const float* p) { return {_mm256_loadu_ps(p)}; }
inline void store(float* p, Lanes a) { _mm256_storeu_ps(p, a.v); }
inline Lanes broadcast(float x) { return {_mm256_set1_ps(x)}; }
inline Lanes operator+(Lanes a, Lanes b) { return {_mm256_add_ps(a.v, b.v)}; }
inline Lanes operator-(Lanes a, Lanes b) { return {_mm256_sub_ps(a.v, b.v)}; }
inline Lanes operator*(Lanes a, Lanes b) { return {_mm256_mul_ps(a.v, b.v)}; }
inline Lanes fma(Lanes a, Lanes b, Lanes c) { return {_mm256_fmadd_ps(a.v, b.v, c.v)}; }
inline Lanes max(Lanes a, Lanes b) { return {_mm256_max_ps(a.v, b.v)}; }
inline Lanes negate(Lanes a) { return {_mm256_xor_ps(a.v, _mm256_set1_ps(-0.0f))}; }

inline Bytes operator&(Bytes a, Bytes b) { return {_mm256_and_si256(a.v, b.v)}; }
inline Bytes operator|(Bytes a, Bytes b) { return {_mm256_or_si256(a.v, b.v)}; }
inline Bytes operator^(Bytes a, Bytes b) { return {_mm256_xor_si256(a.v, b.v)}; }
inline Bytes all_bytes(int x) { return {_mm256_set1_epi8(static_cast<char>(x))}; }
inline Bytes all_dwords(int x) { return {_mm256_set1_epi32(x)}; }
inline Bytes add_dwords(Bytes a, Bytes b) { return {_mm256_add_epi32(a.v, b.v)}; }
inline Bytes shift_left(Bytes a, int n) { return {_mm256_sll_epi32(a.v, _mm_cvtsi32_si128(n))}; }
inline Bytes shift_right(Bytes a, int n) { return {_mm256_srl_epi32(a.v, _mm_cvtsi32_si128(n))}; }
inline Bytes shift_right_signed(Bytes a, int n) {
  return {_mm256_sra_epi32(a.v, _mm_cvtsi32_si128(n))};
}
inline Bytes high_nibbles(Bytes x) { return shift_right(x, 4) & all_bytes(15); }
inline Bytes look_up(const std::int8_t* levels, Bytes x) {
  const __m128i table = _mm_load_si128(reinterpret_cast<const __m128i*>(levels));
  return {_mm256_shuffle_epi8(_mm256_broadcastsi128_si256(table), x.v)};
}
inline Lanes to_floats(Bytes dwords) { return {_mm256_cvtepi32_ps(dwords.v)}; }
inline Lanes as_floats(Bytes dwords) { return {_mm256_castsi256_ps(dwords.v)}; }
inline Lanes low_half(Bytes dwords) { return {fourfold::low_half(dwords.v)}; }

// What lies side by side for all rows: dwords, f16 numbers, bytes as dwords.
inline Bytes load_dwords(const std::uint8_t* p) {
  return {_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p))};
}
inline Lanes load_halves(const std::uint8_t* p) {
  return {_mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)))};
}
inline Bytes load_single_bytes(const std::uint8_t* p) {
  return {_mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p)))};
}

// Half of a panel [k / 4][row][4].
inline void put_quads(std::uint8_t* p, const Bytes quads[4]) {
  for (int i = 0; i < 4; ++i) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(p + 64 * i), quads[i].v);
  }
}

// Rows as load_pair gives them → a dword of each row in each register. Left to itself the compiler
// calls such functions, and empties the registers for that.
[[gnu::always_inline]] inline void transpose(const __m256i pairs[4], Bytes quads[4]) {
  __m256i dwords[4];
  fourfold::transpose(pairs, dwords);
  for (int i = 0; i < 4; ++i) quads[i].v = dwords[i];
}

// 16 bytes of each row, four at a time.
[[gnu::always_inline]] inline void load_quads(const std::uint8_t* p, std::int64_t stride,
                                              Bytes quads[4]) {
  __m256i pairs[4];
  for (int i = 0; i < 4; ++i) pairs[i] = load_pair(p, stride, i);
  transpose(pairs, quads);
}

// Two blocks of 2 + 16 bytes of each row: the 16 bytes, and the 2 as the low half of a dword.
[[gnu::always_inline]] inline void load_two_blocks(const std::uint8_t* p, std::int64_t stride,
                                                   Bytes heads[2], Bytes quads[2][4]) {
  __m256i first[4], middle[4], last[4], shifted[4];  // from bytes 0, 16, 20 and 2 on
  for (int i = 0; i < 4; ++i) {
    first[i] = load_pair(p, stride, i);
    middle[i] = load_pair(p + 16, stride, i);
    last[i] = load_pair(p + 20, stride, i);
    shifted[i] = _mm256_alignr_epi8(middle[i], first[i], 2);
  }
  Bytes dwords[4];
  transpose(first, dwords);
  heads[0] = dwords[0];
  transpose(middle, dwords);
  heads[1] = shift_right(dwords[0], 16);  // the head is bytes 18 and 19
  transpose(shifted, quads[0]);
  transpose(last, quads[1]);
}

}  // namespace eight_rows
}  // namespace
}  // namespace fourfold
