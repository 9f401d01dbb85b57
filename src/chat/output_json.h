// Answers as JSON, in the form of tests/golden/chat: `fourfold parse`, `run --json`, `--events`.
#pragma once

#include <optional>
#include <span>
#include <vector>

#include "base/json_value.h"
#include "chat/chat_event.h"

namespace fourfold {

// {"name", "arguments"}, and "repaired" if it was.
JsonValue call_json(const ToolCall& call);
// {"type": "text", "text"} …; nullopt for a call that is not complete.
std::optional<JsonValue> event_json(const ChatEvent& event);
// The same of all of them, neighbours of one type joined.
JsonValue events_json(std::span<const ChatEvent> events);
// {"thinking", "content", "tool_calls", "finish", "malformed"}
JsonValue output_json(const ChatOutput& output);

}  // namespace fourfold
