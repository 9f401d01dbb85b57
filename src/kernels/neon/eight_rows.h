// Lanes and Bytes of eight rows, for generic/blocks.inc: with 16 rows the weights of a block alone
// would fill all registers. Other names, and other meanings of the same names, than lanes.h and
// bytes.h have.
#pragma once

#include <arm_neon.h>

#include <cstdint>

namespace fourfold {
namespace {
namespace eight_rows {

constexpr int kQuarters = 2;

struct Lanes {
  float32x4_t v[kQuarters];
};
struct Bytes {
  uint32x4_t v[kQuarters];
};

template <class Op>
inline Lanes each(Op op) {
  return {{op(0), op(1)}};
}
template <class Op>
inline Bytes each_dwords(Op op) {
  return {{op(0), op(1)}};
}

inline Lanes load(const float* p) {
  return each([p](int i) { return vld1q_f32(p + 4 * i); });
}
inline void store(float* p, Lanes a) {
  for (int i = 0; i < kQuarters; ++i) vst1q_f32(p + 4 * i, a.v[i]);
}
inline Lanes broadcast(float x) {
  return each([x](int) { return vdupq_n_f32(x); });
}
inline Lanes operator+(Lanes a, Lanes b) {
  return each([&](int i) { return vaddq_f32(a.v[i], b.v[i]); });
}
inline Lanes operator-(Lanes a, Lanes b) {
  return each([&](int i) { return vsubq_f32(a.v[i], b.v[i]); });
}
inline Lanes operator*(Lanes a, Lanes b) {
  return each([&](int i) { return vmulq_f32(a.v[i], b.v[i]); });
}
inline Lanes fma(Lanes a, Lanes b, Lanes c) {
  return each([&](int i) { return vfmaq_f32(c.v[i], a.v[i], b.v[i]); });
}
// b where a or b is NaN: not what vmaxq_f32 does.
inline Lanes max(Lanes a, Lanes b) {
  return each([&](int i) { return vbslq_f32(vcgtq_f32(a.v[i], b.v[i]), a.v[i], b.v[i]); });
}
inline Lanes negate(Lanes a) {
  return each([&](int i) { return vnegq_f32(a.v[i]); });
}

inline Bytes operator&(Bytes a, Bytes b) {
  return each_dwords([&](int i) { return vandq_u32(a.v[i], b.v[i]); });
}
inline Bytes operator|(Bytes a, Bytes b) {
  return each_dwords([&](int i) { return vorrq_u32(a.v[i], b.v[i]); });
}
inline Bytes operator^(Bytes a, Bytes b) {
  return each_dwords([&](int i) { return veorq_u32(a.v[i], b.v[i]); });
}
inline Bytes all_dwords(int x) {
  return each_dwords([x](int) { return vdupq_n_u32(static_cast<std::uint32_t>(x)); });
}
inline Bytes all_bytes(int x) { return all_dwords(x * 0x01010101); }
inline Bytes add_dwords(Bytes a, Bytes b) {
  return each_dwords([&](int i) { return vaddq_u32(a.v[i], b.v[i]); });
}
inline Bytes shift_left(Bytes a, int n) {
  return each_dwords([&](int i) { return a.v[i] << n; });
}
inline Bytes shift_right(Bytes a, int n) {
  return each_dwords([&](int i) { return a.v[i] >> n; });
}
inline Bytes shift_right_signed(Bytes a, int n) {
  return each_dwords(
      [&](int i) { return vreinterpretq_u32_s32(vreinterpretq_s32_u32(a.v[i]) >> n); });
}
inline Bytes high_nibbles(Bytes x) {
  return each_dwords(
      [&](int i) { return vreinterpretq_u32_u8(vshrq_n_u8(vreinterpretq_u8_u32(x.v[i]), 4)); });
}
inline Bytes look_up(const std::int8_t* levels, Bytes x) {
  const int8x16_t table = vld1q_s8(levels);
  return each_dwords(
      [&](int i) { return vreinterpretq_u32_s8(vqtbl1q_s8(table, vreinterpretq_u8_u32(x.v[i]))); });
}
inline Lanes to_floats(Bytes dwords) {
  return each([&](int i) { return vcvtq_f32_s32(vreinterpretq_s32_u32(dwords.v[i])); });
}
inline Lanes as_floats(Bytes dwords) {
  return each([&](int i) { return vreinterpretq_f32_u32(dwords.v[i]); });
}
inline Lanes low_half(Bytes dwords) {
  return each([&](int i) { return vcvt_f32_f16(vreinterpret_f16_u16(vmovn_u32(dwords.v[i]))); });
}

// What lies side by side for all rows: dwords, f16 numbers, bytes as dwords.
inline Bytes load_dwords(const std::uint8_t* p) {
  return each_dwords([p](int i) { return vreinterpretq_u32_u8(vld1q_u8(p + 16 * i)); });
}
inline Lanes load_halves(const std::uint8_t* p) {
  const float16x8_t halves = vreinterpretq_f16_u8(vld1q_u8(p));
  return {{vcvt_f32_f16(vget_low_f16(halves)), vcvt_f32_f16(vget_high_f16(halves))}};
}
inline Bytes load_single_bytes(const std::uint8_t* p) {
  const uint16x8_t words = vmovl_u8(vld1_u8(p));
  return {{vmovl_u16(vget_low_u16(words)), vmovl_u16(vget_high_u16(words))}};
}

// 16 bytes of each row, four at a time. Left to itself the compiler calls it, and empties the
// registers for that.
[[gnu::always_inline]] inline void load_quads(const std::uint8_t* p, std::int64_t stride,
                                              Bytes quads[4]) {
  const auto trn1 = [](uint32x4_t a, uint32x4_t b) {
    return vreinterpretq_u32_u64(vtrn1q_u64(vreinterpretq_u64_u32(a), vreinterpretq_u64_u32(b)));
  };
  const auto trn2 = [](uint32x4_t a, uint32x4_t b) {
    return vreinterpretq_u32_u64(vtrn2q_u64(vreinterpretq_u64_u32(a), vreinterpretq_u64_u32(b)));
  };
  for (int i = 0; i < kQuarters; ++i) {
    uint32x4_t rows[4];
    for (int r = 0; r < 4; ++r) rows[r] = vreinterpretq_u32_u8(vld1q_u8(p + (4 * i + r) * stride));
    const uint32x4_t a = vtrn1q_u32(rows[0], rows[1]);
    const uint32x4_t b = vtrn2q_u32(rows[0], rows[1]);
    const uint32x4_t c = vtrn1q_u32(rows[2], rows[3]);
    const uint32x4_t d = vtrn2q_u32(rows[2], rows[3]);
    quads[0].v[i] = trn1(a, c);
    quads[1].v[i] = trn1(b, d);
    quads[2].v[i] = trn2(a, c);
    quads[3].v[i] = trn2(b, d);
  }
}

// Two blocks of 2 + 16 bytes of each row: the 16 bytes, and the 2 as the low half of a dword.
[[gnu::always_inline]] inline void load_two_blocks(const std::uint8_t* p, std::int64_t stride,
                                                   Bytes heads[2], Bytes quads[2][4]) {
  for (int i = 0; i < 2; ++i) {
    Bytes dwords[4];
    load_quads(p + 18 * i, stride, dwords);
    heads[i] = dwords[0];
    load_quads(p + 18 * i + 2, stride, quads[i]);
  }
}

}  // namespace eight_rows
}  // namespace
}  // namespace fourfold
