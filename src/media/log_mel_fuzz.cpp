// Samples of any value in packets of any size give the rows of the whole, bit for bit.
#include <algorithm>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

#include "base/check.h"
#include "media/log_mel.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace fourfold;
  if (size < 2) return 0;
  const std::size_t packet = std::size_t{data[0]} + 256 * std::size_t{data[1] % 8u} + 1;
  std::vector<float> samples((size - 2) / 2);
  for (std::size_t i = 0; i < samples.size(); ++i) {
    std::int16_t value;
    std::memcpy(&value, data + 2 + 2 * i, sizeof value);
    samples[i] = static_cast<float>(value) / 32768.0f;
  }
  const auto whole = log_mel(samples);
  CHECK(whole.size() ==
        static_cast<std::size_t>(mel_frames(static_cast<std::int64_t>(samples.size()))) * kMelBins);
  LogMel mel;
  std::vector<float> rows;
  for (std::size_t at = 0; at < samples.size(); at += packet) {
    mel.push(std::span(samples).subspan(at, std::min(packet, samples.size() - at)), rows);
  }
  CHECK(rows == whole);
  CHECK(std::all_of(rows.begin(), rows.end(), [](float value) { return value > -7.0f; }));
  return 0;
}
