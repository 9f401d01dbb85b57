// A build without libsoxr takes sound at 16 kHz only.
#include "media/sound_readers.h"

namespace fourfold {

Result<std::unique_ptr<Resampler>> make_resampler(int rate) {
  return unimplemented("a sample rate of {} Hz needs libsoxr (apt-get install libsoxr-dev)", rate);
}

}  // namespace fourfold
