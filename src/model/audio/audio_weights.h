// The weight table of the audio tower: every tensor once, under the names that it has in folders,
// in mmproj files and in Ollama's combined files (audio.md 8).
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <vector>

#include "base/result.h"
#include "formats/checkpoint.h"
#include "formats/media_config.h"
#include "kernels/ops.h"
#include "model/clipped_linear.h"
#include "tensor/matrix.h"

namespace fourfold {

inline constexpr int kConv0Channels = 128;
inline constexpr int kConv1Channels = 32;
inline constexpr int kConv0Columns = 64;       // frequencies after convolution 0
inline constexpr int kConv1Columns = 32;       // and after convolution 1
inline constexpr int kSubsampledWidth = 1024;  // kConv1Columns · kConv1Channels
inline constexpr int kDepthwiseTaps = 5;
inline constexpr int kMaxLeftKeys = 64;    // 12 or 13 are in use
inline constexpr int kUnifiedFrame = 640;  // samples of a row of the unified form

struct AudioFeedForward {
  const float* pre_norm = nullptr;   // [D]
  ClippedLinear up;                  // [F, D]
  ClippedLinear down;                // [D, F]
  const float* post_norm = nullptr;  // [D]
};

struct ConformerWeights {
  AudioFeedForward first, second;

  const float* pre_attn_norm = nullptr;   // [D]
  ClippedLinear q, k, v, post;            // [D, D]
  std::vector<float> q_scale;             // [C]: softplus(per_dim_scale) / (ln 2 · sqrt(C))
  std::vector<float> relative;            // [left_keys, D]: W_rel · s(δ), the farthest key first
  const float* post_attn_norm = nullptr;  // [D]

  const float* pre_conv_norm = nullptr;  // [D]
  ClippedLinear conv_start;              // [2D, D]
  std::vector<float> taps;               // [5, D], the oldest row first
  const float* conv_norm = nullptr;      // [D]
  ClippedLinear conv_end;                // [D, D]

  const float* out_norm = nullptr;  // [D]
};

struct AudioWeights {
  std::vector<float> conv0;           // [3 times, 3 frequencies, 128 channels]
  const float* conv0_norm = nullptr;  // [128]
  std::vector<float> conv1;           // [32 channels, 3 times, 3 frequencies, 128 channels]
  const float* conv1_norm = nullptr;  // [32]
  Matrix input;                       // [D, 1024]
  std::vector<ConformerWeights> layers;
  Matrix output;                       // [O, D]
  const float* output_bias = nullptr;  // [O]
  Matrix projection;                   // [text D, O]; the unified form has nothing else: [.., 640]

  std::deque<std::vector<float>> vectors;     // owns what the pointers point to
  std::deque<std::vector<std::byte>> blocks;  // weights that were quantised here
};

// Binds the checkpoint's tensors, which must outlive the weights. Unless ops.exact(), plain
// matrices become Q8_0. FailedPrecondition naming the tensor, its shape and the expected one.
Result<AudioWeights> bind_audio_weights(const Checkpoint& checkpoint, const AudioConfig& config,
                                        Ops& ops);

}  // namespace fourfold
