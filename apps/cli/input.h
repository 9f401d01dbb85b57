// Standard input, and the prompt that it makes together with the arguments.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "cli/command.h"

namespace fourfold {

bool stdin_is_terminal();

// All of standard input, byte for byte. Says what it waits for when nothing comes for two seconds.
Result<std::string> read_stdin(std::string_view awaited, Context& context);

// The text of a flag that takes a file: "-" is standard input, and a pipe will do.
Result<std::string> read_text(const std::string& path, std::string_view awaited, Context& context,
                              std::uint64_t limit_bytes = 64u << 20);

// One line without its newline; nullopt at the end.
std::optional<std::string> read_stdin_line();

// The words of the command line, a newline, and what is piped in. Empty when there is neither.
Result<std::string> read_prompt(const std::vector<std::string>& words, Context& context);

}  // namespace fourfold
