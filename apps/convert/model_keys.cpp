#include "convert/model_keys.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <filesystem>
#include <string_view>
#include <vector>

#include "base/mapped_file.h"

namespace fourfold {
namespace {

class KeyWriter {
 public:
  KeyWriter(const ModelConfig& config, GgufWriter& out)
      : text_(config.text), prefix_(config.architecture), out_(out) {}

  Status write() {
    TRY(check_heads());
    u32("context_length", text_.max_context);
    u32("embedding_length", text_.width);
    u32("block_count", text_.n_layers);
    u32("attention.head_count", text_.n_heads);
    f32("attention.layer_norm_rms_epsilon", text_.rms_eps);
    u32("attention.sliding_window", text_.sliding_window);
    per_layer("feed_forward_length", &LayerConfig::ffn_width);
    per_layer("attention.head_count_kv", &LayerConfig::n_kv_heads);
    f32("rope.freq_base", text_.rope_base_global);
    if (text_.rope_scale_global != 1.0f) {
      out_.add_string(key("rope.scaling.type"), "linear");
      f32("rope.scaling.factor", text_.rope_scale_global);
    }
    if (text_.family == Family::Gemma3) return write_gemma3();
    write_gemma4();
    return {};
  }

 private:
  std::string key(std::string_view name) const { return fmt::format("{}.{}", prefix_, name); }
  void u32(std::string_view name, std::int64_t value) {
    out_.add_u32(key(name), static_cast<std::uint32_t>(value));
  }
  void f32(std::string_view name, float value) { out_.add_f32(key(name), value); }

  // One number when all layers have the same.
  void per_layer(std::string_view name, int LayerConfig::*member) {
    std::vector<std::int32_t> values;
    values.reserve(text_.layers.size());
    for (const auto& layer : text_.layers) values.push_back(layer.*member);
    const bool equal = std::ranges::all_of(values, [&](int v) { return v == values.front(); });
    if (equal) return u32(name, values.front());
    out_.add_ints(key(name), values);
  }

  // Keys tell the sliding layers' heads and the global layers' heads apart, no more.
  Status check_heads() const {
    for (const bool sliding : {true, false}) {
      if (!sliding && text_.family == Family::Gemma3) continue;
      const int dim = head_dim(sliding);
      for (std::size_t i = 0; i < text_.layers.size(); ++i) {
        const LayerConfig& layer = text_.layers[i];
        if (layer.sliding != sliding || layer.head_dim == dim) continue;
        return unimplemented(
            "layer {}: heads of {} values, another {} layer has {} (GGUF files "
            "hold one number)",
            i, layer.head_dim, sliding ? "sliding" : "global", dim);
      }
    }
    return {};
  }

  // Of the first such layer; of any when there is none.
  int head_dim(bool sliding) const {
    const auto found = std::ranges::find(text_.layers, sliding, &LayerConfig::sliding);
    return found == text_.layers.end() ? text_.layers.front().head_dim : found->head_dim;
  }

  std::vector<bool> pattern() const {
    std::vector<bool> sliding;
    sliding.reserve(text_.layers.size());
    for (const auto& layer : text_.layers) sliding.push_back(layer.sliding);
    return sliding;
  }

  void write_gemma4() {
    out_.add_bools(key("attention.sliding_window_pattern"), pattern());
    u32("attention.shared_kv_layers", text_.n_kv_shared_layers);
    u32("embedding_length_per_layer_input", text_.per_layer_width);
    for (const auto* name :
         {"attention.key_length", "attention.value_length", "rope.dimension_count"}) {
      u32(name, head_dim(false));
      u32(fmt::format("{}_swa", name), head_dim(true));
    }
    f32("rope.freq_base_swa", text_.rope_base_sliding);
    // Absent means 30 to some readers.
    f32("final_logit_softcapping", text_.logit_softcap.value_or(0.0f));
    if (text_.n_experts == 0) return;
    u32("expert_count", text_.n_experts);
    u32("expert_used_count", text_.n_experts_used);
    u32("expert_feed_forward_length", text_.expert_ffn_width);
  }

