// Keys of a GGUF file (text-model.md sections 6 and 8), in the dialects of llama.cpp,
// ik_llama.cpp and Ollama.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <optional>
#include <string_view>

#include "base/utf8.h"
#include "formats/model_config_forms.h"

namespace fourfold {
namespace {

constexpr float kDefaultSoftcap = 30.0f;  // of Gemma 4 files that do not say
constexpr float kDefaultSlidingBase = 1e4f;
constexpr float kDefaultGlobalBase = 1e6f;
constexpr float kNoRotation = 1e29f;  // rope_freqs at and above this stop a lane
constexpr int kGemma3Layers27b = 62;

class GgufConfigReader {
 public:
  GgufConfigReader(const Checkpoint& checkpoint, std::string_view architecture)
      : checkpoint_(checkpoint), keys_(*checkpoint.metadata()), prefix_(architecture) {}

  Result<ModelConfig> read() {
    config_.architecture = prefix_;
    text_.family = prefix_ == "gemma4" ? Family::Gemma4 : Family::Gemma3;
    TRY(read_sizes());
    TRY(read_rope());
    TRY(read_attention());
    TRY(read_feed_forward());
    TRY(read_experts());
    TRY(read_per_layer_width());
    TRY(read_head());
    text_.bidirectional_vision = is_gemma4() && text_.per_layer_width == 0;  // text-model.md 3.6
    find_placeholders();
    TRY(read_generation());
    return std::move(config_);
  }

 private:
  bool is_gemma4() const { return text_.family == Family::Gemma4; }
  std::string key(std::string_view name) const { return fmt::format("{}.{}", prefix_, name); }
  std::string where(std::string_view full_key) const {
    return fmt::format("{}: key \"{}\"", checkpoint_.path(), full_key);
  }

  Result<int> require_int(std::string_view name, Bounds bounds) const {
    const auto value = TRY_IN(checkpoint_.path(), keys_.require_u64(key(name)));
    return bounded(where(key(name)), clamp(value), bounds);
  }

  Result<std::optional<int>> find_int(std::string_view name, Bounds bounds) const {
    const auto value = TRY_IN(checkpoint_.path(), keys_.find_u64(key(name)));
    if (!value) return std::optional<int>();
    const int checked = TRY(bounded(where(key(name)), clamp(*value), bounds));
    return std::optional(checked);
  }

  Result<float> find_positive(std::string_view name, float otherwise) const {
    const auto value = TRY_IN(checkpoint_.path(), keys_.find_f64(key(name)));
    if (!value) return otherwise;
    return positive(where(key(name)), *value);
  }

  static std::int64_t clamp(std::uint64_t value) {
    return static_cast<std::int64_t>(std::min<std::uint64_t>(value, INT64_MAX));
  }

  // A scalar for all layers, or an array with exactly one entry a layer.
  Result<std::vector<int>> require_per_layer(std::string_view name, Bounds bounds) const {
    const auto full_key = key(name);
    const auto n_layers = static_cast<std::size_t>(text_.n_layers);
    const auto* value = keys_.find(full_key);
    const auto* array = value ? std::get_if<GgufNumberArray>(value) : nullptr;
    if (!array) {
      const int number = TRY(require_int(name, bounds));
      return std::vector<int>(n_layers, number);
    }
    if (array->count != n_layers) {
      return invalid_argument("{} has {} entries, the model has {} layers", where(full_key),
                              array->count, n_layers);
    }
    if (array->is_float()) {
      return invalid_argument("{} holds fractions (expected whole numbers)", where(full_key));
    }
    std::vector<int> result;
    for (std::uint64_t i = 0; i < array->count; ++i) {
      const int number = TRY(bounded(where(full_key), array->int_at(i), bounds));
      result.push_back(number);
    }
    return result;
  }

  Status read_sizes() {
    text_.n_layers = TRY(require_int("block_count", kLayerBounds));
    text_.layers.resize(static_cast<std::size_t>(text_.n_layers));
    text_.width = TRY(require_int("embedding_length", kWidthBounds));
    text_.max_context = TRY(require_int("context_length", kContextBounds));
    text_.rms_eps = TRY(find_positive("attention.layer_norm_rms_epsilon", 0.0f));
    if (text_.rms_eps == 0.0f) {
      return invalid_argument("{} is missing", where(key("attention.layer_norm_rms_epsilon")));
    }
    return read_vocab_size();
  }

