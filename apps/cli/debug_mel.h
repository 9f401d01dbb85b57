// `debug mel`: the log-mel features of a sound, for comparison with references.
#pragma once

#include "cli/command.h"

namespace fourfold {

// `group` is the command `debug`.
void register_debug_mel(CLI::App& group, Context& context);

}  // namespace fourfold
