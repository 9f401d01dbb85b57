// Pictures of any size are resized to any size, and the size rule stays in its budget.
#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "base/check.h"
#include "media/resize.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace fourfold;
  if (size < 9) return 0;
  const auto side = [&](std::size_t at) { return 1 + (data[at] | data[at + 1] << 8); };
  const PictureSize any = {.width = std::min(side(0), 65'535), .height = std::min(side(2), 65'535)};
  const int budget = kSoftTokenBudgets[data[8] % kSoftTokenBudgets.size()];
  const auto target = target_size(any, budget);
  CHECK(target.ok() && soft_tokens(*target) >= 1 && soft_tokens(*target) <= budget);

  // Small ones are resized.
  Picture source{.width = 1 + side(0) % 512, .height = 1 + side(2) % 64, .rgb = {}};
  const PictureSize to = {.width = 1 + side(4) % 256, .height = 1 + side(6) % 64};
  const auto n =
      static_cast<std::size_t>(source.width) * static_cast<std::size_t>(source.height) * 3;
  for (std::size_t i = 0; i < n; ++i) source.rgb.push_back(data[i % size]);
  const Picture resized = resize(source, to);
  CHECK(resized.size() == to);
  CHECK(resized.rgb.size() == static_cast<std::size_t>(to.width * to.height * 3));
  return 0;
}
