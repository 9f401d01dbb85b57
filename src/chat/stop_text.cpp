#include "chat/stop_text.h"

#include <algorithm>

namespace fourfold {

StopText::StopText(std::vector<std::string> stops) : stops_(std::move(stops)) {
  std::erase(stops_, "");
}

std::string StopText::push(std::string_view text) {
  if (met_) return {};
  held_ += text;
  std::size_t end = std::string::npos;
  for (const auto& stop : stops_) {
    const std::size_t begin = held_.find(stop);
    if (begin >= end) continue;
    end = begin;
    met_ = stop;
  }
  if (met_) {
    held_.resize(end);
    return finish();
  }
  std::size_t n_kept = 0;
  for (const auto& stop : stops_) {
    for (std::size_t n = std::min(stop.size(), held_.size()); n > n_kept; --n) {
      if (held_.ends_with(std::string_view(stop).substr(0, n))) n_kept = n;
    }
  }
  std::string shown = held_.substr(0, held_.size() - n_kept);
  held_.erase(0, shown.size());
  return shown;
}

}  // namespace fourfold
