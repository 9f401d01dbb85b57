// `fourfold render`: a chat request → the prompt's text and ids.
#pragma once

#include "cli/command.h"

namespace fourfold {

void register_render(CLI::App& program, Context& context);

}  // namespace fourfold
