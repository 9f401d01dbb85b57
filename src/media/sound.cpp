#include "media/sound.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <utility>

#include "media/sound_readers.h"

namespace fourfold {
namespace {

using namespace std::string_view_literals;

// Frames that are asked of a source at once. Fixed, so that the samples do not depend on how a
// caller reads.
constexpr std::size_t kSourceFrames = 4096;
// More is no sound, and its features would leave the range of float32.
constexpr float kMostAmplitude = 1e30f;
// What is heard in single channels (about −50 dBFS), and how little may be left of it in the mix.
constexpr float kAudible = 3e-3f, kCancelled = 1e-3f;

bool starts_with(std::span<const std::byte> file, std::size_t at, std::string_view text) {
  if (file.size() < at + text.size()) return false;
  const std::string_view all(reinterpret_cast<const char*>(file.data()), file.size());
  return all.substr(at, text.size()) == text;
}

// An MPEG frame header: eleven set bits, a layer, a bit rate and a sample rate that exist.
bool is_mpeg_frame(std::span<const std::byte> file) {
  if (file.size() < 4) return false;
  const auto byte = [&](std::size_t i) { return std::to_integer<unsigned>(file[i]); };
  const bool is_sync = byte(0) == 0xFF && (byte(1) & 0xE0) == 0xE0;
  const bool is_known = (byte(1) & 0x18) != 0x08 && (byte(1) & 0x06) != 0;
  return is_sync && is_known && (byte(2) & 0xF0) != 0xF0 && (byte(2) & 0x0C) != 0x0C;
}

// AAC in ADTS frames: twelve set bits and layer 0.
bool is_adts_frame(std::span<const std::byte> file) {
  if (file.size() < 7) return false;
  return file[0] == std::byte{0xFF} && (file[1] & std::byte{0xF6}) == std::byte{0xF0};
}

std::string seconds_text(double seconds) { return fmt::format("{:.1f} s", seconds); }

Error too_long(std::string_view format, double seconds, const SoundLimits& limits) {
  return resource_exhausted("{}: {} of sound, the limit is {}", format, seconds_text(seconds),
                            seconds_text(limits.seconds));
}

// Samples of a source, mixed, checked and at 16 kHz.
class MonoReader final : public SoundReader {
 public:
  MonoReader(std::unique_ptr<SampleSource> source, std::unique_ptr<Resampler> resampler,
             const SoundLimits& limits)
      : limits_(limits),
        source_(std::move(source)),
        resampler_(std::move(resampler)),
        frames_(kSourceFrames * static_cast<std::size_t>(source_->info().n_channels)) {}

  const SoundInfo& info() const override { return source_->info(); }

  Result<std::size_t> read(std::span<float> out) override {
    std::size_t n = 0;
    while (n < out.size()) {
      if (n_taken_ == ready_.size()) {
        if (is_finished_) break;
        TRY(read_more());
        continue;
      }
      const std::size_t step = std::min(out.size() - n, ready_.size() - n_taken_);
      std::copy_n(ready_.begin() + static_cast<std::ptrdiff_t>(n_taken_), step,
                  out.begin() + static_cast<std::ptrdiff_t>(n));
      n_taken_ += step;
      n += step;
    }
    return n;
  }

  std::vector<std::string> notes() const override {
    auto notes = source_->notes();
    if (loudest_channel_ >= kAudible && loudest_mix_ <= loudest_channel_ * kCancelled) {
      notes.push_back("the channels cancel each other: their mean is silence");
    }
    return notes;
  }

 private:
  // The next samples of the source become ready_, or the end is known.
  Status read_more() {
    ready_.clear();
    n_taken_ = 0;
    const std::size_t n = TRY(source_->read(frames_));
    if (n == 0) {
      is_finished_ = true;
      if (n_read_ == 0) return invalid_argument("{}: no samples", info().format);
      if (resampler_) TRY(resampler_->finish(ready_));
      return {};
    }
    mixed_.resize(n);
    TRY(mix(n));
    n_read_ += static_cast<std::int64_t>(n);
    const double seconds = static_cast<double>(n_read_) / info().rate;
    if (seconds > limits_.seconds) return too_long(info().format, seconds, limits_);
    if (resampler_) return resampler_->push(mixed_, ready_);
    std::swap(mixed_, ready_);
    return {};
  }

  // The plain mean of all channels.
  Status mix(std::size_t n) {
    const auto n_channels = static_cast<std::size_t>(info().n_channels);
    for (std::size_t i = 0; i < n; ++i) {
      double sum = 0.0;
      for (std::size_t c = 0; c < n_channels; ++c) {
        const float sample = frames_[i * n_channels + c];
        if (!(std::abs(sample) <= kMostAmplitude)) return bad_sample(i, c, sample);
        loudest_channel_ = std::max(loudest_channel_, std::abs(sample));
        sum += sample;
      }
      mixed_[i] = static_cast<float>(sum / static_cast<double>(n_channels));
      loudest_mix_ = std::max(loudest_mix_, std::abs(mixed_[i]));
    }
    return {};
  }

