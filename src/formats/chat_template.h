// The chat template that a model brings along.
#pragma once

#include <string>

#include "formats/checkpoint.h"

namespace fourfold {

// Of a GGUF's metadata or a folder's files, in the order chat_template.jinja, chat_template.json,
// tokenizer_config.json. Empty when there is none.
std::string find_chat_template(const Checkpoint& checkpoint);

}  // namespace fourfold
