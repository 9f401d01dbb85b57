#include "chat/normalize.h"

#include <algorithm>
#include <utility>

#include "base/utf8.h"
#include "chat/tool_schema.h"

namespace fourfold {
namespace {

Error unknown_part(std::size_t index, const Part& part) {
  return invalid_argument(
      "messages[{}].content: unknown part {} (expected text, image, audio or video)", index,
      printable(part.text));
}

bool is_system(Role role) { return role == Role::System || role == Role::Developer; }

Status check_message(const Message& message, std::size_t index) {
  if (message.role == Role::Other) {
    return invalid_argument(
        "messages[{}].role: {} (expected system, developer, user, assistant or tool)", index,
        printable(message.role_name));
  }
  for (const auto& part : message.parts) {
    if (part.kind == Part::Kind::Unknown) return unknown_part(index, part);
    if (index == 0 && is_system(message.role) && part.kind != Part::Kind::Text) {
      return invalid_argument("messages[0].content: the system message takes no media");
    }
  }
  for (const auto& result : message.results) {
    for (const auto& part : result.media) {
      if (part.kind == Part::Kind::Unknown) return unknown_part(index, part);
    }
  }
  return {};
}

// Gives each result of a group the name of the call that it answers.
class Pairing {
 public:
  explicit Pairing(const std::vector<ToolCall>& calls)
      : calls_(calls), is_answered_(calls.size(), false) {}

  void pair(std::vector<Message>::iterator first, std::vector<Message>::iterator last) {
    std::vector<ToolResult*> rest;
    for (auto message = first; message != last; ++message) {
      ToolResult& result = message->results.front();
      if (!pair_by_id(result)) rest.push_back(&result);
    }
    for (auto* result : rest) pair_by_name_or_order(*result);
  }

  std::vector<const ToolCall*> unanswered() const {
    std::vector<const ToolCall*> calls;
    for (std::size_t i = 0; i < calls_.size(); ++i) {
      if (!is_answered_[i]) calls.push_back(&calls_[i]);
    }
    return calls;
  }

 private:
  bool pair_by_id(ToolResult& result) {
    if (result.call_id.empty()) return false;
    const auto has_id = [&](const ToolCall& call) { return call.id == result.call_id; };
    if (const ToolCall* call = take_first(has_id)) {
      result.name = call->name;
      return true;
    }
    // One more result of the same call.
    const auto answered = std::find_if(calls_.rbegin(), calls_.rend(), has_id);
    if (answered == calls_.rend()) return false;
    result.name = answered->name;
    return true;
  }

  void pair_by_name_or_order(ToolResult& result) {
    const ToolCall* call = nullptr;
    if (!result.name.empty()) {
      call = take_first([&](const ToolCall& one) { return one.name == result.name; });
    }
    if (!call) call = take_first([](const ToolCall&) { return true; });
    if (result.name.empty()) result.name = call ? call->name : "unknown";
  }

  template <class Predicate>
  const ToolCall* take_first(Predicate matches) {
    for (std::size_t i = 0; i < calls_.size(); ++i) {
      if (is_answered_[i] || !matches(calls_[i])) continue;
      is_answered_[i] = true;
      return &calls_[i];
    }
    return nullptr;
  }

  const std::vector<ToolCall>& calls_;
  std::vector<bool> is_answered_;
};

Message cancelled_result(const ToolCall& call) {
  Message message;
  message.role = Role::Tool;
  message.results.push_back({.call_id = call.id,
                             .name = call.name,
                             .value = JsonValue::object({{"error", JsonValue::of("cancelled")}})});
  return message;
}

bool is_tool(const Message& message) { return message.role == Role::Tool; }

Result<std::vector<Message>> with_paired_results(std::vector<Message> messages) {
  std::vector<Message> out;
  for (auto message = messages.begin(); message != messages.end();) {
    const auto next = message + 1;
    const auto end = std::find_if_not(next, messages.end(), is_tool);  // of the results
    const bool takes_results = !message->calls.empty() && message->results.empty();
    if (is_tool(*message) || (end != next && !takes_results)) {
      const auto orphan = is_tool(*message) ? message : next;
      return invalid_argument("messages[{}]: a tool's result without a call before it",
                              orphan - messages.begin());
    }
    std::vector<Message> cancelled;
    if (takes_results) {
      Pairing pairing(message->calls);
      pairing.pair(next, end);
      if (end != messages.end()) {
        for (const auto* call : pairing.unanswered()) cancelled.push_back(cancelled_result(*call));
      }
    }
    std::move(message, end, std::back_inserter(out));
    std::move(cancelled.begin(), cancelled.end(), std::back_inserter(out));
    message = end;
  }
  return out;
}

}  // namespace

Result<Conversation> normalized(Conversation conversation) {
  for (std::size_t i = 0; i < conversation.messages.size(); ++i) {
    TRY(check_message(conversation.messages[i], i));
  }
  conversation.messages = TRY(with_paired_results(std::move(conversation.messages)));
  for (auto& tool : conversation.tools) tool = mended_tool(tool);
  return conversation;
}

}  // namespace fourfold
