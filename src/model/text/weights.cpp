#include "model/text/weights.h"

#include <algorithm>
#include <cstring>
#include <unordered_map>
#include <unordered_set>

#include "base/check.h"
#include "formats/tensor_shape.h"
#include "formats/text_tensor_names.h"
#include "tensor/blocks.h"

namespace fourfold {
namespace {

// Finds tensors by their GGUF names, in folders under the names that those have there, and keeps
// the report.
class Binder {
 public:
  Binder(const Checkpoint& checkpoint, int n_layers, TextWeights& weights, WeightReport& report)
      : checkpoint_(checkpoint), weights_(weights), report_(report) {
    if (gguf()) return;
    prefix_ = text_tensor_prefix(checkpoint);
    if (prefix_.empty()) prefix_ = "model.";
    for (auto& name : text_tensor_names(n_layers)) folder_names_.insert({name.gguf, name.folder});
  }

  bool gguf() const { return checkpoint_.form() == Checkpoint::Form::Gguf; }

  // Null when absent.
  const TensorInfo* find(const std::string& name) const {
    return gguf() ? checkpoint_.find(name) : find_in_folder(folder_names(name));
  }
  const TensorInfo* find_in_folder(const std::vector<std::string>& names) const {
    for (const auto& name : names) {
      if (const auto* tensor = checkpoint_.find(prefix_ + name)) return tensor;
    }
    return nullptr;
  }

  // The required tensor with exactly this shape, else null and a line in the report.
  const TensorInfo* require(const std::string& name, const Shape& shape) {
    return require(find(name), gguf() ? name : prefix_ + folder_names(name).front(), shape);
  }
  const TensorInfo* require_in_folder(const std::vector<std::string>& names, const Shape& shape) {
    return require(find_in_folder(names), prefix_ + names.front(), shape);
  }
  const TensorInfo* require(const TensorInfo* tensor, std::string_view name, const Shape& shape) {
    if (tensor) return check(*tensor, shape);
    report_.missing.push_back(fmt::format("{} {}", name, shape_text(shape)));
    return nullptr;
  }

  const TensorInfo* check(const TensorInfo& tensor, const Shape& shape) {
    use(tensor);
    if (squeezed(tensor.shape) != squeezed(shape)) {
      report_.misshaped.push_back(fmt::format("{}: shape {} in file, model config needs {}",
                                              tensor.name, shape_text(tensor.shape),
                                              shape_text(shape)));
      return nullptr;
    }
    if (!is_weight_type(tensor.dtype)) {
      report_.misshaped.push_back(
          fmt::format("{}: type {} in file, a weight needs F32, F16, BF16 "
                      "or a quantised type",
                      tensor.name, name(tensor.dtype)));
      return nullptr;
    }
    return &tensor;
  }

  void use(const TensorInfo& tensor) { used_.insert(tensor.name); }
  void skip(const std::string& name) {
    if (const auto* tensor = find(name)) {
      use(*tensor);
      ++n_skipped_;
    }
  }

  Matrix matrix(const std::string& name, std::int64_t n_rows, std::int64_t n_cols) {
    const TensorInfo* tensor = require(name, {n_rows, n_cols});
    return tensor ? as_matrix(*tensor, n_rows, n_cols) : Matrix{};
  }

  Matrix as_matrix(const TensorInfo& tensor, std::int64_t n_rows, std::int64_t n_cols) {
    Matrix m{
        .dtype = tensor.dtype, .data = tensor.bytes().data(), .n_rows = n_rows, .n_cols = n_cols};
    if (const auto scales = side_scales(tensor, 1); !scales.empty()) m.scale = scales[0];
    return m;
  }

  // The NVFP4 second-level scales beside a weight (formats.md 2.6); empty when there are none.
  std::vector<float> side_scales(const TensorInfo& tensor, std::int64_t n) {
    if (!gguf()) return {};
    const std::string_view suffix = ".weight";
    if (tensor.name.size() <= suffix.size()) return {};
    const std::string stem = tensor.name.substr(0, tensor.name.size() - suffix.size());
    if (const auto* input = checkpoint_.find(stem + ".input_scale")) use(*input);
    const TensorInfo* scale = checkpoint_.find(stem + ".scale");
    if (!scale || scale->n_elements() != n || used_.count(scale->name)) return {};
    use(*scale);
    return widened(*scale);
  }

