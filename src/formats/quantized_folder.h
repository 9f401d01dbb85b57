// Tells a safetensors folder in a foreign quantisation from one with plain weights
// (formats.md 3.5).
#pragma once

#include "base/result.h"

namespace fourfold {

class Checkpoint;

// Unimplemented naming the style, the first tensor concerned and what to do. The tensors decide;
// config.json is asked only for the word of an unknown method. compressed-tensors, ModelOpt and
// FP8 folders pass: their tensors say what they are.
Status check_quantized_folder(const Checkpoint& checkpoint);

}  // namespace fourfold
