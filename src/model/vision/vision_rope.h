// Rotation of a head by two coordinates: its first half turns by the column, its second by the row
// (vision-video.md 4.1).
#pragma once

#include <vector>

#include "kernels/table.h"

namespace fourfold {

class VisionRope {
 public:
  // The angles of every coordinate below `n_columns` and `n_rows`, in f64 and rounded once. A half
  // of `channels` / 2 has the frequencies base^(−2i / half).
  void set(int n_columns, int n_rows, int channels, double base);

  // Pair i of a half is (i, i + half / 2).
  void turn(const Kernels& kernels, float* head, int column, int row) const;

 private:
  // [n, pairs] of cos and sin.
  struct Axis {
    std::vector<float> cos, sin;
    void set(int n, const std::vector<double>& omega);
  };

  int n_pairs_ = 0;
  Axis columns_, rows_;
};

}  // namespace fourfold
