// Sound: file bytes → mono f32 samples at 16 kHz (audio.md 2).
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace fourfold {

inline constexpr int kSampleRate = 16'000;
inline constexpr std::int64_t kBlockSamples = 480'000;  // 30 s, the most one block holds
inline constexpr std::int64_t kLeastSamples = 161;      // fewer give no soft token

struct SoundLimits {
  std::uint64_t file_bytes = std::uint64_t{2} << 30;
  double seconds = 12 * 3600.0;
};

// What the headers say.
struct SoundInfo {
  std::string_view format;  // "wav", "flac", "mp3", "ogg", "opus", "m4a" …
  int rate = 0;             // of the file, Hz
  int n_channels = 0;
  std::int64_t n_samples = -1;  // per channel at `rate`; −1: not known before the end
};

// Reads a file piece by piece, mixed to mono and resampled; memory does not grow with its length.
class SoundReader {
 public:
  // The bytes outlive the reader. Unimplemented, naming what to install, for a format that this
  // build cannot read; InvalidArgument naming the field otherwise.
  static Result<std::unique_ptr<SoundReader>> open(std::span<const std::byte> file,
                                                   const SoundLimits& limits);
  virtual ~SoundReader() = default;

  virtual const SoundInfo& info() const = 0;
  // At most out.size() further samples; 0 at the end.
  virtual Result<std::size_t> read(std::span<float> out) = 0;
  // "both channels cancel each other: silence", …
  virtual std::vector<std::string> notes() const = 0;
};

// The whole file. ResourceExhausted when it is longer than max_samples.
Result<std::vector<float>> decode_sound(std::span<const std::byte> file, const SoundLimits& limits,
                                        std::int64_t max_samples);

// Samples at 16 kHz as a WAV file of float32, which decodes to the same bits.
std::string wav_file(std::span<const float> samples);

}  // namespace fourfold
