#include "chat/template_revision.h"

#include <nlohmann/json.hpp>

#include "base/json.h"
#include "base/sha256.h"

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

// By the beginning of the digest, which is all that is public (tokenizer-chat.md 2.7, 9).
struct KnownTemplate {
  std::string_view digest_prefix;
  std::string_view revision;
};
constexpr KnownTemplate kKnownTemplates[] = {
    {"ae53464b", "r4"},  // 12B, 26B-A4B, 31B
    {"0a2c8073", "r4"},  // E4B
};

}  // namespace

std::string find_chat_template(const Checkpoint& checkpoint) {
  const auto* metadata = checkpoint.metadata();
  if (!metadata) return find_template_in_folder(checkpoint);
  const auto text = metadata->find_string("tokenizer.chat_template");
  return text.ok() && *text ? std::string(**text) : std::string();
}

std::optional<TemplateFacts> describe_template(std::string_view text) {
  if (text.empty()) return std::nullopt;
  TemplateFacts facts{.sha256 = sha256_hex(text), .revision = {}};
  for (const auto& [digest_prefix, revision] : kKnownTemplates) {
    if (facts.sha256.starts_with(digest_prefix)) facts.revision = revision;
  }
  return facts;
}

std::optional<std::string> template_warning(const Checkpoint& checkpoint) {
  const auto facts = describe_template(find_chat_template(checkpoint));
  if (!facts || facts->revision == "r4") return std::nullopt;
  return fmt::format(
      "the file's own chat template (sha256 {}…) is no known revision; prompts are written as the "
      "official one of revision r4 does",
      facts->sha256.substr(0, 8));
}

}  // namespace fourfold
