// `fourfold bench`.
#pragma once

#include "cli/command.h"

namespace fourfold {

void register_bench(CLI::App& program, Context& context);

}  // namespace fourfold
