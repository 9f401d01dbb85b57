// Any bytes are refused or give finite samples, as many as the header says.
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/check.h"
#include "media/sound_readers.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace fourfold;
  const std::span file(reinterpret_cast<const std::byte*>(data), size);
  const auto source = open_wav(file, {});
  if (!source) {
    CHECK(!source.error().message.empty());
    return 0;
  }
  const SoundInfo& info = (*source)->info();
  CHECK(info.n_channels >= 1 && info.n_channels <= kMostSoundChannels);
  CHECK(info.rate >= kLeastSoundRate && info.rate <= kMostSoundRate);
  std::vector<float> frames(static_cast<std::size_t>(info.n_channels) * 100);
  std::int64_t n_frames = 0;
  while (true) {
    const auto n = (*source)->read(frames);
    CHECK(n.ok());
    if (*n == 0) break;
    n_frames += static_cast<std::int64_t>(*n);
  }
  CHECK(n_frames == info.n_samples);
  return 0;
}
