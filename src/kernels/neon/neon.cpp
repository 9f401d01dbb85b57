// What every 64-bit Arm has: four registers of 4 weight rows, four k a lane.
#include "kernels/neon/bytes.h"
#include "kernels/neon/eight_rows.h"
#include "kernels/neon/lanes.h"
#include "kernels/neon/panel.h"
#include "kernels/probes.h"
// After those:
#include "kernels/generic/kernels.inc"

namespace fourfold {
namespace {

// Two products of at most 128 · 127 stay below 2^15.
template <int kLane>
inline int32x4_t add_dots(int32x4_t sums, int8x16_t weights, int8x16_t x) {
  const int32x4_t four = vdupq_laneq_s32(vreinterpretq_s32_s8(x), kLane);
  const int16x8_t low = vmull_s8(vget_low_s8(weights), vget_low_s8(vreinterpretq_s8_s32(four)));
  const int16x8_t high = vmull_high_s8(weights, vreinterpretq_s8_s32(four));
  return vpadalq_s16(sums, vpaddq_s16(low, high));
}

}  // namespace
}  // namespace fourfold

// After add_dots:
#include "kernels/neon/panel.inc"
// After put_quads and panel_tokens:
#include "kernels/generic/forms.inc"
#include "kernels/generic/panels.inc"
#include "kernels/neon/probes.inc"

// After eight_rows::put_quads and add_dots:
#include "kernels/neon/blocks.inc"

namespace fourfold {

const Kernels kNeonKernels = {
    .name = "neon",
#include "kernels/generic/table.inc"
};

const Probes kNeonProbes = kProbes;

}  // namespace fourfold
