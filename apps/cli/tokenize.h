// `fourfold tokenize` and `fourfold detokenize`.
#pragma once

#include "cli/command.h"

namespace fourfold {

void register_tokenize(CLI::App& program, Context& context);

}  // namespace fourfold
