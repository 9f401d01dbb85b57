// Linear layers between bounds, as the towers of E2B and E4B have them (vision-video.md 4.2).
#pragma once

#include "kernels/clip.h"
#include "tensor/matrix.h"

namespace fourfold {

// clamp(W · clamp(x, in), out)
struct ClippedLinear {
  Matrix weight;
  Clip in, out;
};

}  // namespace fourfold
