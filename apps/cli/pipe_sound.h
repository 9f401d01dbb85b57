// A WAV stream that is heard while it comes: `arecord -f S16_LE | fourfold listen --input -
// --realtime`. A file that is at hand is better read by SoundReader::open.
#pragma once

#include <memory>

#include "base/result.h"
#include "media/sound.h"

namespace fourfold {

// Reads the header. Integers of 16 bits or floats of 32, any rate and up to 8 channels; an
// interrupt (signals.h) ends the sound. `fd` outlives the reader.
Result<std::unique_ptr<SoundReader>> open_pipe_sound(int fd);

}  // namespace fourfold
