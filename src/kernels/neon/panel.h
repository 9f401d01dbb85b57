// What the panels of all Arm tables share.
#pragma once

#include <arm_neon.h>

#include "kernels/table.h"

namespace fourfold {
namespace {

// A panel is read as four quarters of four rows.
constexpr int kQuarters = 4;

// A group's integer sum of a token, from which weights that are stored with `zero` added are made
// right, and its scale.
struct GroupOfToken {
  float scale;
  std::int32_t sum;
};

template <int kGroup>
inline GroupOfToken group_of(const QuantView& x, int t, int g) {
  const std::int32_t* sums = x.sums + t * x.sum_stride + g * (kGroup / kSumBlock);
  std::int32_t sum = sums[0];
  for (int i = 1; i < kGroup / kSumBlock; ++i) sum += sums[i];
  return {x.scales[t * x.scale_stride + g * kGroup / kActivationBlock], sum};
}

// acc += dots·scale (+ the token's sum·offset) for quarter r of group g.
template <int kGroup, bool kOffsets>
inline void add_quarter(const PanelView& w, int g, int r, GroupOfToken x, int32x4_t dots,
                        float* acc) {
  const int at = (kGroup == 64 ? 2 * g : g) * kPanelRows + 4 * r;
  const int32x4_t whole = vaddq_s32(dots, vdupq_n_s32(-w.zero * x.sum));
  const float32x4_t scale = vmulq_f32(vld1q_f32(w.scales + at), vdupq_n_f32(x.scale));
  float32x4_t sum = vfmaq_f32(vld1q_f32(acc + 4 * r), vcvtq_f32_s32(whole), scale);
  if constexpr (kOffsets) {
    const float32x4_t offset = vmulq_f32(vld1q_f32(w.offsets + at), vdupq_n_f32(x.scale));
    sum = vfmaq_f32(sum, vdupq_n_f32(static_cast<float>(x.sum)), offset);
  }
  vst1q_f32(acc + 4 * r, sum);
}

}  // namespace
}  // namespace fourfold
