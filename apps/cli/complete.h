// `fourfold complete`: raw text goes on.
#pragma once

#include "cli/command.h"

namespace fourfold {

void register_complete(CLI::App& program, Context& context);

}  // namespace fourfold
