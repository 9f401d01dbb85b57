#include "chat/call_stream.h"

#include <utility>

#include "base/json_value.h"
#include "chat/call_syntax.h"
#include "chat/white_space.h"

namespace fourfold {
namespace {

constexpr std::string_view kPrefix = "call:";

ChatEvent started(std::string name, int call_index) {
  return {.type = ChatEvent::Type::CallStarted,
          .call_index = call_index,
          .call = {.name = std::move(name)}};
}

std::string quoted(std::string_view text) { return to_json_text(JsonValue::of(std::string(text))); }

}  // namespace

void CallStream::push(std::string_view text, int call_index, std::vector<ChatEvent>& events) {
  for (const char c : text) {
    if (has_started_) {
      push(c);
    } else if (c == '{' && text_.starts_with(kPrefix)) {
      has_started_ = true;
      events.push_back(started(std::exchange(text_, {}).substr(kPrefix.size()), call_index));
      json_ += c;
    } else {
      text_ += c;
    }
  }
  if (json_.size() > n_reported_) report(json_.substr(n_reported_), call_index, events);
}

void CallStream::push(char c) {
  if (c == kQuoteMark) {
    if (in_string_) close_string();
    in_string_ = !in_string_;
    return;
  }
  const bool is_structure = std::string_view("{}[],:").find(c) != std::string_view::npos;
  if (in_string_ || !is_structure) {
    text_ += c;
    return;
  }
  if (c == ':') {
    if (!text_.empty()) close_string();  // a key without quotes
  } else {
    close_word();
  }
  json_ += c;
}

void CallStream::close_string() { json_ += quoted(std::exchange(text_, {})); }

void CallStream::close_word() { json_ += trim_end(trim_start(std::exchange(text_, {}))); }

void CallStream::finish(const ToolCall& call, int call_index, std::vector<ChatEvent>& events) {
  if (!has_started_) events.push_back(started(call.name, call_index));
  const std::string whole = to_json_text(call.arguments);
  // Unlike only when a key came twice, which JSON may repeat as well.
  const bool goes_on = whole.starts_with(std::string_view(json_).substr(0, n_reported_));
  report((goes_on ? whole : json_).substr(n_reported_), call_index, events);
}

void CallStream::report(std::string json, int call_index, std::vector<ChatEvent>& events) {
  if (json.empty()) return;
  n_reported_ += json.size();
  events.push_back(
      {.type = ChatEvent::Type::CallArguments, .text = std::move(json), .call_index = call_index});
}

}  // namespace fourfold
