// Chooses the kernel table once, at start.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "kernels/table.h"

namespace fourfold {

// The tables that this CPU can run, best first; the scalar one is always among them.
const std::vector<const Kernels*>& usable_kernels();

// The best table, or the one named by `forced` (FOURFOLD_FORCE_ISA); InvalidArgument with the list
// of names when this CPU lacks it. An empty name forces nothing.
Result<const Kernels*> choose_kernels(std::string_view forced);

}  // namespace fourfold
