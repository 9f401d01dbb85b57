#include "chat/chat_event.h"

namespace fourfold {

std::string_view name(ChatFinish finish) {
  switch (finish) {
    case ChatFinish::Stop: return "stop";
    case ChatFinish::ToolCalls: return "tool_calls";
    case ChatFinish::Length: return "length";
    case ChatFinish::Loop: return "loop";
    case ChatFinish::Cancelled: return "cancelled";
  }
  return "";
}

void ChatOutput::add(const ChatEvent& event) {
  switch (event.type) {
    case ChatEvent::Type::Thought: thinking += event.text; break;
    case ChatEvent::Type::Text: content += event.text; break;
    case ChatEvent::Type::Call: calls.push_back(event.call); break;
    case ChatEvent::Type::Malformed: malformed.push_back(event.text); break;
    case ChatEvent::Type::Finish: finish = event.finish; break;
    case ChatEvent::Type::CallStarted:
    case ChatEvent::Type::CallArguments: break;
  }
}

}  // namespace fourfold
