// config.json and generation_config.json of a safetensors folder (text-model.md 1.2, formats.md
// 3.2): Gemma 4 in the released and in the newest schema, Gemma 3 in the old and in the new one.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "base/utf8.h"
#include "formats/json_section.h"
#include "formats/model_config_forms.h"
#include "formats/text_tensor_names.h"

namespace fourfold {
namespace {

using Json = nlohmann::json;

constexpr int kDefaultHeadDim = 256;
constexpr int kDefaultGlobalHeadDim = 512;
constexpr int kDefaultPerLayerWidth = 256;
constexpr double kDefaultQueryScalar = 256;  // Gemma 3

// Gemma 3's released multimodal files leave these to the defaults of the class.
constexpr int kGemma3Heads = 8;
constexpr int kGemma3KvHeads = 4;
constexpr int kGemma3Context = 131'072;

// The classes of config.json's model_type.
struct ModelClass {
  std::string_view model_type;
  Family family;
  bool wrapped;  // the sizes are in text_config
  bool unified;  // the 12B's class, with defaults of its own
};
constexpr ModelClass kClasses[] = {
    {"gemma4", Family::Gemma4, true, false},
    {"gemma4_text", Family::Gemma4, false, false},
    {"gemma4_unified", Family::Gemma4, true, true},
    {"gemma4_unified_text", Family::Gemma4, false, true},
    {"gemma3", Family::Gemma3, true, false},
    {"gemma3_text", Family::Gemma3, false, false},
};

const TensorInfo* find_text_tensor(const Checkpoint& checkpoint, std::string_view name) {
  return checkpoint.find(fmt::format("{}{}", text_tensor_prefix(checkpoint), name));
}

class FolderConfigReader {
 public:
  FolderConfigReader(const Checkpoint& checkpoint, const ModelClass& model_class, JsonSection root,
                     JsonSection sizes, JsonSection generation)
      : checkpoint_(checkpoint),
        class_(model_class),
        root_(std::move(root)),
        sizes_(std::move(sizes)),
        generation_(std::move(generation)) {}

  Result<ModelConfig> read() {
    text_.family = class_.family;
    config_.architecture = is_gemma4() ? "gemma4" : "gemma3";
    TRY(refuse_variants());
    TRY(read_sizes());
    TRY(read_pattern());
    TRY(read_heads());
    TRY(read_global_overrides());
    TRY(read_rope());
    TRY(read_feed_forward());
    TRY(read_experts());
    TRY(read_per_layer_width());
    TRY(read_attention_rules());
    TRY(read_placeholders());
    TRY(read_generation());
    return std::move(config_);
  }

 private:
  bool is_gemma4() const { return text_.family == Family::Gemma4; }

  // Settings that no released body uses and that would change the arithmetic.
  Status refuse_variants() {
    const auto activation = TRY(sizes_.text("hidden_activation", "gelu_pytorch_tanh"));
    if (activation != "gelu_pytorch_tanh") {
      return unimplemented("{} is {} (expected \"gelu_pytorch_tanh\")",
                           sizes_.where("hidden_activation"), printable(activation));
    }
    if (TRY(sizes_.flag("attention_bias", false))) {
      return unimplemented("{} is true (expected false)", sizes_.where("attention_bias"));
    }
    if (TRY(sizes_.find_number("attn_logit_softcapping"))) {
      return unimplemented("{} is set (expected null)", sizes_.where("attn_logit_softcapping"));
    }
    const bool tied = TRY(root_.flag("tie_word_embeddings", true));
    if (!tied && checkpoint_.find("lm_head.weight")) {
      return unimplemented("{} is false (expected a head tied to the embedding)",
                           root_.where("tie_word_embeddings"));
    }
    return {};
  }

  // A key that Gemma 4 files must have and Gemma 3 files may leave to their class.
  Result<int> size_or(std::string_view key, Bounds bounds, int gemma3_default) const {
    if (is_gemma4()) return sizes_.require_int(key, bounds);
    const auto value = TRY(sizes_.find_int(key, bounds));
    return value.value_or(gemma3_default);
  }

  Status read_sizes() {
    text_.n_layers = TRY(sizes_.require_int("num_hidden_layers", kLayerBounds));
    text_.layers.resize(static_cast<std::size_t>(text_.n_layers));
    text_.width = TRY(sizes_.require_int("hidden_size", kWidthBounds));
    text_.max_context = TRY(size_or("max_position_embeddings", kContextBounds, kGemma3Context));
    text_.sliding_window = TRY(sizes_.require_int("sliding_window", kContextBounds));
    const auto eps = TRY(sizes_.find_positive("rms_norm_eps"));
    text_.rms_eps = eps.value_or(1e-6f);
    return read_vocab_size();
  }

