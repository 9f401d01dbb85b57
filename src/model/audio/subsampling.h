// The front of the audio tower: two convolutions that make one row of 1024 values of four mel rows
// (audio.md 4). Rows come out as soon as nothing that follows can change them.
#pragma once

#include <vector>

#include "kernels/ops.h"
#include "model/audio/audio_model.h"
#include "model/audio/audio_weights.h"

namespace fourfold {

class Subsampling {
 public:
  // The weights are the model's and outlive this.
  Subsampling(const AudioWeights& weights, float eps, Ops& ops);

  // Appends the rows [n, 1024] that are final with these mel rows [_, 128].
  void push(MatView mel, const AudioTap* tap, std::vector<float>& out);
  // The block ends: at most one more row. A new block may begin.
  void finish(const AudioTap* tap, std::vector<float>& out);
  void reset();

 private:
  void convolve(const AudioTap* tap, std::vector<float>& out);
  void convolve_mel(const AudioTap* tap);
  void convolve_rows(const AudioTap* tap, std::vector<float>& out);

  const AudioWeights& w_;
  float eps_;
  Ops& ops_;
  std::vector<float> mel_;      // mel rows from 2r − 1 on, r the next row of convolution 0
  std::vector<float> rows_;     // its rows from 2t − 1 on, t the next row of convolution 1
  std::vector<float> patches_;  // [n · 32, 9 · 128]
  Activations patches_q_;
};

}  // namespace fourfold
