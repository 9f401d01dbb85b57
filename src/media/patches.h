// Pixels → the vectors that a vision tower takes (vision-video.md 3, 12).
#pragma once

#include <cstdint>
#include <vector>

#include "media/picture.h"

namespace fourfold {

struct Patches {
  int side = 0;                         // 16, or 48 for the body without a tower
  int grid_width = 0, grid_height = 0;  // in patches
  std::vector<float> values;  // [n, side · side · 3] in 0 … 1, order (row, column, channel)
  std::vector<std::int32_t> positions;  // [n, 2] column, row

  std::int64_t n() const { return std::int64_t{grid_width} * grid_height; }
  std::int64_t width() const { return std::int64_t{side} * side * 3; }
};

// How 8 bits become a fraction: pictures by f32(1/255), frames of films by a division; they differ
// in the last bit (vision-video.md 2.5).
enum class PixelScale { Picture, Frame };

// `picture` has a target size, a multiple of 48 on both sides.
Patches make_patches(const Picture& picture, int side, PixelScale scale);

}  // namespace fourfold
