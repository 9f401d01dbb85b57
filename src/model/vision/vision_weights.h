// The weight table of the vision tower: every tensor once, under the names that it has in folders
// and in GGUF files (vision-video.md 9, 12).
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

struct VisionLayerWeights {
  const float* pre_attn_norm = nullptr;   // [D]
  ClippedLinear q, k, v, o;               // [D, D]
  const float* q_norm = nullptr;          // [C]
  const float* k_norm = nullptr;          // [C]
  const float* post_attn_norm = nullptr;  // [D]
  const float* pre_mlp_norm = nullptr;    // [D]
  ClippedLinear gate, up;                 // [F, D]
  ClippedLinear down;                     // [D, F]
  const float* post_mlp_norm = nullptr;   // [D]
};

// What is added to a patch for its column, and for its row.
struct PositionTable {
  Matrix rows;
  std::int64_t length = 0;
  bool interleaved = false;  // column and row alternate

  std::int64_t column(std::int64_t x) const { return interleaved ? 2 * x : x; }
  std::int64_t row(std::int64_t y) const { return interleaved ? 2 * y + 1 : length + y; }
};

// Weight and bias of a norm that takes the mean away.
struct LayerNormWeights {
  const float* weight = nullptr;
  const float* bias = nullptr;
};

struct VisionWeights {
  Matrix patch;  // [D, side · side · 3], columns in the order of Patches
  PositionTable positions;
  std::vector<VisionLayerWeights> layers;
  const float* std_bias = nullptr;   // [D], 26B and 31B only
  const float* std_scale = nullptr;  // [D]
  ClippedLinear projection;          // [text D, D]

  // The form without a tower.
  LayerNormWeights patch_norm;        // [side · side · 3]
  const float* patch_bias = nullptr;  // [D]
  LayerNormWeights dense_norm;        // [D]
  LayerNormWeights position_norm;     // [D]

  std::deque<std::vector<float>> vectors;     // owns what the pointers point to
  std::deque<std::vector<std::byte>> blocks;  // matrices that were made here
};

// Values of a patch as a file orders them (channel, row, column) → as Patches does (row, column,
// channel).
std::vector<float> from_channels_first(const std::vector<float>& values, int side);

// Binds the checkpoint's tensors, which must outlive the weights. Unless ops.exact(), the
// matrices of the layers become Q8_0, their columns padded with zeros to whole blocks.
// FailedPrecondition naming the file, the first tensor that is missing or mis-shaped, and how many
// are missing.
Result<VisionWeights> bind_vision_weights(const Checkpoint& checkpoint, const VisionConfig& config,
                                          Ops& ops);

}  // namespace fourfold
