#include "formats/model_config.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <string_view>

#include "base/utf8.h"
#include "formats/model_config_forms.h"

namespace fourfold {
namespace {

struct Body {
  std::string_view name;
  Family family;
  int n_layers;
  int width;
  int n_heads;
};
constexpr Body kBodies[] = {
    {"e2b", Family::Gemma4, 35, 1536, 8},     {"e4b", Family::Gemma4, 42, 2560, 8},
    {"12b", Family::Gemma4, 48, 3840, 16},    {"26b", Family::Gemma4, 30, 2816, 16},
    {"31b", Family::Gemma4, 60, 5376, 32},    {"keeper", Family::Gemma4, 8, 256, 4},
    {"gemma3", Family::Gemma3, 18, 640, 4},   {"gemma3", Family::Gemma3, 26, 1152, 4},
    {"gemma3", Family::Gemma3, 34, 2560, 8},  {"gemma3", Family::Gemma3, 48, 3840, 16},
    {"gemma3", Family::Gemma3, 62, 5376, 32},
};

constexpr std::size_t kMaxListedIds = 1024;

std::string_view recognise_body(const TextConfig& text) {
  for (const auto& body : kBodies) {
    if (body.family == text.family && body.n_layers == text.n_layers && body.width == text.width &&
        body.n_heads == text.n_heads) {
      return body.name;
    }
  }
  return {};
}

// The 12B's embedding rows of <audio|> and <image|> were overwritten by its conversion, so their
// logits mean nothing; older files do not list them (text-model.md 3.10).
const std::vector<int> kSuppressed12b = {258883, 258882};

// A layer without K/V of its own reads the last owning layer of its type.
Status set_kv_sources(const std::string& path, TextConfig& text) {
  const int first_shared = text.first_shared_layer();
  int last_sliding = -1;
  int last_global = -1;
  for (int i = 0; i < text.n_layers; ++i) {
    auto& layer = text.layers[static_cast<std::size_t>(i)];
    int& last = layer.sliding ? last_sliding : last_global;
    if (i < first_shared) last = i;
    layer.kv_source = last;
    if (last >= 0) continue;
    return invalid_argument(
        "{}: layer {} shares the K/V of a {} layer, but none of layers 0 to {} "
        "is one",
        path, i, layer.sliding ? "sliding" : "global", first_shared - 1);
  }
  return {};
}

Status check_layers(const std::string& path, const TextConfig& text) {
  for (int i = 0; i < text.n_layers; ++i) {
    const auto& layer = text.layers[static_cast<std::size_t>(i)];
    if (text.n_heads % layer.n_kv_heads != 0) {
      return invalid_argument("{}: layer {}: {} query heads do not share {} key/value heads evenly",
                              path, i, text.n_heads, layer.n_kv_heads);
    }
    if (layer.head_dim % 2 != 0) {
      return invalid_argument("{}: layer {}: head of {} values (expected an even number)", path, i,
                              layer.head_dim);
    }
    const auto& donor = text.layers[static_cast<std::size_t>(layer.kv_source)];
    if (donor.head_dim != layer.head_dim || donor.n_kv_heads != layer.n_kv_heads) {
      return invalid_argument(
          "{}: layer {} ({} key/value heads of {}) shares the K/V of layer {} "
          "({} of {})",
          path, i, layer.n_kv_heads, layer.head_dim, layer.kv_source, donor.n_kv_heads,
          donor.head_dim);
    }
  }
  return {};
}

}  // namespace

Result<int> bounded(std::string_view where, std::int64_t value, Bounds bounds) {
  if (value < bounds.min || value > bounds.max) {
    return invalid_argument("{} is {} (expected {} to {})", where, value, bounds.min, bounds.max);
  }
  return static_cast<int>(value);
}

Result<float> positive(std::string_view where, double value) {
  const auto as_float = static_cast<float>(value);
  if (!std::isfinite(as_float) || as_float <= 0) {
    return invalid_argument("{} is {} (expected a positive number)", where, value);
  }
  return as_float;
}

std::vector<bool> periodic_pattern(int n_layers, std::int64_t period) {
  std::vector<bool> sliding(static_cast<std::size_t>(n_layers), true);
  for (int i = 0; i < n_layers; ++i) {
    if (period > 0 && (i + 1) % period == 0) sliding[static_cast<std::size_t>(i)] = false;
  }
  return sliding;
}

void apply_pattern(const std::vector<bool>& sliding, ModelConfig& config) {
  for (std::size_t i = 0; i < sliding.size(); ++i) config.text.layers[i].sliding = sliding[i];
  if (config.text.family == Family::Gemma4 && sliding.back()) {
    config.text.layers.back().sliding = false;
    config.warnings.push_back("the last layer is listed as sliding; it is computed as global");
  }
}

Status check_per_layer_table(const TensorInfo& table, const TextConfig& text) {
  const std::int64_t row = std::int64_t{text.n_layers} * text.per_layer_width;
  if (table.shape == std::vector<std::int64_t>{text.vocab_size, row}) return {};
  return invalid_argument("{}: tensor {}: shape [{}] in file, the configuration needs [{}, {}]",
                          table.file->path(), printable(table.name), fmt::join(table.shape, ", "),
                          text.vocab_size, row);
}

Status check_sampling(std::string_view where, const SamplingDefaults& sampling) {
  if (!std::isfinite(sampling.temperature) || sampling.temperature < 0) {
    return invalid_argument("{}: temperature is {} (expected 0 or more)", where,
                            sampling.temperature);
  }
  if (sampling.top_k < 0) {
    return invalid_argument("{}: top_k is {} (expected 0 or more)", where, sampling.top_k);
  }
  if (!(sampling.top_p > 0 && sampling.top_p <= 1)) {
    return invalid_argument("{}: top_p is {} (expected above 0, at most 1)", where, sampling.top_p);
  }
  return {};
}

Result<std::vector<int>> token_ids(std::string_view where, const std::vector<std::int64_t>& ids,
                                   int vocab_size) {
  if (ids.size() > kMaxListedIds) {
    return invalid_argument("{} has {} entries (at most {})", where, ids.size(), kMaxListedIds);
  }
  std::vector<int> result;
  for (const auto id : ids) {
    const int checked = TRY(bounded(where, id, {0, vocab_size - 1}));
    if (std::ranges::find(result, checked) == result.end()) result.push_back(checked);
  }
  return result;
}

Result<ModelConfig> load_model_config(const Checkpoint& checkpoint) {
  auto config = TRY(checkpoint.form() == Checkpoint::Form::Gguf ? read_gguf_config(checkpoint)
                                                                : read_folder_config(checkpoint));
  TRY(set_kv_sources(checkpoint.path(), config.text));
  TRY(check_layers(checkpoint.path(), config.text));
  config.body = recognise_body(config.text);
  if (config.body == "12b" && config.suppress_ids.empty()) config.suppress_ids = kSuppressed12b;
  return config;
}

}  // namespace fourfold
