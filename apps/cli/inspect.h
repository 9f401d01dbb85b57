// `fourfold inspect`.
#pragma once

#include "cli/command.h"

namespace fourfold {

void register_inspect(CLI::App& program, Context& context);

}  // namespace fourfold
