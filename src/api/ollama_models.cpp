#include "api/ollama_models.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include "api/identifiers.h"
#include "api/json_number.h"

namespace fourfold {
namespace {

// When a model that is never unloaded expires: clients read a date.
constexpr std::int64_t kNeverS = 10'413'792'000;  // 2300-01-01

JsonValue text(std::string_view value) { return JsonValue::of(std::string(value)); }

JsonValue details(const OllamaModel& model) {
  return JsonValue::object({{"parent_model", text("")},
                            {"format", text("gguf")},
                            {"family", text(model.family)},
                            {"families", JsonValue::array({text(model.family)})},
                            {"parameter_size", text(model.parameter_size)},
                            {"quantization_level", text(model.quantization)},
                            {"context_length", json_number(model.context)},
                            {"embedding_length", json_number(model.width)}});
}

JsonValue capabilities(const ChatCapabilities& can) {
  auto list = JsonValue::array({text("completion")});
  if (can.tools) list.items.push_back(text("tools"));
  if (can.thinking) list.items.push_back(text("thinking"));
  if (can.vision) list.items.push_back(text("vision"));
  if (can.audio) list.items.push_back(text("audio"));
  return list;
}

JsonValue names(const OllamaModel& model) {
  return JsonValue::object({{"name", text(model.name)}, {"model", text(model.name)}});
}

JsonValue model_info(const OllamaModel& model) {
  const auto key = [&](std::string_view name) {
    return model.architecture + "." + std::string(name);
  };
  return JsonValue::object({{"general.architecture", text(model.architecture)},
                            {"general.parameter_count", json_number(model.n_parameters)},
                            {key("context_length"), json_number(model.context)},
                            {key("embedding_length"), json_number(model.width)},
                            {key("block_count"), json_number(model.n_layers)}});
}

std::string modelfile(const OllamaModel& model, const std::string& parameters) {
  std::string out = fmt::format("FROM {}\n", model.name);
  for (std::size_t at = 0; at < parameters.size();) {
    const auto end = std::min(parameters.find('\n', at), parameters.size());
    out += fmt::format("PARAMETER {}\n", parameters.substr(at, end - at));
    at = end + 1;
  }
  if (!model.system.empty()) out += fmt::format("SYSTEM \"\"\"{}\"\"\"\n", model.system);
  return out;
}

JsonValue tensor_json(const OllamaTensor& tensor) {
  auto shape = JsonValue::array();
  for (const auto size : tensor.shape) shape.items.push_back(json_number(size));
  return JsonValue::object(
      {{"name", text(tensor.name)}, {"type", text(tensor.type)}, {"shape", std::move(shape)}});
}

template <class T>
void add_line(std::string& out, const char* name, const std::optional<T>& value) {
  if (value) out += fmt::format("{}{} {}", out.empty() ? "" : "\n", name, *value);
}

}  // namespace

JsonValue ollama_tags(const std::vector<OllamaModel>& models) {
  auto list = JsonValue::array();
  for (const auto& model : models) {
    auto entry = names(model);
    entry.set("modified_at", text(rfc3339(model.modified_s)));
    entry.set("size", json_number(model.size_bytes));
    entry.set("digest", text(model.digest));
    entry.set("details", details(model));
    entry.set("capabilities", capabilities(model.capabilities));
    list.items.push_back(std::move(entry));
  }
  return JsonValue::object({{"models", std::move(list)}});
}

JsonValue ollama_ps(const std::vector<OllamaLoadedModel>& models) {
  auto list = JsonValue::array();
  for (const auto& [model, expires_s, resident_bytes] : models) {
    auto entry = names(model);
    entry.set("size", json_number(resident_bytes));
    entry.set("digest", text(model.digest));
    entry.set("details", details(model));
    entry.set("expires_at", text(rfc3339(expires_s.value_or(kNeverS))));
    entry.set("size_vram", json_number(0));
    entry.set("context_length", json_number(model.context));
    list.items.push_back(std::move(entry));
  }
  return JsonValue::object({{"models", std::move(list)}});
}

std::string ollama_parameters(const SamplingChoice& choice) {
  std::string out;
  add_line(out, "temperature", choice.temperature);
  add_line(out, "top_k", choice.top_k);
  add_line(out, "top_p", choice.top_p);
  add_line(out, "min_p", choice.min_p);
  add_line(out, "repeat_penalty", choice.repeat_penalty);
  add_line(out, "repeat_last_n", choice.repeat_last_n);
  add_line(out, "presence_penalty", choice.presence_penalty);
  add_line(out, "frequency_penalty", choice.frequency_penalty);
  add_line(out, "seed", choice.seed);
  if (choice.max_tokens > 0) add_line(out, "num_predict", std::optional(choice.max_tokens));
  for (const auto& stop : choice.stop) {
    add_line(out, "stop", std::optional(to_json_text(JsonValue::of(stop))));
  }
  return out;
}

JsonValue ollama_show(const OllamaModel& model, const OllamaInsides* insides) {
  const std::string parameters = ollama_parameters(model.parameters);
  auto body = JsonValue::object({{"license", text(model.license)},
                                 {"modelfile", text(modelfile(model, parameters))},
                                 {"parameters", text(parameters)},
                                 {"template", text(kOllamaTemplate)}});
  if (!model.system.empty()) body.set("system", text(model.system));
  body.set("details", details(model));
  auto info = model_info(model);
  if (insides) {
    auto tokens = JsonValue::array();
    for (const auto& token : insides->tokens) tokens.items.push_back(text(token));
    info.set("tokenizer.ggml.tokens", std::move(tokens));
  }
  body.set("model_info", std::move(info));
  if (insides) {
    auto tensors = JsonValue::array();
    for (const auto& tensor : insides->tensors) tensors.items.push_back(tensor_json(tensor));
    body.set("tensors", std::move(tensors));
  }
  body.set("capabilities", capabilities(model.capabilities));
  body.set("modified_at", text(rfc3339(model.modified_s)));
  return body;
}

}  // namespace fourfold
