// What an answer consists of, piece by piece and as a whole.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "chat/conversation.h"

namespace fourfold {

enum class ChatFinish {
  Stop,       // the model ended its turn
  ToolCalls,  // the same, after at least one call
  Length,     // a limit of tokens
  Loop,       // the same text over and over
  Cancelled,
};
std::string_view name(ChatFinish finish);  // "stop", "tool_calls", "length", "loop", "cancelled"

// A stream of these never takes back what it said. The calls count up from 0; what is no call even
// after repair is Malformed and not counted.
struct ChatEvent {
  enum class Type {
    Thought,        // text: what comes next in the thought; thoughts are a newline apart
    Text,           // text: what comes next in the answer
    CallStarted,    // call_index, call.name
    CallArguments,  // call_index, text: what comes next in the JSON text of the arguments
    Call,           // call_index, call: complete
    Malformed,      // text: what the model wrote
    Finish,         // finish; the last event
  };

  Type type = Type::Text;
  std::string text;
  int call_index = 0;
  ToolCall call;
  ChatFinish finish = ChatFinish::Stop;
};

// Tokens of an answer without the one that ended it; control tokens count where they lead.
struct OutputUsage {
  std::int64_t thought_tokens = 0;
  std::int64_t answer_tokens = 0;
  std::int64_t call_tokens = 0;

  std::int64_t total() const { return thought_tokens + answer_tokens + call_tokens; }
};

// The events so far put together.
struct ChatOutput {
  std::string thinking;
  std::string content;
  std::vector<ToolCall> calls;
  std::vector<std::string> malformed;
  ChatFinish finish = ChatFinish::Stop;

  void add(const ChatEvent& event);
};

}  // namespace fourfold
