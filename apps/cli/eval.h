// `fourfold eval`.
#pragma once

#include "cli/command.h"

namespace fourfold {

void register_eval(CLI::App& program, Context& context);

}  // namespace fourfold
