// The command line: what it asks for, or what is wrong with it and what was meant; the help.
#pragma once

#include <string>
#include <variant>
#include <vector>

#include "cli/command.h"

namespace fourfold {

// The command to run. Or, when help, version or a complaint was printed, the status to end with.
using ParsedCommand = std::variant<const CommandInfo*, int>;

ParsedCommand parse_command_line(CLI::App& program, Context& context,
                                 std::vector<std::string> arguments);

}  // namespace fourfold
