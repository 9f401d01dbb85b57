// `fourfold trace list | show | replay | diff`: answers that a server has kept, token by token.
#pragma once

#include "cli/command.h"

namespace fourfold {

void register_trace(CLI::App& program, Context& context);

}  // namespace fourfold
