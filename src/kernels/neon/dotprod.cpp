// 64-bit Arm with the dot product instructions (sdot), which have been common since 2018.
#include "kernels/neon/bytes.h"
#include "kernels/neon/eight_rows.h"
#include "kernels/neon/lanes.h"
#include "kernels/neon/panel.h"
#include "kernels/probes.h"
// After those:
#include "kernels/generic/kernels.inc"

namespace fourfold {
namespace {

template <int kLane>
inline int32x4_t add_dots(int32x4_t sums, int8x16_t weights, int8x16_t x) {
  return vdotq_laneq_s32(sums, weights, x, kLane);
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

const Kernels kDotprodKernels = {
    .name = "neon-dotprod",
#include "kernels/generic/table.inc"
};

const Probes kDotprodProbes = kProbes;

}  // namespace fourfold
