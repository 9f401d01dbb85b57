// Pixels to the size that fills a soft-token budget: the size rule and the fixed-point bicubic
// filter of the reference's default image processor (vision-video.md 2.2 to 2.4).
#pragma once

#include <array>
#include <cstdint>

#include "base/result.h"
#include "media/picture.h"

namespace fourfold {

inline constexpr std::array kSoftTokenBudgets = {70, 140, 280, 560, 1120};
inline constexpr int kImageBudget = 280;
inline constexpr int kFrameBudget = 70;
inline constexpr int kSoftTokenPixels = 48;  // side of the square that becomes one soft token

// InvalidArgument for a budget that is none of the five.
Status check_budget(std::int64_t budget);

// Multiples of 48 that fill the budget. InvalidArgument for a budget that is none of the five.
Result<PictureSize> target_size(PictureSize source, int budget);

// Soft tokens of a picture of a target size.
constexpr int soft_tokens(PictureSize target) {
  return target.width / kSoftTokenPixels * (target.height / kSoftTokenPixels);
}

// Bicubic with antialiasing on 8-bit pixels, the 16-bit weights of torchvision.
Picture resize(const Picture& source, PictureSize target);

}  // namespace fourfold
