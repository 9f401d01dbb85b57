// A folder's tokenizer.json and its neighbours as the tokenizer keys of a GGUF file
// (tokenizer-chat.md 1.6).
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "formats/checkpoint.h"
#include "formats/gguf_writer.h"
#include "formats/model_config.h"

namespace fourfold {

// Pieces, their types, merges, special ids, and the chat template where the folder has one. A
// folder without tokenizer.json adds a warning.
Status add_tokenizer_keys(const Checkpoint& checkpoint, const ModelConfig& config, GgufWriter& out,
                          std::vector<std::string>& warnings);

}  // namespace fourfold
