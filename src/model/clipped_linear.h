// Linear layers between bounds, as the towers of E2B and E4B have them (vision-video.md 4.2).
#pragma once

#include <limits>

#include "tensor/matrix.h"

namespace fourfold {

struct Clip {
  float low = -std::numeric_limits<float>::infinity();
  float high = std::numeric_limits<float>::infinity();

  bool clips() const { return *this != Clip{}; }
  bool operator==(const Clip&) const = default;
};

// clamp(W · clamp(x, in), out)
struct ClippedLinear {
  Matrix weight;
  Clip in, out;
};

}  // namespace fourfold
