// `fourfold convert`.
#pragma once

#include "cli/command.h"

namespace fourfold {

void register_convert(CLI::App& program, Context& context);

}  // namespace fourfold
