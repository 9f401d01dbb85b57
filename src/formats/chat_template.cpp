#include "formats/chat_template.h"

#include <nlohmann/json.hpp>
#include <string_view>

#include "base/json.h"

namespace fourfold {
namespace {

// A template in JSON: a text, or a list of {name, template} with one called default.
std::string default_template(const nlohmann::json& value) {
  if (const auto* text = value.get_ptr<const std::string*>()) return *text;
  if (!value.is_array()) return {};
  for (const auto& entry : value) {
    if (!entry.is_object() || entry.value("name", nlohmann::json()) != "default") continue;
    const auto text = entry.find("template");
    if (text != entry.end() && text->is_string()) return *text->get_ptr<const std::string*>();
  }
  return {};
}

std::string find_template_in_folder(const Checkpoint& checkpoint) {
  const std::string& plain = checkpoint.json_text("chat_template.jinja");
  if (!plain.empty()) return plain;
  for (const std::string_view file : {"chat_template.json", "tokenizer_config.json"}) {
    const auto json = parse_json(checkpoint.json_text(file));
    if (!json.ok() || !json->is_object()) continue;
    const auto value = json->find("chat_template");
    if (value == json->end()) continue;
    if (auto text = default_template(*value); !text.empty()) return text;
  }
  return {};
}

}  // namespace

std::string find_chat_template(const Checkpoint& checkpoint) {
  const auto* metadata = checkpoint.metadata();
  if (!metadata) return find_template_in_folder(checkpoint);
  const auto text = metadata->find_string("tokenizer.chat_template");
  return text.ok() && *text ? std::string(**text) : std::string();
}

}  // namespace fourfold