  Vector vector(const std::string& name, std::int64_t n, float add = 0.0f) {
    const TensorInfo* tensor = require(name, {n});
    return tensor ? keep(*tensor, add) : nullptr;
  }

  Vector optional_vector(const std::string& name, std::int64_t n) {
    const TensorInfo* tensor = find(name);
    if (!tensor) return nullptr;
    tensor = check(*tensor, {n});
    return tensor ? keep(*tensor, 0.0f) : nullptr;
  }

  std::vector<float> widened(const TensorInfo& tensor) {
    std::vector<float> values(static_cast<std::size_t>(tensor.n_elements()));
    dequantize(tensor.dtype, tensor.bytes().data(), tensor.n_elements(), values.data());
    return values;
  }

  void report_unexpected() {
    for (const auto& tensor : checkpoint_.tensors()) {
      if (!used_.count(tensor.name) && is_text_tensor(checkpoint_, prefix_, tensor.name)) {
        report_.unexpected.push_back(tensor.name);
      }
    }
    if (n_skipped_ > 0) {
      report_.notes.push_back(
          fmt::format("{} unused K/V tensors of layers that share K/V skipped", n_skipped_));
    }
  }

 private:
  const std::vector<std::string>& folder_names(const std::string& name) const {
    const auto found = folder_names_.find(name);
    CHECK(found != folder_names_.end());
    return found->second;
  }

  Vector keep(const TensorInfo& tensor, float add) {
    auto& values = weights_.vectors.emplace_back(widened(tensor));
    for (float& v : values) v += add;
    return values.data();
  }

