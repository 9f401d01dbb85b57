// Bounds of values.
#pragma once

#include <limits>

namespace fourfold {

struct Clip {
  float low = -std::numeric_limits<float>::infinity();
  float high = std::numeric_limits<float>::infinity();

  bool clips() const { return *this != Clip{}; }
  bool operator==(const Clip&) const = default;
};

}  // namespace fourfold
