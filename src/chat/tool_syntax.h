// Gemma 4's own notation of tools, calls and results (tokenizer-chat.md 4.1–4.4).
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "chat/conversation.h"
#include "chat/prompt.h"

namespace fourfold {

// <|tool>declaration:name{…}<tool|>. What the template makes of defects in a schema it makes here
// too; mended_tool() removes them.
void write_declaration(const Tool& tool, PromptWriter& out);

// <|tool_call>call:name{…}<tool_call|>
void write_call(const ToolCall& call, PromptWriter& out);

// <|tool_response>response:name{…}<tool_response|>, without the media that may follow.
void write_result(std::string_view name, const JsonValue& value, PromptWriter& out);

// As the template orders the keys of an object: by their lower case, equal ones as they come.
std::vector<const JsonMember*> sorted_members(const JsonValue& object);

// A JSON number as Python's str() writes it: integers as they are, doubles by the shortest digits
// that read back as the same, inf beyond their range.
std::string python_number(std::string_view spelling);

// False for null, false, zero, and what is empty.
bool is_truthy(const JsonValue& value);

}  // namespace fourfold
