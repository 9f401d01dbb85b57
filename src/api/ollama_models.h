// What Ollama's clients are told of models: /api/tags, /api/ps, /api/show (http-apis.md 4.1).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json_value.h"
#include "engine/chat_service.h"

namespace fourfold {

struct OllamaModel {
  std::string name;  // "gemma4:e4b"
  std::int64_t modified_s = 0;
  std::uint64_t size_bytes = 0;
  std::string digest;  // 64 hex digits
  std::string architecture, family;
  std::string parameter_size, quantization;
  std::uint64_t n_parameters = 0;
  std::int64_t context = 0;  // usable
  std::int64_t width = 0, n_layers = 0;
  ChatCapabilities capabilities;
  std::string system;
  SamplingChoice parameters;
  std::string license;
};

// A model in memory.
struct OllamaLoadedModel {
  OllamaModel model;
  std::optional<std::int64_t> expires_s;  // absent: never
  std::uint64_t resident_bytes = 0;
};

// {"models": […]}
JsonValue ollama_tags(const std::vector<OllamaModel>& models);
JsonValue ollama_ps(const std::vector<OllamaLoadedModel>& models);

// What stands for the prompt's form, which the runtime knows without a template.
inline constexpr std::string_view kOllamaTemplate = "{{ .Prompt }}";

// What /api/show adds when it is asked to be verbose.
struct OllamaTensor {
  std::string name, type;
  std::vector<std::int64_t> shape;
};
struct OllamaInsides {
  std::vector<OllamaTensor> tensors;
  std::vector<std::string> tokens;  // the pieces of the vocabulary
};
JsonValue ollama_show(const OllamaModel& model, const OllamaInsides* insides);

// "temperature 1\ntop_k 64": a choice as lines of a Modelfile without PARAMETER.
std::string ollama_parameters(const SamplingChoice& choice);

}  // namespace fourfold
