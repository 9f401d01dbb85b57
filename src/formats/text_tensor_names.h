// The tensors of the text decoder under their two names: in GGUF files and in safetensors folders
// (text-model.md 5).
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "formats/checkpoint.h"

namespace fourfold {

struct TextTensorName {
  std::string gguf;                 // "blk.3.attn_q.weight"
  std::vector<std::string> folder;  // "layers.3.self_attn.q_proj.weight", the usual one first
  int layer = -1;                   // −1: of the model
};

// All that any body has, in the order in which our files hold them. Folder names come without the
// prefix of the class.
std::vector<TextTensorName> text_tensor_names(int n_layers);

// The names under which a tensor of a layer's experts was saved over time: "gate_up_proj", or
// "7.gate_proj" where each expert is a tensor of its own.
std::vector<std::string> expert_tensor_names(int layer, std::string_view tensor);

// What stands before these names in a folder: "model.language_model." of the multimodal classes,
// "model." of text-only saves. Empty when there is no embedding.
std::string text_tensor_prefix(const Checkpoint& checkpoint);

// Tensors of the file that are no part of the text decoder: towers, projectors, drafters, a copy of
// the tied head.
bool is_text_tensor(const Checkpoint& checkpoint, std::string_view prefix, std::string_view name);

}  // namespace fourfold
