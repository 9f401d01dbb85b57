#include "server/made_models.h"

#include <fmt/format.h>

#include <charconv>
#include <filesystem>
#include <optional>
#include <span>

#include "base/json_value.h"
#include "base/mapped_file.h"
#include "base/new_file.h"

namespace fourfold {
namespace {

// --- Parameters, by the names of Ollama's options ---

template <class Number>
void put(JsonValue& json, std::string_view key, const std::optional<Number>& value) {
  if (value) json.set(key, JsonValue::number(fmt::format("{}", *value)));
}

template <class Number>
void take(const JsonValue& json, std::string_view key, std::optional<Number>& target) {
  const JsonValue* value = json.find(key);
  if (!value || !value->is_number()) return;
  Number number{};
  const char* end = value->text.data() + value->text.size();
  if (std::from_chars(value->text.data(), end, number).ec == std::errc()) target = number;
}

JsonValue parameters_json(const SamplingChoice& choice) {
  JsonValue json = JsonValue::object();
  put(json, "temperature", choice.temperature);
  put(json, "top_k", choice.top_k);
  put(json, "top_p", choice.top_p);
  put(json, "min_p", choice.min_p);
  put(json, "repeat_penalty", choice.repeat_penalty);
  put(json, "repeat_last_n", choice.repeat_last_n);
  put(json, "presence_penalty", choice.presence_penalty);
  put(json, "frequency_penalty", choice.frequency_penalty);
  put(json, "seed", choice.seed);
  if (choice.max_tokens >= 0) put(json, "num_predict", std::optional(choice.max_tokens));
  JsonValue stop = JsonValue::array();
  for (const auto& text : choice.stop) stop.items.push_back(JsonValue::of(text));
  if (!stop.items.empty()) json.set("stop", std::move(stop));
  return json;
}

SamplingChoice read_parameters(const JsonValue& json) {
  SamplingChoice choice;
  take(json, "temperature", choice.temperature);
  take(json, "top_k", choice.top_k);
  take(json, "top_p", choice.top_p);
  take(json, "min_p", choice.min_p);
  take(json, "repeat_penalty", choice.repeat_penalty);
  take(json, "repeat_last_n", choice.repeat_last_n);
  take(json, "presence_penalty", choice.presence_penalty);
  take(json, "frequency_penalty", choice.frequency_penalty);
  take(json, "seed", choice.seed);
  std::optional<std::int64_t> limit;
  take(json, "num_predict", limit);
  choice.max_tokens = limit.value_or(-1);
  if (const JsonValue* stop = json.find("stop"); stop && stop->is_array()) {
    for (const JsonValue& text : stop->items) choice.stop.push_back(text.text);
  }
  return choice;
}

// --- Messages ---

std::string_view role_name(Role role) {
  switch (role) {
    case Role::System: return "system";
    case Role::Model: return "assistant";
    default: return "user";
  }
}

Role role_of(std::string_view name) {
  if (name == "system") return Role::System;
  return name == "assistant" ? Role::Model : Role::User;
}

JsonValue message_json(const Message& message) {
  std::string text;
  for (const Part& part : message.parts) text += part.text;
  JsonValue json = JsonValue::object();
  json.set("role", JsonValue::of(std::string(role_name(message.role))));
  json.set("content", JsonValue::of(std::move(text)));
  return json;
}

std::string text_of(const JsonValue& json, std::string_view key) {
  const JsonValue* value = json.find(key);
  return value && value->is_string() ? value->text : "";
}

// --- Models ---

JsonValue model_json(const MadeModel& model) {
  JsonValue json = JsonValue::object();
  json.set("name", JsonValue::of(model.name));
  json.set("from", JsonValue::of(model.from));
  json.set("system", JsonValue::of(model.system));
  json.set("parameters", parameters_json(model.parameters));
  JsonValue messages = JsonValue::array();
  for (const Message& message : model.messages) messages.items.push_back(message_json(message));
  json.set("messages", std::move(messages));
  return json;
}

MadeModel read_model(const JsonValue& json) {
  MadeModel model{.name = text_of(json, "name"),
                  .from = text_of(json, "from"),
                  .system = text_of(json, "system"),
                  .parameters = {},
                  .messages = {}};
  if (const JsonValue* parameters = json.find("parameters")) {
    model.parameters = read_parameters(*parameters);
  }
  if (const JsonValue* messages = json.find("messages"); messages && messages->is_array()) {
    for (const JsonValue& message : messages->items) {
      model.messages.push_back(
          Message::of(role_of(text_of(message, "role")), text_of(message, "content")));
    }
  }
  return model;
}

}  // namespace

Result<std::vector<MadeModel>> load_made_models(const std::string& path) {
  std::error_code ignored;
  std::vector<MadeModel> models;
  if (path.empty() || !std::filesystem::exists(path, ignored)) return models;
  const auto file = TRY(MappedFile::open(path));
  const auto bytes = file->bytes();
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  const JsonValue json = TRY_IN(path, parse_json_value(text));
  for (const JsonValue& model : json.items) models.push_back(read_model(model));
  return models;
}

Status save_made_models(const std::string& path, const std::vector<MadeModel>& models) {
  if (path.empty()) return {};
  JsonValue list = JsonValue::array();
  for (const MadeModel& model : models) list.items.push_back(model_json(model));
  const std::string text = to_json_text(list) + "\n";
  std::error_code ignored;
  std::filesystem::create_directories(std::filesystem::path(path).parent_path(), ignored);
  NewFile file = TRY(NewFile::create(path));
  TRY(file.write(std::as_bytes(std::span(text))));
  return file.commit();
}

}  // namespace fourfold
