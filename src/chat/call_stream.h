// Reports a call while it is written: its name, then its arguments as JSON text, value by value.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "chat/chat_event.h"

namespace fourfold {

// For text that a constraint keeps within Gemma's call syntax; nothing is checked or repaired.
class CallStream {
 public:
  // What comes next between <|tool_call> and <tool_call|>, with quote marks (call_syntax.h).
  void push(std::string_view text, int call_index, std::vector<ChatEvent>& events);
  // The call as it was read in the end: reports what is not reported yet.
  void finish(const ToolCall& call, int call_index, std::vector<ChatEvent>& events);

 private:
  void push(char c);
  void close_string();
  void close_word();
  void report(std::string json, int call_index, std::vector<ChatEvent>& events);

  bool has_started_ = false;
  bool in_string_ = false;
  std::string text_;            // of the name, then of the string or word on its way
  std::string json_;            // of the arguments, as far as values are closed
  std::size_t n_reported_ = 0;  // bytes of json_
};

}  // namespace fourfold