  // The embedding's rows; the token list and the optional key must agree.
  Status read_vocab_size() {
    const auto* embedding = checkpoint_.find("token_embd.weight");
    if (!embedding || embedding->shape.size() != 2) {
      return invalid_argument("{}: tensor \"token_embd.weight\" is {}", checkpoint_.path(),
                              embedding ? "not a matrix" : "missing");
    }
    text_.vocab_size =
        TRY(bounded(fmt::format("{}: rows of tensor \"token_embd.weight\"", checkpoint_.path()),
                    embedding->shape[0], kVocabBounds));
    const auto n_rows = static_cast<std::size_t>(text_.vocab_size);
    const auto claimed = TRY(find_int("vocab_size", kVocabBounds));
    if (claimed && *claimed != text_.vocab_size) {
      return invalid_argument("{} is {}, token_embd.weight has {} rows", where(key("vocab_size")),
                              *claimed, n_rows);
    }
    tokens_ = TRY_IN(checkpoint_.path(), keys_.find_strings("tokenizer.ggml.tokens"));
    if (tokens_ && tokens_->size() != n_rows) {
      return invalid_argument("{} has {} entries, token_embd.weight has {} rows",
                              where("tokenizer.ggml.tokens"), tokens_->size(), n_rows);
    }
    return {};
  }

  Status read_rope() {
    text_.rope_base_global = TRY(find_positive("rope.freq_base", kDefaultGlobalBase));
    text_.rope_base_sliding = TRY(find_positive("rope.freq_base_swa", kDefaultSlidingBase));
    text_.rope_scale_global = TRY(find_positive("rope.scaling.factor", 1.0f));
    const auto type_key = key("rope.scaling.type");
    const auto type = TRY_IN(checkpoint_.path(), keys_.find_string(type_key));
    if (type == "none") text_.rope_scale_global = 1.0f;
    if (type && *type != "linear" && *type != "none") {
      return unimplemented("{} is {} (expected \"linear\" or \"none\")", where(type_key),
                           printable(*type));
    }
    return {};
  }

  Status read_attention() {
    text_.sliding_window = TRY(require_int("attention.sliding_window", kContextBounds));
    const auto pattern = TRY(read_pattern());
    apply_pattern(pattern, config_);
    TRY(read_heads());
    const int shared =
        TRY(find_int("attention.shared_kv_layers", {0, text_.n_layers - 1})).value_or(0);
    text_.n_kv_shared_layers = shared;
    for (int i = 0; i < text_.first_shared_layer(); ++i) {
      auto& layer = text_.layers[static_cast<std::size_t>(i)];
      const auto v_name = fmt::format("blk.{}.attn_v.weight", i);
      layer.k_eq_v = is_gemma4() && !layer.sliding && !checkpoint_.find(v_name);
    }
    if (is_gemma4()) return read_rotated_fraction();
    text_.rope_rotated_fraction = 1.0f;
    text_.value_norm = false;
    text_.attention_scale = gemma3_attention_scale();
    return {};
  }

  // One boolean a layer (Gemma 4), a period (some Gemma 3 files), or the family's period.
  Result<std::vector<bool>> read_pattern() const {
    const auto full_key = key("attention.sliding_window_pattern");
    const auto* value = keys_.find(full_key);
    if (!value && is_gemma4()) return invalid_argument("{} is missing", where(full_key));
    if (!value) return periodic_pattern(text_.n_layers, kDefaultPatternPeriod);
    if (std::holds_alternative<std::int64_t>(*value)) {
      const int period =
          TRY(require_int("attention.sliding_window_pattern", {0, kLayerBounds.max}));
      return periodic_pattern(text_.n_layers, period);
    }
    const auto flags = TRY(require_per_layer("attention.sliding_window_pattern", {0, 1}));
    return std::vector<bool>(flags.begin(), flags.end());
  }