  Status read_vocab_size() {
    const auto* embedding = find_text_tensor(checkpoint_, "embed_tokens.weight");
    if (!embedding || embedding->shape.size() != 2) {
      return invalid_argument("{}: tensor \"model.embed_tokens.weight\" is {}", checkpoint_.path(),
                              embedding ? "not a matrix" : "missing");
    }
    text_.vocab_size = TRY(bounded(
        fmt::format("{}: rows of tensor {}", embedding->file->path(), printable(embedding->name)),
        embedding->shape[0], kVocabBounds));
    const auto claimed = TRY(sizes_.find_int("vocab_size", kVocabBounds));
    if (claimed && *claimed != text_.vocab_size) {
      return invalid_argument("{} is {}, {} has {} rows", sizes_.where("vocab_size"), *claimed,
                              embedding->name, text_.vocab_size);
    }
    return {};
  }

  Status read_pattern() {
    const auto* types = sizes_.find("layer_types");
    if (!types) {
      const auto period = TRY(sizes_.find_int("sliding_window_pattern", {0, kLayerBounds.max}));
      const auto hidden = TRY(sizes_.find_int("_sliding_window_pattern", {0, kLayerBounds.max}));
      const int chosen = period.value_or(hidden.value_or(kDefaultPatternPeriod));
      apply_pattern(periodic_pattern(text_.n_layers, chosen), config_);
      return {};
    }
    if (!types->is_array()) return sizes_.wrong("layer_types", "a list");
    if (types->size() != text_.layers.size()) {
      return invalid_argument("{} has {} entries, the model has {} layers",
                              sizes_.where("layer_types"), types->size(), text_.n_layers);
    }
    std::vector<bool> sliding;
    for (const auto& type : *types) {
      if (type != "sliding_attention" && type != "full_attention") {
        return invalid_argument("{}[{}] is neither \"sliding_attention\" nor \"full_attention\"",
                                sizes_.where("layer_types"), sliding.size());
      }
      sliding.push_back(type == "sliding_attention");
    }
    apply_pattern(sliding, config_);
    return {};
  }

  // What the sliding layers have, and all layers unless read_global_overrides() says otherwise.
  Status read_heads() {
    text_.n_heads = TRY(size_or("num_attention_heads", kHeadBounds, kGemma3Heads));
    const int n_kv_heads = TRY(size_or("num_key_value_heads", kHeadBounds, kGemma3KvHeads));
    const auto head_dim = TRY(sizes_.find_int("head_dim", kHeadDimBounds));
    const auto shared = TRY(sizes_.find_int("num_kv_shared_layers", {0, text_.n_layers - 1}));
    text_.n_kv_shared_layers = is_gemma4() ? shared.value_or(0) : 0;
    for (auto& layer : text_.layers) {
      layer.n_kv_heads = n_kv_heads;
      layer.head_dim = head_dim.value_or(kDefaultHeadDim);
    }
    k_eq_v_ = is_gemma4() && TRY(sizes_.flag("attention_k_eq_v", false));
    for (int i = 0; i < text_.first_shared_layer(); ++i) {
      auto& layer = text_.layers[static_cast<std::size_t>(i)];
      layer.k_eq_v = k_eq_v_ && !layer.sliding;
    }
    return {};
  }

  // Released files: two keys for all global layers. Files saved by transformers 5: an entry for
  // each layer that differs. Other counts of K/V heads go with k_eq_v only.
  Status read_global_overrides() {
    if (!is_gemma4()) return {};
    const auto head_dim = TRY(sizes_.find_int("global_head_dim", kHeadDimBounds));
    const auto n_kv_heads = TRY(sizes_.find_int("num_global_key_value_heads", kHeadBounds));
    const auto per_layer = TRY(sizes_.find_section("per_layer_config"));
    if (!head_dim && !n_kv_heads && per_layer.present()) return read_per_layer_config(per_layer);
    for (auto& layer : text_.layers) {
      if (layer.sliding) continue;
      layer.head_dim = head_dim.value_or(kDefaultGlobalHeadDim);
      if (k_eq_v_ && n_kv_heads) layer.n_kv_heads = *n_kv_heads;
    }
    return {};
  }

  Status read_per_layer_config(const JsonSection& per_layer) {
    for (const auto& [key, entry] : per_layer.object()->items()) {
      const auto index = parse_index(key);
      if (!index || *index >= text_.layers.size()) {
        return invalid_argument("{} is no layer (expected 0 to {})",
                                per_layer.where(printable(key)), text_.n_layers - 1);
      }
      const auto settings = TRY(per_layer.find_section(key));
      auto& layer = text_.layers[*index];
      const auto head_dim = TRY(settings.find_int("head_dim", kHeadDimBounds));
      const auto n_kv_heads = TRY(settings.find_int("num_key_value_heads", kHeadBounds));
      if (head_dim) layer.head_dim = *head_dim;
      if (k_eq_v_ && n_kv_heads) layer.n_kv_heads = *n_kv_heads;
    }
    return {};
  }

