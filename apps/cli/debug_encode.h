// `debug encode`: a picture or a sound as rows of the text model's input.
#pragma once

#include "cli/command.h"

namespace fourfold {

// `group` is the command `debug`.
void register_debug_encode(CLI::App& group, Context& context);

}  // namespace fourfold
