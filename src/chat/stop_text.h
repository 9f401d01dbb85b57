// Ends a text where one of the client's stop texts begins.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace fourfold {

class StopText {
 public:
  explicit StopText(std::vector<std::string> stops = {});

  // Adds text; returns what is safe to show: held back is what may be the beginning of a stop text.
  // After one was met nothing more is shown.
  std::string push(std::string_view text);
  // No text follows, or none that belongs to what came so far.
  std::string finish() { return std::exchange(held_, {}); }
  bool is_met() const { return met_.has_value(); }
  // The stop text that was met.
  const std::optional<std::string>& met() const { return met_; }

 private:
  std::vector<std::string> stops_;  // none is empty
  std::string held_;
  std::optional<std::string> met_;
};

}  // namespace fourfold
