#include "formats/text_tensor_names.h"

#include <fmt/format.h>

#include <algorithm>

namespace fourfold {
namespace {

struct Row {
  std::string_view gguf;
  std::string_view folder;
};

constexpr Row kModelRows[] = {
    {"token_embd.weight", "embed_tokens.weight"},
    {"per_layer_token_embd.weight", "embed_tokens_per_layer.weight"},
    {"per_layer_model_proj.weight", "per_layer_model_projection.weight"},
    {"per_layer_proj_norm.weight", "per_layer_projection_norm.weight"},
    {"output_norm.weight", "norm.weight"},
};

// Behind "blk.N." and "layers.N.".
constexpr Row kLayerRows[] = {
    {"attn_norm.weight", "input_layernorm.weight"},
    {"attn_q.weight", "self_attn.q_proj.weight"},
    {"attn_q_norm.weight", "self_attn.q_norm.weight"},
    {"attn_k.weight", "self_attn.k_proj.weight"},
    {"attn_k_norm.weight", "self_attn.k_norm.weight"},
    {"attn_v.weight", "self_attn.v_proj.weight"},
    {"attn_output.weight", "self_attn.o_proj.weight"},
    {"post_attention_norm.weight", "post_attention_layernorm.weight"},
    {"ffn_norm.weight", "pre_feedforward_layernorm.weight"},
    {"ffn_gate.weight", "mlp.gate_proj.weight"},
    {"ffn_up.weight", "mlp.up_proj.weight"},
    {"ffn_down.weight", "mlp.down_proj.weight"},
    {"post_ffw_norm.weight", "post_feedforward_layernorm.weight"},
    {"ffn_gate_inp.weight", "router.proj.weight"},
    {"ffn_gate_inp.scale", "router.scale"},
    {"ffn_down_exps.scale", "router.per_expert_scale"},
    {"post_ffw_norm_1.weight", "post_feedforward_layernorm_1.weight"},
    {"pre_ffw_norm_2.weight", "pre_feedforward_layernorm_2.weight"},
    {"post_ffw_norm_2.weight", "post_feedforward_layernorm_2.weight"},
    {"inp_gate.weight", "per_layer_input_gate.weight"},
    {"proj.weight", "per_layer_projection.weight"},
    {"post_norm.weight", "post_per_layer_input_norm.weight"},
    {"layer_output_scale.weight", "layer_scalar"},
};

// Tensors of all experts of a layer, further or only names by expert_tensor_names().
constexpr Row kExpertRows[] = {
    {"ffn_down_exps.scale", "per_expert_scale"}, {"ffn_gate_up_exps.weight", "gate_up_proj"},
    {"ffn_gate_exps.weight", "gate_proj"},       {"ffn_up_exps.weight", "up_proj"},
    {"ffn_down_exps.weight", "down_proj"},
};

constexpr std::string_view kPrefixes[] = {"model.language_model.", "language_model.model.",
                                          "model.", "language_model."};

void add_layer(int layer, std::vector<TextTensorName>& names) {
  const auto first = static_cast<std::ptrdiff_t>(names.size());
  for (const Row& row : kLayerRows) {
    names.push_back({.gguf = fmt::format("blk.{}.{}", layer, row.gguf),
                     .folder = {fmt::format("layers.{}.{}", layer, row.folder)},
                     .layer = layer});
  }
  for (const Row& row : kExpertRows) {
    const auto gguf = fmt::format("blk.{}.{}", layer, row.gguf);
    const auto more = expert_tensor_names(layer, row.folder);
    const auto known = std::find_if(names.begin() + first, names.end(),
                                    [&](const TextTensorName& name) { return name.gguf == gguf; });
    if (known == names.end()) {
      names.push_back({.gguf = gguf, .folder = more, .layer = layer});
    } else {
      known->folder.insert(known->folder.end(), more.begin(), more.end());
    }
  }
}

bool starts_with_any(std::string_view text, std::initializer_list<std::string_view> prefixes) {
  return std::ranges::any_of(prefixes, [&](auto prefix) { return text.starts_with(prefix); });
}

}  // namespace

std::vector<TextTensorName> text_tensor_names(int n_layers) {
  std::vector<TextTensorName> names;
  for (const Row& row : kModelRows) {
    names.push_back({.gguf = std::string(row.gguf), .folder = {std::string(row.folder)}});
  }
  for (int layer = 0; layer < n_layers; ++layer) add_layer(layer, names);
  return names;
}

std::vector<std::string> expert_tensor_names(int layer, std::string_view tensor) {
  std::vector<std::string> names;
  for (const auto* group : {"experts", "moe", "mlp.experts", "moe.experts"}) {
    names.push_back(fmt::format("layers.{}.{}.{}", layer, group, tensor));
    names.push_back(names.back() + ".weight");
  }
  return names;
}

std::string text_tensor_prefix(const Checkpoint& checkpoint) {
  for (const auto prefix : kPrefixes) {
    if (checkpoint.find(fmt::format("{}embed_tokens.weight", prefix))) return std::string(prefix);
  }
  return {};
}

bool is_text_tensor(const Checkpoint& checkpoint, std::string_view prefix, std::string_view name) {
  if (checkpoint.form() == Checkpoint::Form::Gguf) {
    return !starts_with_any(name, {"v.", "a.", "mm.", "mtp.", "nextn."});
  }
  const auto holds = [name](std::string_view part) { return name.find(part) != name.npos; };
  return name.starts_with(prefix) && !holds("lm_head") && !holds("vision") && !holds("audio");
}

}  // namespace fourfold
