// The rules of http-apis.md 1.7 "Messages", which every dialect's conversation goes through before
// it is rendered.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/json_value.h"
#include "base/result.h"
#include "chat/conversation.h"

namespace fourfold {

// A call of the history whose arguments are no JSON object.
struct BrokenCall {
  std::string path;  // in the request: "messages[3].tool_calls[0].function.arguments"
  std::string id, name;
};

struct MessageRules {
  // Consecutive messages of one role become one (Gemini): texts of the model joined with nothing,
  // those of the user with a newline.
  bool merge_neighbours = false;
  // A conversation of system text alone is refused (Gemini, Anthropic).
  bool needs_more_than_system = false;
  // Name of the list for messages: "contents", "messages".
  std::string_view list_name = "messages";
  // Lines in front of the system text that change with every request.
  std::vector<std::string> billing_prefixes = {"x-anthropic-billing-header:"};
  // Those of read_history_arguments(): refused in a newest call that waits for its result, or, if
  // asked for, everywhere.
  std::vector<BrokenCall> broken_calls;
  bool refuse_broken_calls = false;
};

// Drops messages that hold nothing, moves system texts that would part calls from their results,
// drops a billing line that begins the system text. Developers become System, a system text of one
// block is one string. InvalidArgument naming the first message if nothing is left.
Status settle_messages(Conversation& conversation, const MessageRules& rules);

// The arguments of a call in a history: an object, the JSON text of one, or nothing. Anything else
// becomes {"arguments": the raw text} and is reported in `warnings`.
JsonValue history_arguments(const JsonValue& arguments, std::string_view path,
                            std::vector<std::string>& warnings);

// The same for a call whose name and id are known; what is broken is marked in call.repaired and
// listed, for settle_messages().
void read_history_arguments(const JsonValue& arguments, std::string_view path, ToolCall& call,
                            std::vector<BrokenCall>& broken, std::vector<std::string>& warnings);

// A schema of parameters that declares none: absent, null, {}, or an object without properties.
bool has_no_parameters(const JsonValue* schema);

}  // namespace fourfold