  // "05": the index as decimal digits, padded with zeros.
  static std::optional<std::size_t> parse_index(std::string_view text) {
    constexpr std::size_t kMaxDigits = 6;
    if (text.empty() || text.size() > kMaxDigits) return std::nullopt;
    std::size_t index = 0;
    for (const char c : text) {
      if (c < '0' || c > '9') return std::nullopt;
      index = index * 10 + static_cast<std::size_t>(c - '0');
    }
    return index;
  }

  Status read_rope() {
    const auto parameters = TRY(sizes_.find_section("rope_parameters"));
    const auto global = TRY(parameters.find_section("full_attention"));
    const auto sliding = TRY(parameters.find_section("sliding_attention"));
    const auto old_scaling = TRY(sizes_.find_section("rope_scaling"));
    if (!is_gemma4()) text_.rope_rotated_fraction = 1.0f;

    TRY(read_base(global, "rope_theta", text_.rope_base_global));
    TRY(read_base(sliding, "rope_local_base_freq", text_.rope_base_sliding));
    TRY(check_rope_type(sliding, {"default"}));
    if (is_gemma4()) {
      TRY(check_rope_type(global, {"proportional"}));
      const auto fraction = TRY(global.find_positive("partial_rotary_factor"));
      text_.rope_rotated_fraction = fraction.value_or(text_.rope_rotated_fraction);
      if (text_.rope_rotated_fraction > 1.0f) {
        return invalid_argument("{} is {} (expected at most 1)",
                                global.where("partial_rotary_factor"), text_.rope_rotated_fraction);
      }
    } else {
      TRY(check_rope_type(global, {"default", "linear"}));
      TRY(check_rope_type(old_scaling, {"default", "linear"}));
    }
    const auto& scaling = global.present() ? global : old_scaling;
    const auto factor = TRY(scaling.find_positive("factor"));
    text_.rope_scale_global = factor.value_or(1.0f);
    return {};
  }

  // rope_theta of the layer type, else the old key, else what `base` already has.
  Status read_base(const JsonSection& layer_type, std::string_view old_key, float& base) const {
    const auto theta = TRY(layer_type.find_positive("rope_theta"));
    const auto old_theta = TRY(sizes_.find_positive(old_key));
    base = theta.value_or(old_theta.value_or(base));
    return {};
  }

  static Status check_rope_type(const JsonSection& section,
                                std::initializer_list<std::string_view> known) {
    for (const std::string_view key : {"rope_type", "type"}) {
      const auto type = TRY(section.text(key, *known.begin()));
      if (std::ranges::find(known, type) != known.end()) continue;
      return unimplemented("{} is {} (expected {})", section.where(key), printable(type),
                           fmt::join(known, " or "));
    }
    return {};
  }

  Status read_feed_forward() {
    const int width = TRY(sizes_.require_int("intermediate_size", kFfnBounds));
    const bool double_wide = is_gemma4() && TRY(sizes_.flag("use_double_wide_mlp", false));
    for (int i = 0; i < text_.n_layers; ++i) {
      const bool is_double = double_wide && i >= text_.first_shared_layer();
      text_.layers[static_cast<std::size_t>(i)].ffn_width = is_double ? 2 * width : width;
    }
    return {};
  }

  Status read_experts() {
    if (!is_gemma4() || !TRY(sizes_.flag("enable_moe_block", false))) return {};
    text_.n_experts = TRY(sizes_.require_int("num_experts", kExpertBounds));
    text_.n_experts_used = TRY(sizes_.require_int("top_k_experts", {1, text_.n_experts}));
    const auto synonym = TRY(sizes_.find_int("expert_intermediate_size", kFfnBounds));
    text_.expert_ffn_width =
        synonym ? *synonym : TRY(sizes_.require_int("moe_intermediate_size", kFfnBounds));
    return {};
  }

  // The class default is 256 even for bodies without the tensors, so the tensors decide.
  Status read_per_layer_width() {
    if (!is_gemma4()) return {};
    constexpr std::string_view kKey = "hidden_size_per_layer_input";
    const auto width = TRY(sizes_.find_int(kKey, {0, kWidthBounds.max}));
    const auto* table = find_text_tensor(checkpoint_, "embed_tokens_per_layer.weight");
    if (!table) {
      if (width.value_or(0) == 0) return {};
      return invalid_argument("{} is {}, but tensor \"embed_tokens_per_layer.weight\" is missing",
                              sizes_.where(kKey), *width);
    }
    text_.per_layer_width = width.value_or(kDefaultPerLayerWidth);
    return check_per_layer_table(*table, text_);
  }

