// Chat model, or pretrained one that only continues text? No file says so outright.
#pragma once

#include <string>
#include <vector>

#include "formats/checkpoint.h"
#include "formats/model_config.h"
#include "tokenizer/tokenizer.h"

namespace fourfold {

// What a file tells about it.
struct KindHints {
  bool end_of_turn_is_eos = false;  // generation is told to stop at the end of a turn
  bool has_chat_template = false;
  std::vector<std::string> names;  // of model, variant, file or folder
};

bool is_chat_model(const KindHints& hints);
bool is_chat_model(const Checkpoint& checkpoint, const ModelConfig& config,
                   const Tokenizer& tokenizer);

}  // namespace fourfold