  Error bad_sample(std::size_t i, std::size_t channel, float value) const {
    return invalid_argument("{}: sample {} of channel {} is {}, expected a number within ±1",
                            info().format, n_read_ + static_cast<std::int64_t>(i), channel + 1,
                            value);
  }

  SoundLimits limits_;
  std::unique_ptr<SampleSource> source_;
  std::unique_ptr<Resampler> resampler_;  // none for a file at 16 kHz
  std::vector<float> frames_;             // interleaved, as the source gives them
  std::vector<float> mixed_;
  std::vector<float> ready_;  // at 16 kHz; n_taken_ of them were read
  std::size_t n_taken_ = 0;
  std::int64_t n_read_ = 0;  // of the source, per channel
  float loudest_channel_ = 0.0f, loudest_mix_ = 0.0f;
  bool is_finished_ = false;
};

Result<std::unique_ptr<SampleSource>> open_source(std::span<const std::byte> file,
                                                  const SoundLimits& limits) {
  const auto format = find_sound_format(file);
  if (format.empty()) {
    return invalid_argument("not a sound file that we know (wav, flac, mp3, ogg, opus, aiff, m4a)");
  }
  if (format == "wav") return open_wav(file, limits);
  if (format == "m4a" || format == "aac" || format == "webm") return open_libav_sound(file, limits);
  return open_sndfile(file, limits);
}

}  // namespace

std::string_view find_sound_format(std::span<const std::byte> file) {
  const bool is_riff = starts_with(file, 0, "RIFF") || starts_with(file, 0, "RF64") ||
                       starts_with(file, 0, "BW64") || starts_with(file, 0, "RIFX");
  if (is_riff && (file.size() < 12 || starts_with(file, 8, "WAVE"))) return "wav";
  if (starts_with(file, 0, "fLaC")) return "flac";
  if (starts_with(file, 0, "OggS")) return "ogg";
  if (starts_with(file, 0, "ID3")) return "mp3";
  if (starts_with(file, 0, "FORM") && starts_with(file, 8, "AIF")) return "aiff";
  if (starts_with(file, 4, "ftyp")) return "m4a";
  if (starts_with(file, 0, "\x1a\x45\xdf\xa3"sv)) return "webm";
  if (is_adts_frame(file)) return "aac";
  if (is_mpeg_frame(file)) return "mp3";
  return {};
}

Status check_sound_info(const SoundInfo& info, const SoundLimits& limits) {
  if (info.n_channels < 1 || info.n_channels > kMostSoundChannels) {
    return invalid_argument("{}: {} channels, expected 1 to {}", info.format, info.n_channels,
                            kMostSoundChannels);
  }
  if (info.rate < kLeastSoundRate || info.rate > kMostSoundRate) {
    return invalid_argument("{}: sample rate of {} Hz, expected {} to {}", info.format, info.rate,
                            kLeastSoundRate, kMostSoundRate);
  }
  if (info.n_samples == 0) return invalid_argument("{}: no samples", info.format);
  const double seconds = static_cast<double>(info.n_samples) / info.rate;
  if (seconds > limits.seconds) return too_long(info.format, seconds, limits);
  return {};
}

Result<std::unique_ptr<SoundReader>> make_sound_reader(std::unique_ptr<SampleSource> source,
                                                       const SoundLimits& limits) {
  const SoundInfo& info = source->info();
  TRY(check_sound_info(info, limits));
  std::unique_ptr<Resampler> resampler;
  if (info.rate != kSampleRate) resampler = TRY_IN(info.format, make_resampler(info.rate));
  return std::unique_ptr<SoundReader>(
      std::make_unique<MonoReader>(std::move(source), std::move(resampler), limits));
}

Result<std::unique_ptr<SoundReader>> SoundReader::open(std::span<const std::byte> file,
                                                       const SoundLimits& limits) {
  if (file.empty()) return invalid_argument("an empty file, expected sound");
  if (file.size() > limits.file_bytes) {
    return resource_exhausted("sound of {} bytes, the limit is {}", file.size(), limits.file_bytes);
  }
  auto source = TRY(open_source(file, limits));
  return make_sound_reader(std::move(source), limits);
}

Result<std::vector<float>> decode_sound(std::span<const std::byte> file, const SoundLimits& limits,
                                        std::int64_t max_samples) {
  constexpr std::size_t kStep = 16'384;
  auto reader = TRY(SoundReader::open(file, limits));
  std::vector<float> samples;
  while (true) {
    const std::size_t begin = samples.size();
    samples.resize(begin + kStep);
    const std::size_t n = TRY(reader->read(std::span(samples).subspan(begin)));
    samples.resize(begin + n);
    if (static_cast<std::int64_t>(samples.size()) > max_samples) {
      return resource_exhausted("{}: more than {} of sound", reader->info().format,
                                seconds_text(static_cast<double>(max_samples) / kSampleRate));
    }
    if (n == 0) return samples;
  }
}

}  // namespace fourfold
