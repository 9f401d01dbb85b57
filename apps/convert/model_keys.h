// What a folder's config.json, generation_config.json and README.md say, as keys of a GGUF file
// (text-model.md 6 and 8).
#pragma once

#include <string>

#include "base/result.h"
#include "formats/gguf_writer.h"
#include "formats/model_config.h"
#include "formats/text_tensor_names.h"

namespace fourfold {

// Sizes, attention, rotation and sampling defaults. Unimplemented for what no key can say.
Status add_model_keys(const ModelConfig& config, GgufWriter& out);

// K and V of layers that read those of another, and V where it is K: GGUF files say both by the
// tensors that they lack.
bool is_dead(const TextTensorName& tensor, const TextConfig& config);

// "license" of the front matter of the folder's README.md; empty when it has none.
Result<std::string> find_licence(const std::string& folder);

}  // namespace fourfold