  const Checkpoint& checkpoint_;
  TextWeights& weights_;
  WeightReport& report_;
  std::string prefix_;                                                      // of names in a folder
  std::unordered_map<std::string, std::vector<std::string>> folder_names_;  // by GGUF name
  std::unordered_set<std::string> used_;
  int n_skipped_ = 0;
};

// Files may be padded to wider FFNs than the metadata says; all of one layer's tensors must agree.
void follow_ffn_widths(Binder& b, TextConfig& config, WeightReport& report) {
  for (int i = 0; i < config.n_layers; ++i) {
    const TensorInfo* gate = b.find(fmt::format("blk.{}.ffn_gate.weight", i));
    LayerConfig& layer = config.layers[static_cast<std::size_t>(i)];
    if (!gate || gate->shape.size() != 2 || gate->shape[0] <= layer.ffn_width ||
        gate->shape[0] > (1 << 20)) {
      continue;
    }
    report.notes.push_back(
        fmt::format("layer {}: FFN width {} taken from the tensors, the config "
                    "says {}",
                    i, gate->shape[0], layer.ffn_width));
    layer.ffn_width = static_cast<int>(gate->shape[0]);
  }
}

void bind_attention(Binder& b, const TextConfig& config, int i, LayerWeights& w) {
  const LayerConfig& layer = config.layers[static_cast<std::size_t>(i)];
  const std::string blk = fmt::format("blk.{}.", i);
  const float add = config.norm_weight_plus_one ? 1.0f : 0.0f;
  const std::int64_t D = config.width;
  const std::int64_t C = layer.head_dim;
  w.pre_attn_norm = b.vector(blk + "attn_norm.weight", D, add);
  w.post_attn_norm = b.vector(blk + "post_attention_norm.weight", D, add);
  w.q = b.matrix(blk + "attn_q.weight", config.n_heads * C, D);
  w.q_norm = b.vector(blk + "attn_q_norm.weight", C, add);
  w.o = b.matrix(blk + "attn_output.weight", D, config.n_heads * C);
  if (layer.kv_source != i) {
    b.skip(blk + "attn_k.weight");
    b.skip(blk + "attn_v.weight");
    b.skip(blk + "attn_k_norm.weight");
    return;
  }
  const std::int64_t kv_width = layer.n_kv_heads * C;
  w.k = b.matrix(blk + "attn_k.weight", kv_width, D);
  w.k_norm = b.vector(blk + "attn_k_norm.weight", C, add);
  if (!layer.k_eq_v) {
    w.v = b.matrix(blk + "attn_v.weight", kv_width, D);
  }
}

void bind_dense(Binder& b, const TextConfig& config, int i, LayerWeights& w) {
  const std::string blk = fmt::format("blk.{}.", i);
  const float add = config.norm_weight_plus_one ? 1.0f : 0.0f;
  const std::int64_t D = config.width;
  const std::int64_t F = config.layers[static_cast<std::size_t>(i)].ffn_width;
  w.pre_mlp_norm = b.vector(blk + "ffn_norm.weight", D, add);
  w.post_mlp_norm = b.vector(blk + "post_ffw_norm.weight", D, add);
  w.gate = b.matrix(blk + "ffn_gate.weight", F, D);
  w.up = b.matrix(blk + "ffn_up.weight", F, D);
  w.down = b.matrix(blk + "ffn_down.weight", D, F);
}

// One slice of a tensor [E, rows, cols].
Matrix slice(const TensorInfo& tensor, std::int64_t expert, std::int64_t n_rows,
             std::int64_t n_cols) {
  const Matrix all{.dtype = tensor.dtype,
                   .data = tensor.bytes().data(),
                   .n_rows = tensor.n_elements() / n_cols,
                   .n_cols = n_cols};
  return all.rows(expert * n_rows, n_rows);
}

void bind_single_experts(Binder& b, const TextConfig& config, int i, LayerWeights& w) {
  const std::int64_t D = config.width;
  const std::int64_t F = config.expert_ffn_width;
  for (int e = 0; e < config.n_experts; ++e) {
    const auto single = [&](const char* tensor, std::int64_t n_rows, std::int64_t n_cols) {
      const auto names = expert_tensor_names(i, fmt::format("{}.{}", e, tensor));
      const TensorInfo* found = b.require_in_folder(names, {n_rows, n_cols});
      return found ? b.as_matrix(*found, n_rows, n_cols) : Matrix{};
    };
    auto& expert = w.experts[static_cast<std::size_t>(e)];
    expert = {single("gate_proj", F, D), single("up_proj", F, D), single("down_proj", D, F)};
  }
}

void bind_experts(Binder& b, const TextConfig& config, int i, LayerWeights& w) {
  const std::string blk = fmt::format("blk.{}.", i);
  const std::int64_t D = config.width;
  const std::int64_t E = config.n_experts;
  const std::int64_t F = config.expert_ffn_width;
  w.router = b.matrix(blk + "ffn_gate_inp.weight", E, D);
  w.router_scale = b.vector(blk + "ffn_gate_inp.scale", D);
  w.expert_scale = b.vector(blk + "ffn_down_exps.scale", E);
  w.post_dense_norm = b.vector(blk + "post_ffw_norm_1.weight", D);
  w.pre_expert_norm = b.vector(blk + "pre_ffw_norm_2.weight", D);
  w.post_expert_norm = b.vector(blk + "post_ffw_norm_2.weight", D);
  w.experts.resize(static_cast<std::size_t>(E));

  const bool fused = b.find(blk + "ffn_gate_up_exps.weight") != nullptr;
  const bool stacked = fused || b.find(blk + "ffn_gate_exps.weight") != nullptr;
  if (!b.gguf() && !stacked) return bind_single_experts(b, config, i, w);

  const auto scaled = [&](const TensorInfo& tensor, auto assign) {
    const auto scales = b.side_scales(tensor, E);
    for (std::int64_t e = 0; e < E; ++e) {
      assign(w.experts[static_cast<std::size_t>(e)], e,
             scales.empty() ? 1.0f : scales[static_cast<std::size_t>(e)]);
    }
  };
  if (fused) {
    const auto* gate_up = b.require(blk + "ffn_gate_up_exps.weight", {E, 2 * F, D});
    if (gate_up) {
      scaled(*gate_up, [&](ExpertWeights& expert, std::int64_t e, float scale) {
        Matrix both = slice(*gate_up, e, 2 * F, D);
        both.scale = scale;
        expert.gate = both.rows(0, F);
        expert.up = both.rows(F, F);
      });
    }
  } else {
    const auto* gate = b.require(blk + "ffn_gate_exps.weight", {E, F, D});
    const auto* up = b.require(blk + "ffn_up_exps.weight", {E, F, D});
    if (gate) {
      scaled(*gate, [&](ExpertWeights& expert, std::int64_t e, float scale) {
        expert.gate = slice(*gate, e, F, D);
        expert.gate.scale = scale;
      });
    }
    if (up) {
      scaled(*up, [&](ExpertWeights& expert, std::int64_t e, float scale) {
        expert.up = slice(*up, e, F, D);
        expert.up.scale = scale;
      });
    }
  }
  if (const auto* down = b.require(blk + "ffn_down_exps.weight", {E, D, F})) {
    for (std::int64_t e = 0; e < E; ++e) {
      w.experts[static_cast<std::size_t>(e)].down = slice(*down, e, D, F);
    }
  }
}

void bind_per_layer(Binder& b, const TextConfig& config, int i, LayerWeights& w) {
  const std::string blk = fmt::format("blk.{}.", i);
  const std::int64_t D = config.width;
  const std::int64_t P = config.per_layer_width;
  w.per_layer_gate = b.matrix(blk + "inp_gate.weight", P, D);
  w.per_layer_projection = b.matrix(blk + "proj.weight", D, P);
  w.post_per_layer_norm = b.vector(blk + "post_norm.weight", D);
}

void bind_model(Binder& b, const TextConfig& config, TextWeights& w) {
  const std::int64_t D = config.width;
  const std::int64_t V = config.vocab_size;
  const float add = config.norm_weight_plus_one ? 1.0f : 0.0f;
  w.embedding = b.matrix("token_embd.weight", V, D);
  w.final_norm = b.vector("output_norm.weight", D, add);
  w.head = w.embedding;
  if (b.gguf()) {
    if (const auto* own = b.find("output.weight"); own && b.check(*own, {V, D})) {
      w.head = b.as_matrix(*own, V, D);
    }
    if (const auto* factors = b.find("rope_freqs.weight")) {
      b.use(*factors);
      w.rope_factors = b.widened(*factors);
    }
  }
  if (config.per_layer_width == 0) return;
  const std::int64_t row = std::int64_t{config.n_layers} * config.per_layer_width;
  w.per_layer_embedding = b.require("per_layer_token_embd.weight", {V, row});
  w.per_layer_model_projection = b.matrix("per_layer_model_proj.weight", row, D);
  w.per_layer_projection_norm = b.vector("per_layer_proj_norm.weight", config.per_layer_width);
}

// Which matrices meet the fine form of activations (docs/decisions/0006-activation-forms.md):
// the head and ffn_down, whose rounding costs most, and everything of small bodies, where it costs
// little time.
constexpr int kSmallWidth = 1024;

void choose_forms(const TextConfig& config, TextWeights& w) {
  const bool small = config.width < kSmallWidth;
  w.embedding.fine = w.head.fine = true;
  w.per_layer_model_projection.fine = small;
  for (LayerWeights& layer : w.layers) {
    for (Matrix* m : {&layer.q, &layer.k, &layer.v, &layer.o, &layer.gate, &layer.up, &layer.router,
                      &layer.per_layer_gate, &layer.per_layer_projection}) {
      m->fine = small;
    }
    layer.down.fine = true;
    for (ExpertWeights& expert : layer.experts) {
      expert.gate.fine = expert.up.fine = small;
      expert.down.fine = true;
    }
  }
}

}  // namespace

std::string WeightReport::summary() const {
  std::string text;
  const auto mention = [&](const char* what, const std::vector<std::string>& names) {
    if (names.empty()) return;
    if (!text.empty()) text += "; ";
    text += fmt::format("{} {}", what, names.front());
    if (names.size() > 1) text += fmt::format(" and {} more", names.size() - 1);
  };
  mention("missing tensor", missing);
  mention("wrong tensor", misshaped);
  mention("unexpected tensor", unexpected);
  return text;
}

WeightReport bind_text_weights(const Checkpoint& checkpoint, TextConfig& config,
                               TextWeights& weights) {
  WeightReport report;
  Binder b(checkpoint, config.n_layers, weights, report);
  follow_ffn_widths(b, config, report);
  bind_model(b, config, weights);
  weights.layers.resize(static_cast<std::size_t>(config.n_layers));
  for (int i = 0; i < config.n_layers; ++i) {
    LayerWeights& layer = weights.layers[static_cast<std::size_t>(i)];
    bind_attention(b, config, i, layer);
    bind_dense(b, config, i, layer);
    if (config.n_experts > 0) bind_experts(b, config, i, layer);
    if (config.per_layer_width > 0) bind_per_layer(b, config, i, layer);
    if (config.family == Family::Gemma4) {
      layer.layer_scale = b.optional_vector(fmt::format("blk.{}.layer_output_scale.weight", i), 1);
    }
  }
  b.report_unexpected();
  choose_forms(config, weights);
  return report;
}

}  // namespace fourfold
