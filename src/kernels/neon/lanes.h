// 16 virtual lanes as four 128-bit registers (see table.h).
#pragma once

#include <arm_neon.h>

#include <cstdint>

namespace fourfold {
namespace {

struct Lanes {
  float32x4_t v[4];
};

template <class Op>
inline Lanes each(Op op) {
  return {{op(0), op(1), op(2), op(3)}};
}

inline Lanes load(const float* p) {
  return each([p](int i) { return vld1q_f32(p + 4 * i); });
}
inline Lanes load_first(const float* p, int n) {
  float full[16] = {};
  for (int i = 0; i < n; ++i) full[i] = p[i];
  return load(full);
}
inline void store(float* p, Lanes a) {
  for (int i = 0; i < 4; ++i) vst1q_f32(p + 4 * i, a.v[i]);
}
inline void store_first(float* p, int n, Lanes a) {
  float full[16];
  store(full, a);
  for (int i = 0; i < n; ++i) p[i] = full[i];
}
inline Lanes broadcast(float x) {
  return each([x](int) { return vdupq_n_f32(x); });
}
inline Lanes zero_lanes() { return broadcast(0.0f); }
inline Lanes operator+(Lanes a, Lanes b) {
  return each([&](int i) { return vaddq_f32(a.v[i], b.v[i]); });
}
inline Lanes operator-(Lanes a, Lanes b) {
  return each([&](int i) { return vsubq_f32(a.v[i], b.v[i]); });
}
inline Lanes operator*(Lanes a, Lanes b) {
  return each([&](int i) { return vmulq_f32(a.v[i], b.v[i]); });
}
inline Lanes operator/(Lanes a, Lanes b) {
  return each([&](int i) { return vdivq_f32(a.v[i], b.v[i]); });
}
inline Lanes fma(Lanes a, Lanes b, Lanes c) {
  return each([&](int i) { return vfmaq_f32(c.v[i], a.v[i], b.v[i]); });
}
// b where a or b is NaN: not what vminq_f32 and vmaxq_f32 do.
inline float32x4_t max(float32x4_t a, float32x4_t b) { return vbslq_f32(vcgtq_f32(a, b), a, b); }
inline Lanes min(Lanes a, Lanes b) {
  return each([&](int i) { return vbslq_f32(vcltq_f32(a.v[i], b.v[i]), a.v[i], b.v[i]); });
}
inline Lanes max(Lanes a, Lanes b) {
  return each([&](int i) { return max(a.v[i], b.v[i]); });
}
inline Lanes abs(Lanes a) {
  return each([&](int i) { return vabsq_f32(a.v[i]); });
}
inline Lanes negate(Lanes a) {
  return each([&](int i) { return vnegq_f32(a.v[i]); });
}
// 0 where x < limit, else y.
inline Lanes zero_below(Lanes x, float limit, Lanes y) {
  return each([&](int i) {
    const uint32x4_t below = vcltq_f32(x.v[i], vdupq_n_f32(limit));
    return vreinterpretq_f32_u32(vbicq_u32(vreinterpretq_u32_f32(y.v[i]), below));
  });
}
// 2^n for whole n in the normal range.
inline Lanes power_of_two(Lanes n) {
  return each([&](int i) {
    const int32x4_t biased = vaddq_s32(vcvtnq_s32_f32(n.v[i]), vdupq_n_s32(127));
    return vreinterpretq_f32_s32(vshlq_n_s32(biased, 23));
  });
}
inline float add_lanes(Lanes a) {
  const float32x4_t s4 = vaddq_f32(vaddq_f32(a.v[0], a.v[2]), vaddq_f32(a.v[1], a.v[3]));
  return vpadds_f32(vadd_f32(vget_low_f32(s4), vget_high_f32(s4)));
}
inline float max_lanes(Lanes a) {
  const float32x4_t m4 = max(max(a.v[0], a.v[2]), max(a.v[1], a.v[3]));
  const float32x2_t m2 =
      vbsl_f32(vcgt_f32(vget_low_f32(m4), vget_high_f32(m4)), vget_low_f32(m4), vget_high_f32(m4));
  const float first = vget_lane_f32(m2, 0);
  const float second = vget_lane_f32(m2, 1);
  return first > second ? first : second;
}

inline Lanes load_bf16(const std::uint16_t* p) {
  return each([p](int i) { return vreinterpretq_f32_u32(vshll_n_u16(vld1_u16(p + 4 * i), 16)); });
}
inline Lanes load_f16(const std::uint16_t* p) {
  return each([p](int i) { return vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(p + 4 * i))); });
}
inline void store_f16(std::uint16_t* p, Lanes a) {
  for (int i = 0; i < 4; ++i) vst1_u16(p + 4 * i, vreinterpret_u16_f16(vcvt_f16_f32(a.v[i])));
}
// Rounds to nearest even; NaN becomes quiet.
inline void store_bf16(std::uint16_t* p, Lanes a) {
  for (int i = 0; i < 4; ++i) {
    const uint32x4_t bits = vreinterpretq_u32_f32(a.v[i]);
    const uint32x4_t odd = vandq_u32(vshrq_n_u32(bits, 16), vdupq_n_u32(1));
    const uint32x4_t rounded = vaddq_u32(vaddq_u32(bits, odd), vdupq_n_u32(0x7fff));
    const uint32x4_t quiet = vorrq_u32(bits, vdupq_n_u32(0x400000));
    const uint32x4_t number = vceqq_f32(a.v[i], a.v[i]);
    vst1_u16(p + 4 * i, vshrn_n_u32(vbslq_u32(number, rounded, quiet), 16));
  }
}
inline Lanes load_int8(const std::int8_t* p) {
  const int8x16_t x = vld1q_s8(p);
  const int16x8_t low = vmovl_s8(vget_low_s8(x));
  const int16x8_t high = vmovl_high_s8(x);
  return {{vcvtq_f32_s32(vmovl_s16(vget_low_s16(low))), vcvtq_f32_s32(vmovl_high_s16(low)),
           vcvtq_f32_s32(vmovl_s16(vget_low_s16(high))), vcvtq_f32_s32(vmovl_high_s16(high))}};
}
// Of 16.
inline std::int32_t sum_int8(const std::int8_t* p) { return vaddlvq_s8(vld1q_s8(p)); }
// Rounds to nearest even; |a| <= 127.
inline void store_int8(std::int8_t* p, Lanes a) {
  const auto pairs = [&](int i) {
    return vcombine_s16(vmovn_s32(vcvtnq_s32_f32(a.v[i])), vmovn_s32(vcvtnq_s32_f32(a.v[i + 1])));
  };
  vst1q_s8(p, vcombine_s8(vmovn_s16(pairs(0)), vmovn_s16(pairs(2))));
}

// What fits into the registers: a tile of matmul_f32.
constexpr int kTileRows = 2;
constexpr int kTileTokens = 2;
// Sums of attend_block, over four queries or one.
constexpr int kValueLanes = 4;

}  // namespace
}  // namespace fourfold
