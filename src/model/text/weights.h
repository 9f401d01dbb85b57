// The weight table of the text decoder: every tensor once, with its GGUF name, its shape and the
// condition under which it exists (text-model.md 5). Names in folders: formats/text_tensor_names.h.
#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <vector>

#include "base/result.h"
#include "formats/checkpoint.h"
#include "formats/model_config.h"
#include "tensor/matrix.h"

namespace fourfold {

// Norm weights and scalars are f32 vectors (widened when the file holds bf16 or f16).
using Vector = const float*;

struct ExpertWeights {
  Matrix gate;  // [F, D]
  Matrix up;    // [F, D]
  Matrix down;  // [D, F]
};

struct LayerWeights {
  Vector pre_attn_norm = nullptr;   // [D]
  Vector post_attn_norm = nullptr;  // [D]
  Vector q_norm = nullptr;          // [C]
  Vector k_norm = nullptr;          // [C], null in layers that share K/V
  Matrix q, k, v, o;                // k, v empty in layers that share K/V; v empty when it is K

  Vector pre_mlp_norm = nullptr;   // [D]
  Vector post_mlp_norm = nullptr;  // [D]
  Matrix gate, up, down;           // dense branch

  // Mixture of experts (26B-A4B).
  Matrix router;                       // [E, D]
  Vector router_scale = nullptr;       // [D]
  Vector expert_scale = nullptr;       // [E], applied to the expert's output
  Vector post_dense_norm = nullptr;    // [D]
  Vector pre_expert_norm = nullptr;    // [D]
  Vector post_expert_norm = nullptr;   // [D]
  std::vector<ExpertWeights> experts;  // [E]

  // Per-layer embeddings (E2B, E4B).
  Matrix per_layer_gate;                 // [P, D]
  Matrix per_layer_projection;           // [D, P]
  Vector post_per_layer_norm = nullptr;  // [D]

  Vector layer_scale = nullptr;  // [1], null = 1
};

struct TextWeights {
  Matrix embedding;  // [V, D]
  Matrix head;       // [V, D], the embedding unless the file brings its own
  Vector final_norm = nullptr;
  const TensorInfo* per_layer_embedding = nullptr;  // [V, L·P], read row by row
  Matrix per_layer_model_projection;                // [L·P, D]
  Vector per_layer_projection_norm = nullptr;       // [P]
  std::vector<float> rope_factors;                  // of global layers, [C / 2]; empty = none given
  std::vector<LayerWeights> layers;                 // [L]

  std::deque<std::vector<float>> vectors;  // owns what the Vectors point to
};

// What is wrong with a checkpoint's tensors, in words that name each.
struct WeightReport {
  std::vector<std::string> missing;
  std::vector<std::string> misshaped;
  std::vector<std::string> unexpected;
  std::vector<std::string> notes;  // dead K/V skipped, widths taken from the tensors

  bool complete() const { return missing.empty() && misshaped.empty() && unexpected.empty(); }
  std::string summary() const;  // one line: the first of each kind and how many there are
};

// Binds the checkpoint's tensors; `weights` is usable when the report is complete. FFN widths of
// `config` follow the tensors where a file was padded. The checkpoint must outlive the weights.
WeightReport bind_text_weights(const Checkpoint& checkpoint, TextConfig& config,
                               TextWeights& weights);

}  // namespace fourfold
