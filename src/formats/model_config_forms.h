// The two readers behind load_model_config, and what they share: bounds and the layer pattern.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "formats/model_config.h"

namespace fourfold {

// They fill everything that their form tells; what follows from it (donors of shared layers, body,
// defaults of the 12B) is settled by load_model_config.
Result<ModelConfig> read_gguf_config(const Checkpoint& checkpoint);
Result<ModelConfig> read_folder_config(const Checkpoint& checkpoint);

// Limits of formats.md 1.6 rule 9, checked before anything is sized by a number of the file.
struct Bounds {
  std::int64_t min = 1;
  std::int64_t max = 0;
};
inline constexpr Bounds kLayerBounds{1, 1024};
inline constexpr Bounds kHeadBounds{1, 1024};
inline constexpr Bounds kHeadDimBounds{2, 65'536};
inline constexpr Bounds kWidthBounds{1, 65'536};
inline constexpr Bounds kFfnBounds{1, 1 << 20};
inline constexpr Bounds kExpertBounds{1, 4096};
inline constexpr Bounds kContextBounds{1, 1 << 24};
inline constexpr Bounds kVocabBounds{1, 1 << 24};

// The value as int, or InvalidArgument "where is 7 (expected 1 to 5)"; `where` names file and key.
Result<int> bounded(std::string_view where, std::int64_t value, Bounds bounds);
// The same for positive finite numbers (rope bases, eps).
Result<float> positive(std::string_view where, double value);

// The period of the sliding pattern when a file gives none.
inline constexpr int kDefaultPatternPeriod = 6;

// Layer i is global iff (i + 1) % period == 0; a period of 0 has no global layers.
std::vector<bool> periodic_pattern(int n_layers, std::int64_t period);

// Sets `sliding` of every layer; the last layer of Gemma 4 is global whatever the list says.
void apply_pattern(const std::vector<bool>& sliding, ModelConfig& config);

// The table of per-layer embeddings must be [V, L · P].
Status check_per_layer_table(const TensorInfo& table, const TextConfig& text);

// The sampling bounds that both forms share; `where` names the file.
Status check_sampling(std::string_view where, const SamplingDefaults& sampling);

// Ids as a file lists them: each must be a row of the vocabulary.
Result<std::vector<int>> token_ids(std::string_view where, const std::vector<std::int64_t>& ids,
                                   int vocab_size);

}  // namespace fourfold
