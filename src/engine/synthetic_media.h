// Towers with the shapes of released ones and random weights, as an mmproj file in memory: to
// measure the speed of eyes and ears without a download (synthetic_body.h does it for text).
//
//   const auto towers = TRY(make_synthetic_towers("e2b", budget));
//   const auto checkpoint = TRY(Checkpoint::open(towers.path()));
#pragma once

#include <string_view>

#include "base/result.h"
#include "engine/synthetic_body.h"

namespace fourfold {

// Keys and tensors of such a file, in the types that mmproj files have (BF16, vectors and
// convolutions F32). Bodies: e2b, e4b, and 26b, 31b, which do not hear. InvalidArgument for others.
Result<GgufWriter> synthetic_towers_layout(std::string_view body);

// The bytes of one of its tensors; bounds of clipped linears are finite and wide.
Status write_synthetic_tower_tensor(const GgufWriter::Tensor& tensor, const GgufWriter::Sink& sink);

Result<SyntheticBody> make_synthetic_towers(std::string_view body, const MemoryBudget& budget);

}  // namespace fourfold
