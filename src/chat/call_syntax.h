// Reads a tool call as the model wrote it: call:NAME{key:value,…}, and what comes close to that.
//
//   const auto call = read_call("call:f{city:\xFFParis\xFF,days:3}", CallEnd::Closed);
//
// Names, numbers and words are plain text; strings stand raw between two <|"|>. Deviations that
// models are known for are repaired and flagged (tokenizer-chat.md 4.7).
#pragma once

#include <string_view>

#include "base/result.h"
#include "chat/conversation.h"

namespace fourfold {

// Stands for <|"|> in the text of a call: a byte that UTF-8 does not have.
inline constexpr char kQuoteMark = '\xFF';

enum class CallEnd {
  Closed,  // by <tool_call|>
  Cut,     // by a stop token or another call: an argument that did not end must not be executed
};

// `text` is everything between <|tool_call> and the end, in UTF-8 but for the quote marks.
// InvalidArgument saying where and why it is no call.
Result<ToolCall> read_call(std::string_view text, CallEnd end);

}  // namespace fourfold
