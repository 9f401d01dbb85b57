#include "chat/loop_detector.h"

#include <algorithm>

namespace fourfold {

LoopDetector::LoopDetector(LoopLimits limits)
    : limits_(limits),
      recent_(static_cast<std::size_t>(limits.max_period), kNoToken),
      n_repeating_(static_cast<std::size_t>(limits.max_period), 0) {}

bool LoopDetector::push(TokenId id) {
  bool loops = false;
  for (std::int64_t period = 1; period <= limits_.max_period; ++period) {
    auto& n_repeating = n_repeating_[static_cast<std::size_t>(period - 1)];
    const auto before =
        static_cast<std::size_t>((n_tokens_ + limits_.max_period - period) % limits_.max_period);
    n_repeating = recent_[before] == id ? n_repeating + 1 : 0;
    const std::int64_t enough =
        std::max<std::int64_t>(limits_.min_tokens, limits_.min_repeats * period);
    if (n_repeating + period >= enough) loops = true;
  }
  if (limits_.max_period > 0) {
    recent_[static_cast<std::size_t>(n_tokens_ % limits_.max_period)] = id;
  }
  ++n_tokens_;
  return loops;
}

}  // namespace fourfold
