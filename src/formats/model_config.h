// What a checkpoint says of its body: sizes, layer pattern, sampling defaults, special ids.
// GGUF keys and config.json (old and new schema) give the same struct.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "formats/checkpoint.h"

namespace fourfold {

enum class Family { Gemma4, Gemma3 };

struct LayerConfig {
  bool sliding = true;  // sliding-window attention, else global
  int n_kv_heads = 0;   // K
  int head_dim = 0;     // C
  int ffn_width = 0;    // F of the dense branch
  bool k_eq_v = false;  // V is the raw K projection (global layers of 12B, 26B, 31B)
  int kv_source = -1;   // the layer whose K/V this one reads; itself when it owns its own

  bool operator==(const LayerConfig&) const = default;
};

struct TextConfig {
  Family family = Family::Gemma4;
  int n_layers = 0;        // L
  int width = 0;           // D
  int n_heads = 0;         // H
  int vocab_size = 0;      // V
  int sliding_window = 0;  // W keys, the query's own included
  std::int64_t max_context = 0;
  int n_kv_shared_layers = 0;
  int per_layer_width = 0;  // P, 0 without per-layer embeddings
  int n_experts = 0;        // E, 0 for dense bodies
  int n_experts_used = 0;
  int expert_ffn_width = 0;
  float rms_eps = 1e-6f;
  float rope_base_sliding = 1e4f;
  float rope_base_global = 1e6f;
  float rope_scale_global = 1.0f;       // positions are divided by it
  float rope_rotated_fraction = 0.25f;  // of a global head; 1 for Gemma 3
  float attention_scale = 1.0f;         // multiplies q·k; Gemma 3: 1/sqrt(query_pre_attn_scalar)
  std::optional<float> logit_softcap;
  bool value_norm = true;             // weightless RMS norm of V (Gemma 4)
  bool norm_weight_plus_one = false;  // Gemma 3 safetensors store w, the norm uses 1 + w
  bool bidirectional_vision = false;  // sliding layers see whole picture blocks (12B, 26B, 31B)
  std::vector<LayerConfig> layers;    // [L]

  // Ids whose embeddings are looked up as the pad id 0 (text-model.md 3.2); −1 when absent.
  int image_token_id = -1;
  int audio_token_id = -1;
  int video_token_id = -1;

  // First layer without K/V of its own; L when all own theirs.
  int first_shared_layer() const { return n_layers - n_kv_shared_layers; }

  bool operator==(const TextConfig&) const = default;
};

struct SamplingDefaults {
  float temperature = 1.0f;
  int top_k = 64;
  float top_p = 0.95f;
  bool from_file = false;
};

struct ModelConfig {
  TextConfig text;
  SamplingDefaults sampling;
  std::vector<int> eos_ids;       // as the file says; the stop set is the tokenizer's matter
  std::vector<int> suppress_ids;  // logits set to −inf when sampling (text-model.md 3.10)
  std::string body;               // "e2b", "e4b", "12b", "26b", "31b", "keeper", "gemma3", or empty
  std::string architecture;       // "gemma4", "gemma3"
  std::vector<std::string> warnings;
};

// InvalidArgument naming file and key for anything missing, mistyped or out of bounds.
Result<ModelConfig> load_model_config(const Checkpoint& checkpoint);

}  // namespace fourfold
