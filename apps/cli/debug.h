// `debug logits`: what the decoder computes, for comparison with references.
#pragma once

#include "cli/command.h"

namespace fourfold {

void register_debug(CLI::App& program, Context& context);

}  // namespace fourfold
