// `fourfold run --lines`: each line of standard input is a request, each answer is a line.
#pragma once

#include "cli/chat.h"

namespace fourfold {

// A line is a JSON object {"messages": […], "tools", "schema", "think", "temperature",
// "seed", "max_tokens"}, or, as JSON string or plain text, the next turn of one conversation.
Result<int> answer_lines(Chat& chat, Context& context);

}  // namespace fourfold
