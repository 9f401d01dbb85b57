#include "media/patches.h"

#include <array>

#include "base/check.h"

namespace fourfold {
namespace {

// Every value of a channel as a fraction.
std::array<float, 256> make_fractions(PixelScale scale) {
  constexpr float kScale = static_cast<float>(1.0 / 255.0);
  std::array<float, 256> fractions;
  for (int i = 0; i < 256; ++i) {
    const auto value = static_cast<float>(i);
    fractions[static_cast<std::size_t>(i)] =
        scale == PixelScale::Picture ? value * kScale : value / 255.0f;
  }
  return fractions;
}

}  // namespace

Patches make_patches(const Picture& picture, int side, PixelScale scale) {
  CHECK(picture.width % side == 0 && picture.height % side == 0);
  const auto fractions = make_fractions(scale);
  Patches patches{.side = side,
                  .grid_width = picture.width / side,
                  .grid_height = picture.height / side,
                  .values = {},
                  .positions = {}};
  patches.values.resize(static_cast<std::size_t>(patches.n() * patches.width()));
  float* out = patches.values.data();
  for (int y = 0; y < patches.grid_height; ++y) {
    for (int x = 0; x < patches.grid_width; ++x) {
      patches.positions.insert(patches.positions.end(), {x, y});
      for (int row = 0; row < side; ++row) {
        const std::size_t first =
            static_cast<std::size_t>(y * side + row) * static_cast<std::size_t>(picture.width) +
            static_cast<std::size_t>(x * side);
        const std::uint8_t* in = picture.rgb.data() + first * 3;
        for (int i = 0; i < side * 3; ++i) *out++ = fractions[in[i]];
      }
    }
  }
  return patches;
}

}  // namespace fourfold
