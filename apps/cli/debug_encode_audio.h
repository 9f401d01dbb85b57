// The sound half of `fourfold debug encode`.
#pragma once

#include <memory>
#include <string>

#include "base/result.h"
#include "cli/arrays.h"
#include "cli/command.h"
#include "formats/checkpoint.h"
#include "kernels/ops.h"

namespace fourfold {

// One of both files.
struct SoundToEncode {
  std::string audio;  // a sound file; a tower takes its first 30 s, and a note says so
  std::string mel;    // arrays with the rows: `mel`, or `features` or `frames` as in the goldens
  bool taps = false;
};

// Adds `soft` [n, D] and the taps under the names and in the layouts of the goldens. `checkpoint`
// is what holds the tower: a folder, an mmproj or a combined file.
Status encode_sound(std::shared_ptr<const Checkpoint> checkpoint, const SoundToEncode& source,
                    Ops& ops, ArrayWriter& arrays, Context& context);

}  // namespace fourfold
