// Shapes of tensors, compared and printed.
#pragma once

#include <fmt/format.h>

#include <cstdint>
#include <string>
#include <vector>

namespace fourfold {

using Shape = std::vector<std::int64_t>;

inline std::string shape_text(const Shape& shape) {
  std::string text = "[";
  for (std::size_t i = 0; i < shape.size(); ++i) {
    text += fmt::format("{}{}", i == 0 ? "" : ", ", shape[i]);
  }
  return text + "]";
}

// Files disagree about dimensions of one: [1, n], [n, 1] and [n] are one vector, [] and [1] a
// number.
inline Shape squeezed(const Shape& shape) {
  Shape result;
  for (const auto dim : shape) {
    if (dim != 1) result.push_back(dim);
  }
  return result;
}

}  // namespace fourfold
