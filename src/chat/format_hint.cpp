#include "chat/format_hint.h"

#include "base/json_value.h"

namespace fourfold {
namespace {

std::string hint_for(const ResponseFormat& format) {
  switch (format.kind) {
    case ResponseFormat::Kind::Json: return "Answer with one JSON object and nothing else.";
    case ResponseFormat::Kind::JsonSchema:
      return "Answer with JSON of this schema and nothing else: " + to_json_text(format.schema);
    case ResponseFormat::Kind::Text:
    case ResponseFormat::Kind::Regex:
    case ResponseFormat::Kind::Grammar: break;
  }
  return {};
}

}  // namespace

Conversation with_format_hint(Conversation conversation) {
  std::string hint = hint_for(conversation.response_format);
  if (hint.empty()) return conversation;
  auto& messages = conversation.messages;
  const bool has_system = !messages.empty() && (messages.front().role == Role::System ||
                                                messages.front().role == Role::Developer);
  if (!has_system) {
    messages.insert(messages.begin(), Message::of(Role::System, std::move(hint)));
    return conversation;
  }
  Message& system = messages.front();
  if (system.is_part_list || system.parts.empty()) {
    system.parts.push_back({.kind = Part::Kind::Text, .text = std::move(hint)});
  } else {
    system.parts.back().text = std::string(trim(system.parts.back().text)) + "\n\n" + hint;
  }
  return conversation;
}

}  // namespace fourfold