  Status read_heads() {
    const auto n_heads = TRY(require_per_layer("attention.head_count", kHeadBounds));
    text_.n_heads = n_heads.front();
    if (std::ranges::any_of(n_heads, [&](int n) { return n != text_.n_heads; })) {
      return unimplemented("{} differs between layers", where(key("attention.head_count")));
    }
    const auto n_kv_heads = TRY(require_per_layer("attention.head_count_kv", kHeadBounds));
    const int global_dim = TRY(read_head_dim("attention.key_length", "attention.value_length"));
    const int sliding_dim =
        is_gemma4() ? TRY(read_head_dim("attention.key_length_swa", "attention.value_length_swa"))
                    : global_dim;
    for (std::size_t i = 0; i < text_.layers.size(); ++i) {
      auto& layer = text_.layers[i];
      layer.n_kv_heads = n_kv_heads[i];
      layer.head_dim = layer.sliding ? sliding_dim : global_dim;
    }
    return {};
  }

  Result<int> read_head_dim(std::string_view key_name, std::string_view value_name) const {
    const int key_length = TRY(require_int(key_name, kHeadDimBounds));
    const auto value_length = TRY(find_int(value_name, kHeadDimBounds));
    if (value_length && *value_length != key_length) {
      return unimplemented("{} is {}, but {} is {} (expected the same)", where(key(value_name)),
                           *value_length, key(key_name), key_length);
    }
    return key_length;
  }

  // Gemma 4: rope_freqs has one divisor for each pair of a global head, 1 for those that rotate and
  // 1e30 for those that stand still. rope.dimension_count says nothing about it.
  Status read_rotated_fraction() {
    const auto* freqs = checkpoint_.find("rope_freqs.weight");
    if (!freqs) return {};
    const auto here = fmt::format("{}: tensor \"rope_freqs.weight\"", checkpoint_.path());
    const auto n_pairs = text_.layers.back().head_dim / 2;
    if (freqs->dtype != DType::F32 || freqs->n_elements() != n_pairs) {
      return invalid_argument("{}: {} values of {} (expected {} of F32)", here, freqs->n_elements(),
                              name(freqs->dtype), n_pairs);
    }
    std::vector<float> divisors(static_cast<std::size_t>(n_pairs));
    std::memcpy(divisors.data(), freqs->bytes().data(), freqs->size_bytes);
    const auto first_still = std::ranges::find_if(divisors, [](float d) { return d != 1.0f; });
    if (!std::all_of(first_still, divisors.end(), [](float d) { return d >= kNoRotation; })) {
      return unimplemented("{}: expected ones followed by values of 1e30", here);
    }
    text_.rope_rotated_fraction =
        static_cast<float>(first_still - divisors.begin()) / static_cast<float>(n_pairs);
    return {};
  }

  // No key stores it: 1/sqrt(head), but the 27B was trained with 1/sqrt(width / heads).
  float gemma3_attention_scale() const {
    const int head_dim = text_.layers.front().head_dim;
    const int scalar = text_.n_layers == kGemma3Layers27b ? text_.width / text_.n_heads : head_dim;
    return 1.0f / std::sqrt(static_cast<float>(scalar));
  }

  Status read_feed_forward() {
    const auto widths = TRY(require_per_layer("feed_forward_length", kFfnBounds));
    for (std::size_t i = 0; i < widths.size(); ++i) text_.layers[i].ffn_width = widths[i];
    return {};
  }

  Status read_experts() {
    const int n_experts = TRY(find_int("expert_count", {0, kExpertBounds.max})).value_or(0);
    if (n_experts == 0) return {};
    if (!is_gemma4()) {
      return unimplemented("{} is {} (expected none)", where(key("expert_count")), n_experts);
    }
    text_.n_experts = n_experts;
    text_.n_experts_used = TRY(require_int("expert_used_count", {1, n_experts}));
    const auto width = TRY(find_int("expert_feed_forward_length", kFfnBounds));
    text_.expert_ffn_width = width ? *width : TRY(expert_width_of_tensor());
    return {};
  }

  Result<int> expert_width_of_tensor() const {
    const auto* down = checkpoint_.find("blk.0.ffn_down_exps.weight");
    if (!down || down->shape.size() != 3) {
      return invalid_argument("{} is missing", where(key("expert_feed_forward_length")));
    }
    return bounded(where("blk.0.ffn_down_exps.weight"), down->shape.back(), kFfnBounds);
  }

