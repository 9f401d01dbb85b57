// Recording by PortAudio.
#include <portaudio.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <string_view>
#include <thread>
#include <vector>

#include <fcntl.h>
#include <unistd.h>

#include "cli/microphone.h"
#include "media/sound.h"
#include "media/sound_readers.h"

namespace fourfold {
namespace {

constexpr std::int64_t kKept_s = 60;

Error refused(std::string_view what, PaError error) {
  return failed_precondition("microphone: {}: {}", what, Pa_GetErrorText(error));
}

// The libraries below write about every device that they do not find to standard error, which is
// ours. At that time no other thread of the program runs.
class QuietError {
 public:
  QuietError() : saved_(::dup(STDERR_FILENO)), nowhere_(::open("/dev/null", O_WRONLY | O_CLOEXEC)) {
    if (saved_ >= 0 && nowhere_ >= 0) ::dup2(nowhere_, STDERR_FILENO);
  }
  ~QuietError() {
    if (saved_ >= 0) {
      ::dup2(saved_, STDERR_FILENO);
      ::close(saved_);
    }
    if (nowhere_ >= 0) ::close(nowhere_);
  }

 private:
  int saved_, nowhere_;
};

// PortAudio from its start to its end.
class Library {
 public:
  static Result<std::unique_ptr<Library>> start() {
    const QuietError quiet;
    const PaError error = Pa_Initialize();
    if (error != paNoError) return refused("the sound system", error);
    return std::unique_ptr<Library>(new Library);
  }
  ~Library() { Pa_Terminate(); }

 private:
  Library() = default;
};

// One thread writes, another reads; neither waits.
class Ring {
 public:
  explicit Ring(std::size_t size) : samples_(size) {}

  // Samples that found no place are counted.
  void write(std::span<const float> samples) {
    const std::size_t begin = written_.load(std::memory_order_relaxed);
    const std::size_t room = samples_.size() - (begin - read_.load(std::memory_order_acquire));
    const std::size_t n = std::min(room, samples.size());
    for (std::size_t i = 0; i < n; ++i) samples_[(begin + i) % samples_.size()] = samples[i];
    written_.store(begin + n, std::memory_order_release);
    n_lost_ += static_cast<std::int64_t>(samples.size() - n);
  }
  std::size_t read(std::span<float> out) {
    const std::size_t begin = read_.load(std::memory_order_relaxed);
    const std::size_t n = std::min(written_.load(std::memory_order_acquire) - begin, out.size());
    for (std::size_t i = 0; i < n; ++i) out[i] = samples_[(begin + i) % samples_.size()];
    read_.store(begin + n, std::memory_order_release);
    return n;
  }
  std::int64_t n_lost() const { return n_lost_; }

 private:
  std::vector<float> samples_;
  std::atomic<std::size_t> written_ = 0, read_ = 0;
  std::atomic<std::int64_t> n_lost_ = 0;
};

class PortAudioMicrophone final : public Microphone {
 public:
  PortAudioMicrophone(std::unique_ptr<Library> library, std::string name, int rate,
                      std::unique_ptr<Resampler> resampler)
      : library_(std::move(library)),
        name_(std::move(name)),
        rate_(rate),
        resampler_(std::move(resampler)),
        ring_(static_cast<std::size_t>(kKept_s * rate)) {}
  ~PortAudioMicrophone() override {
    if (stream_) Pa_CloseStream(stream_);
  }

  Status start(const PaStreamParameters& parameters) {
    const QuietError quiet;
    PaError error = Pa_OpenStream(&stream_, &parameters, nullptr, rate_,
                                  paFramesPerBufferUnspecified, paNoFlag, on_samples, this);
    if (error == paNoError) error = Pa_StartStream(stream_);
    return error == paNoError ? Status() : Status(refused(name_, error));
  }

  const std::string& name() const override { return name_; }
  std::int64_t n_lost() const override { return ring_.n_lost(); }

  Result<std::size_t> read(std::span<float> out) override {
    constexpr int kLooks = 20;
    for (int look = 0; look < kLooks && ready_.empty(); ++look) {
      if (look > 0) std::this_thread::sleep_for(std::chrono::milliseconds(5));
      TRY(take_recorded());
    }
    if (ready_.empty() && Pa_IsStreamActive(stream_) != 1) {
      return Error{Code::Unavailable, fmt::format("microphone: {}: it has gone", name_)};
    }
    const std::size_t n = std::min(out.size(), ready_.size());
    const auto end = ready_.begin() + static_cast<std::ptrdiff_t>(n);
    std::copy(ready_.begin(), end, out.begin());
    ready_.erase(ready_.begin(), end);
    return n;
  }

 private:
  static int on_samples(const void* input, void*, unsigned long n, const PaStreamCallbackTimeInfo*,
                        PaStreamCallbackFlags, void* self) {
    if (input) {
      static_cast<PortAudioMicrophone*>(self)->ring_.write({static_cast<const float*>(input), n});
    }
    return paContinue;
  }

  Status take_recorded() {
    std::vector<float> recorded(4096);
    recorded.resize(ring_.read(recorded));
    if (resampler_) return resampler_->push(recorded, ready_);
    ready_.insert(ready_.end(), recorded.begin(), recorded.end());
    return {};
  }

  const std::unique_ptr<Library> library_;
  const std::string name_;
  const int rate_;
  const std::unique_ptr<Resampler> resampler_;  // null at 16 kHz
  Ring ring_;
  std::vector<float> ready_;  // at 16 kHz
  PaStream* stream_ = nullptr;
};

}  // namespace

Result<std::unique_ptr<Microphone>> Microphone::open() {
  auto library = TRY(Library::start());
  const PaDeviceIndex device = Pa_GetDefaultInputDevice();
  if (device == paNoDevice) {
    return failed_precondition(
        "microphone: the sound system of this machine knows none (expected a device that records)");
  }
  const PaDeviceInfo& info = *Pa_GetDeviceInfo(device);
  const PaStreamParameters parameters{.device = device,
                                      .channelCount = 1,
                                      .sampleFormat = paFloat32,
                                      .suggestedLatency = info.defaultLowInputLatency,
                                      .hostApiSpecificStreamInfo = nullptr};
  int rate = kSampleRate;
  std::unique_ptr<Resampler> resampler;
  if (Pa_IsFormatSupported(&parameters, nullptr, rate) != paFormatIsSupported) {
    rate = static_cast<int>(info.defaultSampleRate);
    resampler = TRY(make_resampler(rate));
  }
  auto microphone = std::make_unique<PortAudioMicrophone>(std::move(library), info.name, rate,
                                                          std::move(resampler));
  TRY(microphone->start(parameters));
  return std::unique_ptr<Microphone>(std::move(microphone));
}

}  // namespace fourfold
