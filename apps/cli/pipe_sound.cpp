#include "cli/pipe_sound.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <unistd.h>

#include "cli/signals.h"
#include "media/sound_readers.h"

namespace fourfold {
namespace {

constexpr std::size_t kMostChunk = 1 << 20;  // bytes of what stands before the samples
constexpr unsigned kIntegers = 1, kFloats = 3, kExtensible = 0xFFFE;

unsigned number_at(std::string_view bytes, std::size_t at, std::size_t size) {
  unsigned value = 0;
  for (std::size_t i = 0; i < size; ++i) {
    value |= static_cast<unsigned>(static_cast<unsigned char>(bytes[at + i])) << (8 * i);
  }
  return value;
}

// At most so many bytes, at least one; 0 at the end.
Result<std::size_t> read_some(int fd, char* out, std::size_t n) {
  while (true) {
    const ssize_t got = ::read(fd, out, n);
    if (got >= 0) return static_cast<std::size_t>(got);
    if (errno != EINTR) return internal_error("standard input: {}", std::strerror(errno));
    if (is_interrupted()) return std::size_t{0};
  }
}

// Fills `out`.
Status read_exactly(int fd, std::span<char> out, std::string_view what) {
  while (!out.empty()) {
    const std::size_t got = TRY(read_some(fd, out.data(), out.size()));
    if (got == 0) return data_loss("wav: the stream ends in {}", what);
    out = out.subspan(got);
  }
  return {};
}

std::string_view text_of(std::span<const char> bytes) { return {bytes.data(), bytes.size()}; }

class WavPipe final : public SampleSource {
 public:
  WavPipe(int fd, SoundInfo info, std::size_t sample_bytes)
      : fd_(fd), info_(info), sample_bytes_(sample_bytes) {}

  const SoundInfo& info() const override { return info_; }

  // What has come, as soon as there is a frame.
  Result<std::size_t> read(std::span<float> out) override {
    const auto n_channels = static_cast<std::size_t>(info_.n_channels);
    const std::size_t frame_bytes = n_channels * sample_bytes_;
    const std::size_t most = out.size() / n_channels * frame_bytes;
    std::size_t n_held = held_.size();
    held_.resize(most);
    while (n_held < frame_bytes) {
      const std::size_t got = TRY(read_some(fd_, held_.data() + n_held, most - n_held));
      if (got == 0) break;  // less than a frame is left: it is dropped
      n_held += got;
    }
    const std::size_t n_frames = n_held / frame_bytes;
    for (std::size_t i = 0; i < n_frames * n_channels; ++i) out[i] = sample_at(i);
    held_.resize(n_held);
    held_.erase(0, n_frames * frame_bytes);
    return n_frames;
  }

 private:
  float sample_at(std::size_t i) const {
    if (sample_bytes_ == sizeof(float)) {
      float value;
      std::memcpy(&value, held_.data() + i * sizeof value, sizeof value);
      return value;
    }
    return static_cast<float>(static_cast<std::int16_t>(number_at(held_, 2 * i, 2))) / 32768.0f;
  }

  const int fd_;
  const SoundInfo info_;
  const std::size_t sample_bytes_;
  std::string held_;  // less than a frame
};

struct Format {
  SoundInfo info;
  std::size_t sample_bytes = 0;
};

Result<Format> read_format(std::string_view chunk) {
  if (chunk.size() < 16) {
    return invalid_argument("wav: fmt chunk of {} bytes, expected 16 or more", chunk.size());
  }
  unsigned tag = number_at(chunk, 0, 2);
  if (tag == kExtensible && chunk.size() >= 26) tag = number_at(chunk, 24, 2);
  const unsigned bits = number_at(chunk, 14, 2);
  if (!(tag == kIntegers && bits == 16) && !(tag == kFloats && bits == 32)) {
    return unimplemented(
        "wav: a stream of format {} with {} bits (expected integers of 16 bits or floats of 32)",
        tag, bits);
  }
  Format format{.info = {.format = "wav"}, .sample_bytes = bits / 8};
  format.info.n_channels = static_cast<int>(number_at(chunk, 2, 2));
  format.info.rate = static_cast<int>(std::min(number_at(chunk, 4, 4), 1'000'000'000u));
  return format;
}

}  // namespace

Result<std::unique_ptr<SoundReader>> open_pipe_sound(int fd) {
  std::array<char, 12> head{};
  TRY(read_exactly(fd, head, "its header"));
  if (!text_of(head).starts_with("RIFF") || !text_of(head).ends_with("WAVE")) {
    return invalid_argument(
        "no WAV stream (expected RIFF … WAVE; other sounds without --realtime)");
  }
  Format format;
  while (true) {
    std::array<char, 8> chunk{};
    TRY(read_exactly(fd, chunk, "its header"));
    if (text_of(chunk).starts_with("data")) break;  // of any size: the pipe's end is the sound's
    const std::size_t size = number_at(text_of(chunk), 4, 4);
    if (size > kMostChunk) {
      return invalid_argument(
          "wav: a chunk of {} bytes in front of the samples, expected at most {}", size,
          kMostChunk);
    }
    std::vector<char> content(size + size % 2);
    TRY(read_exactly(fd, content, "its header"));
    if (text_of(chunk).starts_with("fmt ")) format = TRY(read_format(text_of(content)));
  }
  if (format.sample_bytes == 0) return invalid_argument("wav: no fmt chunk before the samples");
  auto source = std::make_unique<WavPipe>(fd, format.info, format.sample_bytes);
  return make_sound_reader(std::move(source), {});
}

}  // namespace fourfold
