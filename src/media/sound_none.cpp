// A build without libsndfile reads WAV only.
#include "media/sound_readers.h"

namespace fourfold {

Result<std::unique_ptr<SampleSource>> open_sndfile(std::span<const std::byte> file,
                                                   const SoundLimits&) {
  return unimplemented("{} sound needs libsndfile (apt-get install libsndfile1-dev)",
                       find_sound_format(file));
}

}  // namespace fourfold
