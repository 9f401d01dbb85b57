// Any bytes are refused or become finite samples at 16 kHz. The libraries that decode are fuzzed
// along with our use of them.
#include <cmath>
#include <cstddef>
#include <cstdint>

#include "base/check.h"
#include "media/library_leaks.h"
#include "media/sound.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace fourfold;
  const std::span file(reinterpret_cast<const std::byte*>(data), size);
  const auto samples = decode_sound(file, {.file_bytes = 1 << 20, .seconds = 60.0}, 1'000'000);
  if (!samples) {
    CHECK(!samples.error().message.empty());
    return 0;
  }
  for (const float sample : *samples) CHECK(std::isfinite(sample));
  return 0;
}
