#include "model/vision/vision_rope.h"

#include <cstddef>

#include "base/math.h"

namespace fourfold {

void VisionRope::Axis::set(int n, const std::vector<double>& omega) {
  cos.clear();
  sin.clear();
  for (int position = 0; position < n; ++position) {
    for (const double w : omega) {
      cos.push_back(static_cast<float>(math::cos(position * w)));
      sin.push_back(static_cast<float>(math::sin(position * w)));
    }
  }
}

void VisionRope::set(int n_columns, int n_rows, int channels, double base) {
  const int half = channels / 2;
  n_pairs_ = half / 2;
  std::vector<double> omega;
  for (int i = 0; i < n_pairs_; ++i) omega.push_back(math::pow(base, -2.0 * i / half));
  columns_.set(n_columns, omega);
  rows_.set(n_rows, omega);
}

void VisionRope::turn(const Kernels& kernels, float* head, int column, int row) const {
  const auto at_column = static_cast<std::size_t>(column * n_pairs_);
  const auto at_row = static_cast<std::size_t>(row * n_pairs_);
  float* second = head + 2 * n_pairs_;
  kernels.rope(head, columns_.cos.data() + at_column, columns_.sin.data() + at_column, n_pairs_,
               n_pairs_);
  kernels.rope(second, rows_.cos.data() + at_row, rows_.sin.data() + at_row, n_pairs_, n_pairs_);
}

}  // namespace fourfold
