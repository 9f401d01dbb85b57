// What rows of a step cost on this machine: moving averages of measured steps.
#pragma once

#include <algorithm>
#include <cstdint>

namespace fourfold {

class StepCost {
 public:
  void measure(std::int64_t n_decode_rows, std::int64_t n_prefill_rows, double ms) {
    if (n_decode_rows + n_prefill_rows == 0) return;
    if (n_prefill_rows == 0) {
      average(decode_row_ms_, ms / static_cast<double>(n_decode_rows));
    } else {
      // A step of mixed rows says nothing about its parts; at least a tenth is the prompts'.
      const double prefill_ms = std::max(ms - decode_ms(n_decode_rows), 0.1 * ms);
      average(prefill_row_ms_, prefill_ms / static_cast<double>(n_prefill_rows));
    }
  }

  double decode_ms(std::int64_t n_rows) const {
    return decode_row_ms_ * static_cast<double>(n_rows);
  }

  bool knows_prefill() const { return prefill_row_ms_ > 0.0; }
  // Prefill rows that beside these decode rows keep a step below step_ms.
  std::int64_t prefill_rows(std::int64_t n_decode_rows, double step_ms, std::int64_t least,
                            std::int64_t most) const {
    if (!knows_prefill()) return std::min(least, most);
    const double rows = (step_ms - decode_ms(n_decode_rows)) / prefill_row_ms_;
    return static_cast<std::int64_t>(
        std::clamp(rows, static_cast<double>(std::min(least, most)), static_cast<double>(most)));
  }

 private:
  static void average(double& mean, double value) {
    constexpr double kWeight = 0.2;
    mean = mean <= 0.0 ? value : mean + kWeight * (value - mean);
  }

  double decode_row_ms_ = 0.0;
  double prefill_row_ms_ = 0.0;
};

}  // namespace fourfold