  Status write_gemma3() {
    constexpr int kPatternPeriod = 6;  // what readers assume without a key
    constexpr float kSlidingBase = 1e4f;
    constexpr int kLayers27b = 62;
    const int dim = text_.layers.front().head_dim;
    u32("attention.key_length", dim);
    u32("attention.value_length", dim);
    bool usual = true;
    for (int i = 0; i < text_.n_layers; ++i) {
      const bool sliding = (i + 1) % kPatternPeriod != 0;
      usual = usual && text_.layers[static_cast<std::size_t>(i)].sliding == sliding;
    }
    if (!usual) out_.add_bools(key("attention.sliding_window_pattern"), pattern());
    if (text_.rope_base_sliding != kSlidingBase) {
      f32("rope.freq_base_swa", text_.rope_base_sliding);
    }
    if (text_.logit_softcap) f32("final_logit_softcapping", *text_.logit_softcap);
    const int scalar = text_.n_layers == kLayers27b ? text_.width / text_.n_heads : dim;
    if (text_.attention_scale != 1.0f / std::sqrt(static_cast<float>(scalar))) {
      return unimplemented("query_pre_attn_scalar: readers of GGUF files take {} for this body",
                           scalar);
    }
    return {};
  }

  const TextConfig& text_;
  const std::string& prefix_;
  GgufWriter& out_;
};

std::string_view trimmed(std::string_view text) {
  const auto unwanted = [](char c) { return c == ' ' || c == '\t' || c == '\r'; };
  while (!text.empty() && unwanted(text.front())) text.remove_prefix(1);
  while (!text.empty() && unwanted(text.back())) text.remove_suffix(1);
  return text;
}

std::string_view unquoted(std::string_view text) {
  const bool quoted = text.size() >= 2 && text.front() == text.back() &&
                      (text.front() == '"' || text.front() == '\'');
  return quoted ? text.substr(1, text.size() - 2) : text;
}

}  // namespace

Status add_model_keys(const ModelConfig& config, GgufWriter& out) {
  TRY(KeyWriter(config, out).write());
  const SamplingDefaults& sampling = config.sampling;
  if (!sampling.from_file) return {};
  out.add_i32("general.sampling.top_k", sampling.top_k);
  out.add_f32("general.sampling.top_p", sampling.top_p);
  out.add_f32("general.sampling.temp", sampling.temperature);
  return {};
}

bool is_dead(const TextTensorName& tensor, const TextConfig& config) {
  if (tensor.layer < 0) return false;
  const auto is = [&](std::string_view name) { return tensor.gguf.ends_with(name); };
  const bool value = is(".attn_v.weight");
  if (value && config.layers[static_cast<std::size_t>(tensor.layer)].k_eq_v) return true;
  const bool shared = tensor.layer >= config.first_shared_layer();
  return shared && (value || is(".attn_k.weight") || is(".attn_k_norm.weight"));
}

Result<std::string> find_licence(const std::string& folder) {
  constexpr std::string_view kFence = "---";
  constexpr std::string_view kKey = "license:";
  const std::string path = folder + "/README.md";
  std::error_code ignored;
  if (!std::filesystem::is_regular_file(path, ignored)) return std::string();
  const std::string text = TRY(read_text_file(path));
  std::string_view rest = text;
  for (bool first = true; !rest.empty(); first = false) {
    const std::size_t end = std::min(rest.find('\n'), rest.size());
    const auto line = trimmed(rest.substr(0, end));
    rest.remove_prefix(std::min(end + 1, rest.size()));
    if ((line == kFence) != first) break;  // front matter lies between two fences
    if (line.starts_with(kKey)) return std::string(unquoted(trimmed(line.substr(kKey.size()))));
  }
  return std::string();
}

}  // namespace fourfold
