#include "chat/output_json.h"

#include <string>

namespace fourfold {
namespace {

using Type = ChatEvent::Type;

JsonValue text_event(const char* type, const char* key, const std::string& text) {
  return JsonValue::object({{"type", JsonValue::of(type)}, {key, JsonValue::of(text)}});
}

JsonValue call_event(const ChatEvent& event) {
  auto json = JsonValue::object({{"type", JsonValue::of("call")},
                                 {"index", JsonValue::number(std::to_string(event.call_index))}});
  for (auto& member : call_json(event.call).members) json.members.push_back(std::move(member));
  return json;
}

}  // namespace

JsonValue call_json(const ToolCall& call) {
  auto json =
      JsonValue::object({{"name", JsonValue::of(call.name)}, {"arguments", call.arguments}});
  if (call.repaired) json.set("repaired", JsonValue::of(true));
  return json;
}

std::optional<JsonValue> event_json(const ChatEvent& event) {
  switch (event.type) {
    case Type::Thought: return text_event("thought", "text", event.text);
    case Type::Text: return text_event("text", "text", event.text);
    case Type::Call: return call_event(event);
    case Type::Malformed: return text_event("malformed", "raw", event.text);
    case Type::Finish: return text_event("finish", "reason", std::string(name(event.finish)));
    case Type::CallStarted:
    case Type::CallArguments: return std::nullopt;
  }
  return std::nullopt;
}

JsonValue events_json(std::span<const ChatEvent> events) {
  auto list = JsonValue::array();
  std::optional<Type> last;
  for (const auto& event : events) {
    auto json = event_json(event);
    if (!json) continue;
    const bool is_delta = event.type == Type::Thought || event.type == Type::Text;
    if (is_delta && last == event.type) {
      list.items.back().find("text")->text += event.text;
    } else {
      list.items.push_back(std::move(*json));
    }
    last = event.type;
  }
  return list;
}

JsonValue output_json(const ChatOutput& output) {
  auto calls = JsonValue::array(), malformed = JsonValue::array();
  for (const auto& call : output.calls) calls.items.push_back(call_json(call));
  for (const auto& raw : output.malformed) malformed.items.push_back(JsonValue::of(raw));
  return JsonValue::object({{"thinking", JsonValue::of(output.thinking)},
                            {"content", JsonValue::of(output.content)},
                            {"tool_calls", std::move(calls)},
                            {"finish", JsonValue::of(std::string(name(output.finish)))},
                            {"malformed", std::move(malformed)}});
}

}  // namespace fourfold
