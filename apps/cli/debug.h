// `debug …`: inner values, for comparison with references. `debug logits` is here, each other one
// in a file of its own.
#pragma once

#include "cli/command.h"

namespace fourfold {

void register_debug(CLI::App& program, Context& context);

}  // namespace fourfold