  Status read_attention_rules() {
    const auto softcap = TRY(sizes_.find_number("final_logit_softcapping"));
    if (softcap && *softcap != 0) {
      text_.logit_softcap = TRY(positive(sizes_.where("final_logit_softcapping"), *softcap));
    }
    text_.bidirectional_vision = TRY(read_bidirectional());
    if (is_gemma4()) return {};
    const auto scalar = TRY(sizes_.find_number("query_pre_attn_scalar"));
    const float checked =
        TRY(positive(sizes_.where("query_pre_attn_scalar"), scalar.value_or(kDefaultQueryScalar)));
    text_.attention_scale = 1.0f / std::sqrt(checked);
    text_.value_norm = false;
    text_.norm_weight_plus_one = true;
    return {};
  }

  // null, false or "vision"; "all" and true make an encoder of the model.
  Result<bool> read_bidirectional() const {
    constexpr std::string_view kKey = "use_bidirectional_attention";
    const auto* value = sizes_.find(kKey);
    if (!value) return class_.unified;
    if (*value == false) return false;
    if (*value == "vision" && is_gemma4()) return true;
    return unimplemented("{} is {} (expected null or \"vision\")", sizes_.where(kKey),
                         printable(value->dump(-1, ' ', true)));
  }

  // The text classes know no placeholders: there the same ids are ordinary words.
  Status read_placeholders() {
    if (!is_gemma4() || !class_.wrapped) return {};
    const Bounds ids{0, text_.vocab_size - 1};
    text_.image_token_id = TRY(root_.find_int("image_token_id", ids)).value_or(-1);
    text_.audio_token_id = TRY(root_.find_int("audio_token_id", ids)).value_or(-1);
    text_.video_token_id = TRY(root_.find_int("video_token_id", ids)).value_or(-1);
    return {};
  }

  Status read_generation() {
    for (const auto* section : {&generation_, &root_, &sizes_}) {
      config_.eos_ids = TRY(read_ids(*section, "eos_token_id"));
      if (!config_.eos_ids.empty()) break;
    }
    config_.suppress_ids = TRY(read_ids(generation_, "suppress_tokens"));

    auto& sampling = config_.sampling;
    const auto temperature = TRY(generation_.find_number("temperature"));
    const auto top_k = TRY(generation_.find_int("top_k", {0, INT32_MAX}));
    const auto top_p = TRY(generation_.find_number("top_p"));
    if (temperature) sampling.temperature = static_cast<float>(*temperature);
    if (top_k) sampling.top_k = *top_k;
    if (top_p) sampling.top_p = static_cast<float>(*top_p);
    sampling.from_file = temperature || top_k || top_p;
    return check_sampling(fmt::format("{}/generation_config.json", checkpoint_.path()), sampling);
  }

  Result<std::vector<int>> read_ids(const JsonSection& section, std::string_view key) const {
    const auto ids = TRY(section.find_ints(key));
    if (!ids) return std::vector<int>();
    return token_ids(section.where(key), *ids, text_.vocab_size);
  }

  const Checkpoint& checkpoint_;
  const ModelClass& class_;
  JsonSection root_;        // config.json
  JsonSection sizes_;       // text_config, or config.json itself
  JsonSection generation_;  // generation_config.json, perhaps absent
  ModelConfig config_;
  TextConfig& text_ = config_.text;
  bool k_eq_v_ = false;
};

// A JSON file of the folder; null when it is absent.

}  // namespace

Result<ModelConfig> read_folder_config(const Checkpoint& checkpoint) {
  const auto config = TRY(read_json_document(checkpoint, "config.json"));
  const auto generation = TRY(read_json_document(checkpoint, "generation_config.json"));
  const auto root = root_section(checkpoint, config, "config.json");
  const auto model_type = TRY(root.text("model_type", ""));
  const auto* model_class = std::ranges::find(kClasses, model_type, &ModelClass::model_type);
  if (model_class == std::end(kClasses)) {
    return unimplemented(
        "{} is {} (expected gemma4, gemma4_text, gemma4_unified, "
        "gemma4_unified_text, gemma3 or gemma3_text)",
        root.where("model_type"), printable(model_type));
  }
  auto sizes = root;
  if (model_class->wrapped) {
    sizes = TRY(root.find_section("text_config"));
    if (!sizes.present()) return invalid_argument("{} is missing", root.where("text_config"));
  }
  FolderConfigReader reader(checkpoint, *model_class, root, std::move(sizes),
                            root_section(checkpoint, generation, "generation_config.json"));
  return reader.read();
}

}  // namespace fourfold
