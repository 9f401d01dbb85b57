// `debug frames`: which frames of a film are seen, for comparison with references.
#pragma once

#include "cli/command.h"

namespace fourfold {

// `group` is the command `debug`.
void register_debug_frames(CLI::App& group, Context& context);

}  // namespace fourfold
