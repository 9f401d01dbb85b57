// The tools of `fourfold run`: read from a file, run by a command of the user's.
#pragma once

#include <string>
#include <vector>

#include "base/json_value.h"
#include "chat/conversation.h"
#include "cli/command.h"

namespace fourfold {

// A JSON list of functions {"name", "description", "parameters"}, bare or wrapped as {"type":
// "function", "function": {…}}.
Result<std::vector<Tool>> read_tools(const JsonValue& list);
Result<std::vector<Tool>> load_tools(const std::string& path, Context& context);

struct ToolCommand {
  std::string shell;  // for sh -c
  int timeout_s = 60;
};

// Gives the call as {"name", "arguments"} and a newline to the command. The result is what it
// writes, as JSON if it parses; {"error": …} with the end of its standard error if it fails, takes
// too long or is interrupted.
JsonValue run_tool(const ToolCommand& command, const ToolCall& call);

}  // namespace fourfold
