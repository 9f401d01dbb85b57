// What a SoundReader stands on: one SampleSource per kind of file, each in a file of its own that
// CMake chooses by the libraries that are there. Internal to media.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "media/sound.h"

namespace fourfold {

inline constexpr int kMostSoundChannels = 8;
inline constexpr int kLeastSoundRate = 4'000, kMostSoundRate = 384'000;

// Interleaved samples at the file's own rate, in the order of the file.
class SampleSource {
 public:
  virtual ~SampleSource() = default;

  // Valid from the beginning: 1 to 8 channels, 4 to 384 kHz (check_sound_info).
  virtual const SoundInfo& info() const = 0;
  // Fills `out` with whole frames (one sample of every channel), at most
  // out.size() / info().n_channels; returns how many frames, 0 at the end.
  virtual Result<std::size_t> read(std::span<float> out) = 0;
  virtual std::vector<std::string> notes() const { return {}; }
};

// The checks that all sources share: channels, rate, and the length where the file says it.
// The message begins with info.format: "wav: 9 channels, expected 1 to 8".
Status check_sound_info(const SoundInfo& info, const SoundLimits& limits);

// "wav", "flac", "ogg", "mp3", "aiff" by the first bytes; "m4a", "aac", "webm" for what the film
// library reads; empty for what is no sound.
std::string_view find_sound_format(std::span<const std::byte> file);

// The bytes outlive every source.
Result<std::unique_ptr<SampleSource>> open_wav(std::span<const std::byte> file,
                                               const SoundLimits& limits);
// FLAC, MP3, Ogg Vorbis, Opus, AIFF (sound_sndfile.cpp or sound_none.cpp).
Result<std::unique_ptr<SampleSource>> open_sndfile(std::span<const std::byte> file,
                                                   const SoundLimits& limits);
// The sound of what libav opens: M4A, AAC, MP4, WebM (video_libav.cpp or video_none.cpp). NotFound
// if the file has no sound track.
Result<std::unique_ptr<SampleSource>> open_libav_sound(std::span<const std::byte> file,
                                                       const SoundLimits& limits);

// Mixed to mono, checked for what is no number, resampled. For the sound of a film too.
Result<std::unique_ptr<SoundReader>> make_sound_reader(std::unique_ptr<SampleSource> source,
                                                       const SoundLimits& limits);

// Mono from `rate` to 16 kHz (resample_soxr.cpp or resample_none.cpp). Output sample 0 lies at
// input sample 0; n samples become ceil(n · 16000 / rate).
class Resampler {
 public:
  virtual ~Resampler() = default;
  // Appends to `out` what is certain now.
  virtual Status push(std::span<const float> samples, std::vector<float>& out) = 0;
  // After the last sample: the rest.
  virtual Status finish(std::vector<float>& out) = 0;
};

Result<std::unique_ptr<Resampler>> make_resampler(int rate);

}  // namespace fourfold
