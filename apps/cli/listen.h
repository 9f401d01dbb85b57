// `listen`: a talk by voice.
#pragma once

#include "cli/command.h"

namespace fourfold {

void register_listen(CLI::App& program, Context& context);

}  // namespace fourfold
