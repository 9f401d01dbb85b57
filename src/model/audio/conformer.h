// The layers of the audio tower over rows of one block, in pieces of any size (audio.md 5). What a
// later row still sees of earlier ones is kept here.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "formats/media_config.h"
#include "kernels/ops.h"
#include "model/audio/audio_model.h"
#include "model/audio/audio_weights.h"

namespace fourfold {

class Conformer {
 public:
  // The weights are the model's and outlive this.
  Conformer(const AudioWeights& weights, const AudioConfig& config, Ops& ops);

  // Runs the next rows of the block through all layers, in place.
  void forward(MatView x, const AudioTap* tap);
  void reset();

 private:
  // Of one layer.
  struct Past {
    std::int64_t n_keys = 0;   // rows that k and v begin with
    std::vector<float> k, v;   // [n_keys, D], then the rows of the piece
    std::vector<float> gated;  // [4, D] after the gate, then the rows of the piece
  };

  void feed_forward(const AudioFeedForward& w, MatView x);
  void attention(const ConformerWeights& w, Past& past, MatView x);
  void attend(const ConformerWeights& w, const Past& past, MatView q, MatView out);
  void light_convolution(const ConformerWeights& w, Past& past, MatView x);

  // The rows of `x` within the input bounds of `clip`, ready to be multiplied.
  Activations& clipped(MatView x, const Clip& clip);
  void multiply(const ClippedLinear& w, Activations& x, MatView out);
  void silu(MatView x);
  // x += factor · rms_norm(y)
  void add_normed(MatView x, MatView y, const float* weight, float factor);

  const AudioWeights& w_;
  const AudioConfig& config_;
  Ops& ops_;
  std::vector<Past> past_;
  std::vector<float> normed_, wide_, back_, q_, heads_, clipped_;
  Activations activations_;
};

}  // namespace fourfold
