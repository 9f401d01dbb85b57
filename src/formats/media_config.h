// Sizes of the vision and audio towers, from config.json, an mmproj GGUF, or a combined GGUF
// (vision-video.md 9, audio.md 8).
//
//   const auto vision = TRY(load_vision_config(checkpoint));   // nullopt: it promises no such part
//   const auto beside = TRY(find_mmproj("gemma.gguf", 1536));  // "mmproj-gemma.gguf", or nullopt
#pragma once

#include <optional>
#include <string>

#include "base/result.h"
#include "formats/checkpoint.h"

namespace fourfold {

// Who named the tensors.
enum class MediaNames { Folder, Mmproj, Ollama };

struct VisionConfig {
  MediaNames names = MediaNames::Mmproj;
  bool unified = false;  // no tower: 48-pixel patches are projected (12B)
  int width = 0;         // D
  int n_layers = 0;
  int n_heads = 0;
  int head_dim = 0;
  int ffn_width = 0;   // F
  int text_width = 0;  // of the rows it gives
  float rms_eps = 1e-6f;
  float rope_base = 100.0f;

  // Pixels of a side of what the model takes as one vector.
  int patch_side() const { return unified ? 48 : 16; }

  bool operator==(const VisionConfig&) const = default;
};

struct AudioConfig {
  MediaNames names = MediaNames::Mmproj;
  bool unified = false;  // frames of 640 samples are projected (12B)
  int width = 0;         // of the layers; of a frame in the unified form
  int n_layers = 0;
  int n_heads = 0;
  int ffn_width = 0;
  int output_width = 0;  // of output_proj
  int text_width = 0;
  int left_keys = 12;  // keys that a query sees, itself included (audio.md 5.2)
  float rms_eps = 1e-6f;

  bool operator==(const AudioConfig&) const = default;
};

// What the metadata or config.json promise; whether the tensors are there, the models' load finds
// out (formats.md 3.4). nullopt when the checkpoint promises no such part; InvalidArgument or
// Unimplemented naming file and key.
Result<std::optional<VisionConfig>> load_vision_config(const Checkpoint& checkpoint);
Result<std::optional<AudioConfig>> load_audio_config(const Checkpoint& checkpoint);

// True for a checkpoint that holds encoders and no text body.
bool is_mmproj(const Checkpoint& checkpoint);

// The projector beside a text GGUF: the one other GGUF file of its folder whose header says clip
// and whose rows have the text body's width. nullopt when there is none, FailedPrecondition listing
// them when there are several.
Result<std::optional<std::string>> find_mmproj(const std::string& model_path, int text_width);

}  // namespace fourfold
