// `fourfold run --lines`: each line of standard input is a request, each answer is a line.
#pragma once

#include "cli/chat.h"

namespace fourfold {

// A line is a JSON object {"messages": […], "tools", "schema", "think", "temperature",
// "seed", "max_tokens"}, or, as JSON string or plain text, the next turn of one conversation. Parts
// of messages may be media: data: URLs, or paths of this machine. `media`: how they are seen.
Result<int> answer_lines(Chat& chat, const MediaSettings& media, Context& context);

}  // namespace fourfold
