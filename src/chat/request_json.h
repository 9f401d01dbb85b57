// A request in the form of Hugging Face's apply_chat_template → Conversation.
//
//   {"messages": [{"role": "user", "content": "Hi"}], "tools": […], "enable_thinking": true,
//    "preserve_thinking": …, "add_generation_prompt": …, "continue_final_message": …}
//
// Types are checked as tokenizer-chat.md 2.8 says; keys that it does not name are passed over.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "base/json_value.h"
#include "base/result.h"
#include "chat/conversation.h"

namespace fourfold {

struct RequestOptions {
  // What the template itself refuses is refused, though we could read it: arguments as JSON text,
  // absent arguments, a result that is an object.
  bool as_template = false;
  // The bytes of a medium, by its data: URL, path or address. Without it they stay unread, and
  // parts are places in a prompt.
  std::function<Result<SharedBytes>(const std::string& source)> read_media = {};
};

Result<Conversation> parse_request(std::string_view text, const RequestOptions& options = {});

// The messages alone.
Result<std::vector<Message>> read_messages(const JsonValue& list,
                                           const RequestOptions& options = {});

// {"type": "function", "function": {"name": …, …}}
Result<Tool> read_tool(const JsonValue& wrapped);

// As OpenAI's clients write it: "none", "auto", "required", {"type": "function", "function":
// {"name": …}}, or {"type": "allowed_tools", "mode": "auto" or "required", "tools": […]}. Names
// that are not among `tools` are refused.
Result<ToolChoice> read_tool_choice(const JsonValue& value, const std::vector<Tool>& tools);

// {"type": "text"}, {"type": "json_object"}, {"type": "json_schema", "json_schema": {"schema": …}},
// and of our own {"type": "regex", "regex": …}, {"type": "grammar", "grammar": …}.
Result<ResponseFormat> read_response_format(const JsonValue& value);

// What a client sent as a call's arguments: an object, the JSON text of one, or nothing.
Result<JsonValue> read_arguments(const JsonValue& arguments);

}  // namespace fourfold
