// `fourfold parse`: the ids that a model generated, taken apart into thoughts, answer and calls.
#pragma once

#include "cli/command.h"

namespace fourfold {

void register_parse(CLI::App& program, Context& context);

}  // namespace fourfold