  Status read_per_layer_width() {
    if (!is_gemma4()) return {};
    const std::string_view width_name = "embedding_length_per_layer_input";
    const auto width = TRY(find_int(width_name, {0, kWidthBounds.max}));
    const auto* table = checkpoint_.find("per_layer_token_embd.weight");
    if (!table) {
      if (width.value_or(0) == 0) return {};
      return invalid_argument("{} is {}, but tensor \"per_layer_token_embd.weight\" is missing",
                              where(key(width_name)), *width);
    }
    if (!width) return invalid_argument("{} is missing", where(key(width_name)));
    text_.per_layer_width = *width;
    return check_per_layer_table(*table, text_);
  }

  Status read_head() {
    const auto softcap_key = key("final_logit_softcapping");
    const auto softcap = TRY_IN(checkpoint_.path(), keys_.find_f64(softcap_key));
    if (!softcap && is_gemma4()) text_.logit_softcap = kDefaultSoftcap;
    if (!softcap || *softcap == 0) return {};
    text_.logit_softcap = TRY(positive(where(softcap_key), *softcap));
    return {};
  }

  // Ids of the media placeholders are not in the keys; the texts are the same in every file.
  void find_placeholders() {
    if (!tokens_ || !is_gemma4()) return;
    const auto id_of = [&](std::string_view token) {
      const auto it = std::ranges::find(*tokens_, token);
      return it == tokens_->end() ? -1 : static_cast<int>(it - tokens_->begin());
    };
    text_.image_token_id = id_of("<|image|>");
    text_.audio_token_id = id_of("<|audio|>");
    text_.video_token_id = id_of("<|video|>");
  }

  Status read_generation() {
    config_.eos_ids = TRY(read_ids("tokenizer.ggml.eos_token_id"));
    const auto more = TRY(read_ids("tokenizer.ggml.eos_token_ids"));  // Ollama
    for (const int id : more) {
      if (std::ranges::find(config_.eos_ids, id) == config_.eos_ids.end()) {
        config_.eos_ids.push_back(id);
      }
    }
    config_.suppress_ids = TRY(read_ids("tokenizer.ggml.suppress_tokens"));
    return read_sampling();
  }

  Result<std::vector<int>> read_ids(std::string_view full_key) const {
    const auto ids = TRY_IN(checkpoint_.path(), keys_.find_ints(full_key));
    if (!ids) return std::vector<int>();
    return token_ids(where(full_key), *ids, text_.vocab_size);
  }

  Status read_sampling() {
    auto& sampling = config_.sampling;
    const auto& path = checkpoint_.path();
    const auto temperature = TRY_IN(path, keys_.find_f64("general.sampling.temp"));
    const auto top_k = TRY_IN(path, keys_.find_u64("general.sampling.top_k"));
    const auto top_p = TRY_IN(path, keys_.find_f64("general.sampling.top_p"));
    if (temperature) sampling.temperature = static_cast<float>(*temperature);
    if (top_k) {
      sampling.top_k = TRY(bounded(where("general.sampling.top_k"), clamp(*top_k), {0, INT32_MAX}));
    }
    if (top_p) sampling.top_p = static_cast<float>(*top_p);
    sampling.from_file = temperature || top_k || top_p;
    return check_sampling(fmt::format("{}: general.sampling", path), sampling);
  }

  const Checkpoint& checkpoint_;
  const GgufMetadata& keys_;
  std::string_view prefix_;  // view of the metadata
  ModelConfig config_;
  TextConfig& text_ = config_.text;
  const GgufStringArray* tokens_ = nullptr;
};

}  // namespace

Result<ModelConfig> read_gguf_config(const Checkpoint& checkpoint) {
  const auto& path = checkpoint.path();
  const auto& keys = *checkpoint.metadata();
  const auto type = TRY_IN(path, keys.find_string("general.type"));
  if (type && *type != "model") {
    return invalid_argument("{}: key \"general.type\" is {} (expected a model)", path,
                            printable(*type));
  }
  const auto architecture = TRY_IN(path, keys.require_string("general.architecture"));
  if (architecture != "gemma4" && architecture != "gemma3") {
    return unimplemented("{}: key \"general.architecture\" is {} (expected gemma4 or gemma3)", path,
                         printable(architecture));
  }
  return GgufConfigReader(checkpoint, architecture).read();
}

}  // namespace fourfold
