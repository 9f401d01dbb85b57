#include "formats/quantized_folder.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "base/json.h"
#include "base/utf8.h"
#include "formats/checkpoint.h"

namespace fourfold {
namespace {

struct Style {
  std::string_view name;
  std::string_view what_to_do;
};

constexpr std::string_view kMerge =
    "merge in bf16 and save again, or load the original model and attach the adapter";
constexpr std::string_view kOriginal = "load the original bf16 model or a GGUF file instead";

constexpr Style kBitsAndBytes8{"bitsandbytes 8-bit", kMerge};
constexpr Style kBitsAndBytes4{"bitsandbytes 4-bit", kMerge};
constexpr Style kMlx{"MLX", kOriginal};
constexpr Style kGptq{"GPTQ", kOriginal};
constexpr Style kAwq{"AWQ", kOriginal};

// Methods whose tensors we read, and those whose tensors the styles above recognise.
constexpr std::array<std::string_view, 6> kKnownMethods = {"compressed-tensors", "modelopt", "fp8",
                                                           "bitsandbytes",       "gptq",     "awq"};

bool has_tensor_with_suffix(const Checkpoint& checkpoint, std::string_view suffix) {
  return std::ranges::any_of(checkpoint.tensors(),
                             [&](const auto& tensor) { return tensor.name.ends_with(suffix); });
}

// The style that this tensor alone, with its neighbours, gives away.
std::optional<Style> style_of(const Checkpoint& checkpoint, const TensorInfo& tensor) {
  const std::string_view name = tensor.name;
  if (name.ends_with(".SCB")) return kBitsAndBytes8;
  if (name.ends_with(".absmax") || name.find(".quant_state.bitsandbytes__") != name.npos) {
    return kBitsAndBytes4;
  }
  if (name.ends_with(".qweight")) {
    return has_tensor_with_suffix(checkpoint, ".g_idx") ? kGptq : kAwq;
  }
  constexpr std::string_view kWeight = ".weight";
  if (tensor.dtype == DType::U32 && name.ends_with(kWeight)) {
    const auto module = std::string(name.substr(0, name.size() - kWeight.size()));
    if (checkpoint.find(module + ".scales")) return kMlx;
  }
  return std::nullopt;
}

// quantization_config.quant_method of config.json; empty when there is none. A config.json that
// cannot be parsed is reported when the model's sizes are read.
std::string quant_method(const Checkpoint& checkpoint) {
  const auto config = parse_json(checkpoint.json_text("config.json"));
  if (!config || !config->is_object()) return {};
  const auto section = config->find("quantization_config");
  if (section == config->end() || !section->is_object()) return {};
  const auto method = section->find("quant_method");
  if (method == section->end() || !method->is_string()) return {};
  return *method->get_ptr<const std::string*>();
}

}  // namespace

Status check_quantized_folder(const Checkpoint& checkpoint) {
  for (const auto& tensor : checkpoint.tensors()) {
    const auto style = style_of(checkpoint, tensor);
    if (!style) continue;
    return unimplemented("{}: tensor {}: the weights are quantised by {}; {}", tensor.file->path(),
                         printable(tensor.name), style->name, style->what_to_do);
  }
  const std::string method = quant_method(checkpoint);
  if (method.empty() || std::ranges::find(kKnownMethods, method) != kKnownMethods.end()) return {};
  return unimplemented("{}/config.json: quantization_config.quant_method: {} is not supported; {}",
                       checkpoint.path(), printable(method), kOriginal);
}

}  // namespace fourfold
