// `fourfold run`: chat, or text continued by a pretrained model.
#pragma once

#include "cli/command.h"

namespace fourfold {

void register_run(CLI::App& program, Context& context);

}  // namespace fourfold
