// 64 bytes, a dword of each of 16 rows, as four 128-bit registers (see generic/pack.inc).
#pragma once

#include "kernels/neon/lanes.h"

namespace fourfold {
namespace {

// Both sides of the products are signed.
constexpr int kPanelZero = 0;

struct Bytes {
  uint32x4_t v[4];
};

template <class Op>
inline Bytes each_dwords(Op op) {
  return {{op(0), op(1), op(2), op(3)}};
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
// Of dwords.
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
// levels[x] of every byte x < 16.
inline Bytes look_up(const std::int8_t* levels, Bytes x) {
  const int8x16_t table = vld1q_s8(levels);
  return each_dwords(
      [&](int i) { return vreinterpretq_u32_s8(vqtbl1q_s8(table, vreinterpretq_u8_u32(x.v[i]))); });
}
// Dwords as int32.
inline Lanes to_floats(Bytes dwords) {
  return each([&](int i) { return vcvtq_f32_s32(vreinterpretq_s32_u32(dwords.v[i])); });
}
// Dwords as the bits of f32.
inline Lanes as_floats(Bytes dwords) {
  return each([&](int i) { return vreinterpretq_f32_u32(dwords.v[i]); });
}
// And back.
inline Bytes as_bytes(Lanes a) {
  return each_dwords([&](int i) { return vreinterpretq_u32_f32(a.v[i]); });
}
inline Bytes add_dwords(Bytes a, Bytes b) {
  return each_dwords([&](int i) { return vaddq_u32(a.v[i], b.v[i]); });
}
// Four values of each lane, rounded to nearest even, as the bytes of its dword: 0 <= a < 255.5.
inline Bytes to_bytes(const Lanes a[4]) {
  return each_dwords([&](int i) {
    const auto whole = [&](int k) { return vcvtnq_u32_f32(a[k].v[i]); };
    const uint32x4_t two = vsliq_n_u32(whole(0), whole(1), 8);
    return vsliq_n_u32(two, vsliq_n_u32(whole(2), whole(3), 8), 16);
  });
}
// sums + the four bytes of each dword, unsigned.
inline Bytes add_quads(Bytes sums, Bytes quads) {
  return each_dwords(
      [&](int i) { return vpadalq_u16(sums.v[i], vpaddlq_u8(vreinterpretq_u8_u32(quads.v[i]))); });
}
// The f16 in the low half of each dword.
inline Lanes low_half(Bytes dwords) {
  return each([&](int i) { return vcvt_f32_f16(vreinterpret_f16_u16(vmovn_u32(dwords.v[i]))); });
}

// 16 bytes of each row, four at a time.
inline void load_quads(const std::uint8_t* p, std::int64_t stride, Bytes quads[4]) {
  const auto trn1 = [](uint32x4_t a, uint32x4_t b) {
    return vreinterpretq_u32_u64(vtrn1q_u64(vreinterpretq_u64_u32(a), vreinterpretq_u64_u32(b)));
  };
  const auto trn2 = [](uint32x4_t a, uint32x4_t b) {
    return vreinterpretq_u32_u64(vtrn2q_u64(vreinterpretq_u64_u32(a), vreinterpretq_u64_u32(b)));
  };
  for (int i = 0; i < 4; ++i) {
    const auto row = [&](int r) {
      return vreinterpretq_u32_u8(vld1q_u8(p + (4 * i + r) * stride));
    };
    const uint32x4_t a = vtrn1q_u32(row(0), row(1));
    const uint32x4_t b = vtrn2q_u32(row(0), row(1));
    const uint32x4_t c = vtrn1q_u32(row(2), row(3));
    const uint32x4_t d = vtrn2q_u32(row(2), row(3));
    quads[0].v[i] = trn1(a, c);
    quads[1].v[i] = trn1(b, d);
    quads[2].v[i] = trn2(a, c);
    quads[3].v[i] = trn2(b, d);
  }
}

}  // namespace
}  // namespace fourfold
