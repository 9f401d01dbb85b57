// Values of flags that the command line does not give: from the environment (shared flags only),
// else from config.toml, whose keys are flag names with _ and whose tables are commands.
#pragma once

#include "base/result.h"
#include "cli/command.h"

namespace fourfold {

// After the command line was parsed. InvalidArgument naming the variable or key.
Status apply_settings(CLI::App& command, Context& context);

}  // namespace fourfold
