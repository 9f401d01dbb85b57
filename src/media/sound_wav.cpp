// WAV by our own reader: it comes in more flavours than libraries take (audio.md 2), and the header
// of a hostile file is read with our own checks.
#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <optional>

#include "media/sound_readers.h"

namespace fourfold {
namespace {

enum class Encoding { U8, I16, I24, I32, F32, F64, MuLaw, ALaw };

struct WavFormat {
  Encoding encoding = Encoding::I16;
  int n_channels = 0;
  int rate = 0;
  int sample_bytes = 0;
};

constexpr std::uint64_t kUnknownSize = 0xFFFF'FFFF;
// Sizes from here on are what programs write that do not know yet (SoX to a pipe: 0x7FFFF000).
constexpr std::uint64_t kLeastUnknownSize = 0x7FFF'F000;

template <class T>
T load(std::span<const std::byte> bytes, std::size_t at) {
  static_assert(std::endian::native == std::endian::little);
  T value;
  std::memcpy(&value, bytes.data() + at, sizeof value);
  return value;
}

std::string_view text_at(std::span<const std::byte> bytes, std::size_t at, std::size_t size) {
  return {reinterpret_cast<const char*>(bytes.data()) + at, size};
}

// A chunk's name may be anything: only what can be printed is shown.
std::string printable(std::string_view text) {
  std::string shown;
  for (const char c : text) shown += c >= ' ' && c <= '~' ? c : '?';
  return shown;
}

std::string_view tag_name(unsigned tag) {
  switch (tag) {
    case 0x0002: return " (Microsoft ADPCM)";
    case 0x0011: return " (IMA ADPCM)";
    case 0x0031: return " (GSM 6.10)";
    case 0x0040: return " (G.721 ADPCM)";
    case 0x0050: return " (MPEG)";
    case 0x0055: return " (MP3)";
    case 0x00FF: return " (AAC)";
    default: return "";
  }
}

Error bad_bits(unsigned bits, std::string_view expected) {
  return invalid_argument("wav: fmt chunk: {} bits per sample, expected {}", bits, expected);
}

Result<Encoding> find_encoding(unsigned tag, unsigned bits) {
  switch (tag) {
    case 1:
      if (bits == 8) return Encoding::U8;
      if (bits == 16) return Encoding::I16;
      if (bits == 24) return Encoding::I24;
      if (bits == 32) return Encoding::I32;
      return bad_bits(bits, "8, 16, 24 or 32");
    case 3:
      if (bits == 32) return Encoding::F32;
      if (bits == 64) return Encoding::F64;
      return bad_bits(bits, "32 or 64 of a float");
    case 6:
    case 7:
      if (bits != 8) return bad_bits(bits, tag == 6 ? "8 of A-law" : "8 of mu-law");
      return tag == 6 ? Encoding::ALaw : Encoding::MuLaw;
    default:
      return invalid_argument(
          "wav: fmt chunk: format tag {:#06x}{}, expected PCM (1), float (3), A-law (6) or mu-law "
          "(7)",
          tag, tag_name(tag));
  }
}

// The tag that the sub-format of WAVE_FORMAT_EXTENSIBLE stands for: the first two bytes of a GUID
// whose other fourteen are fixed.
Result<unsigned> read_sub_format(std::span<const std::byte> chunk) {
  constexpr std::array<unsigned char, 14> kRest = {0x00, 0x00, 0x00, 0x00, 0x10, 0x00, 0x80,
                                                   0x00, 0x00, 0xAA, 0x00, 0x38, 0x9B, 0x71};
  if (chunk.size() < 40) {
    return invalid_argument("wav: fmt chunk: {} bytes, expected 40 with format tag 0xfffe",
                            chunk.size());
  }
  if (std::memcmp(chunk.data() + 26, kRest.data(), kRest.size()) != 0) {
    return invalid_argument("wav: fmt chunk: unknown sub-format GUID");
  }
  return load<std::uint16_t>(chunk, 24);
}

Result<WavFormat> read_format(std::span<const std::byte> chunk) {
  if (chunk.size() < 16) {
    return invalid_argument("wav: fmt chunk: {} bytes, expected at least 16", chunk.size());
  }
  unsigned tag = load<std::uint16_t>(chunk, 0);
  if (tag == 0xFFFE) tag = TRY(read_sub_format(chunk));
  const unsigned n_channels = load<std::uint16_t>(chunk, 2);
  const std::uint32_t rate = load<std::uint32_t>(chunk, 4);
  const unsigned block_align = load<std::uint16_t>(chunk, 12);
  const unsigned bits = load<std::uint16_t>(chunk, 14);

  if (n_channels < 1 || n_channels > unsigned{kMostSoundChannels}) {
    return invalid_argument("wav: fmt chunk: {} channels, expected 1 to {}", n_channels,
                            kMostSoundChannels);
  }
  if (rate < std::uint32_t{kLeastSoundRate} || rate > std::uint32_t{kMostSoundRate}) {
    return invalid_argument("wav: fmt chunk: sample rate of {} Hz, expected {} to {}", rate,
                            kLeastSoundRate, kMostSoundRate);
  }
  const Encoding encoding = TRY(find_encoding(tag, bits));
  const unsigned sample_bytes = bits / 8;
  if (block_align != n_channels * sample_bytes) {
    return invalid_argument("wav: fmt chunk: block align {}, expected {} ({} channels of {} bits)",
                            block_align, n_channels * sample_bytes, n_channels, bits);
  }
  return WavFormat{.encoding = encoding,
                   .n_channels = static_cast<int>(n_channels),
                   .rate = static_cast<int>(rate),
                   .sample_bytes = static_cast<int>(sample_bytes)};
}

// G.711: sign, three bits of exponent, four of mantissa; 14 (mu) and 13 (A) bits of linear range,
// here scaled to 16.
float expand_mu_law(unsigned code) {
  code = ~code & 0xFF;
  const int exponent = static_cast<int>(code >> 4 & 7);
  const int mantissa = (static_cast<int>(code & 15) << 3) + 0x84;
  const int magnitude = (mantissa << exponent) - 0x84;
  return static_cast<float>(code & 0x80 ? -magnitude : magnitude) / 32768.0f;
}

float expand_a_law(unsigned code) {
  code ^= 0x55;
  const int exponent = static_cast<int>(code >> 4 & 7);
  int magnitude = (static_cast<int>(code & 15) << 4) + 8;
  if (exponent > 0) magnitude = (magnitude + 0x100) << (exponent - 1);
  return static_cast<float>(code & 0x80 ? magnitude : -magnitude) / 32768.0f;
}

float read_sample(Encoding encoding, std::span<const std::byte> bytes, std::size_t at) {
  const auto byte = [&](std::size_t i) { return std::to_integer<std::uint32_t>(bytes[at + i]); };
  switch (encoding) {
    case Encoding::U8: return (static_cast<float>(byte(0)) - 128.0f) / 128.0f;
    case Encoding::I16: return static_cast<float>(load<std::int16_t>(bytes, at)) / 32768.0f;
    case Encoding::I24: {
      // Into the upper bytes, so that the sign is right.
      const std::uint32_t upper = byte(0) << 8 | byte(1) << 16 | byte(2) << 24;
      return static_cast<float>(static_cast<std::int32_t>(upper) / 256) / 8388608.0f;
    }
    case Encoding::I32: return static_cast<float>(load<std::int32_t>(bytes, at)) / 2147483648.0f;
    case Encoding::F32: return load<float>(bytes, at);
    case Encoding::F64: return static_cast<float>(load<double>(bytes, at));
    case Encoding::MuLaw: return expand_mu_law(byte(0));
    case Encoding::ALaw: return expand_a_law(byte(0));
  }
  return 0.0f;
}

// Finds `fmt ` and `data` among the chunks of a file.
class WavParser {
 public:
  explicit WavParser(std::span<const std::byte> file) : file_(file) {}

  Status parse() {
    TRY(read_file_header());
    std::size_t at = 12;
    while (!has_data_) {
      if (file_.size() - at < 8) return missing_chunk();
      const auto name = text_at(file_, at, 4);
      const std::uint64_t size = load<std::uint32_t>(file_, at + 4);
      at += 8;
      const std::uint64_t left = file_.size() - at;
      if (name == "data") {
        TRY(take_data(at, size));
        break;
      }
      if (size > left) {
        return invalid_argument("wav: {} chunk: {} bytes claimed, the file has {} more",
                                printable(name), size, left);
      }
      TRY(take_chunk(name, file_.subspan(at, static_cast<std::size_t>(size))));
      // Odd chunks are padded; the last one may lack its padding.
      at += static_cast<std::size_t>(std::min(left, size + size % 2));
    }
    if (!format_) return invalid_argument("wav: no fmt chunk before the data chunk");
    return {};
  }

  const WavFormat& format() const { return *format_; }
  std::span<const std::byte> data() const { return data_; }

 private:
  Status read_file_header() {
    if (file_.size() < 12) {
      return invalid_argument("wav: a file of {} bytes ends within its header", file_.size());
    }
    const auto riff = text_at(file_, 0, 4);
    if (riff == "RIFX") {
      return unimplemented("wav: RIFX (big-endian) is not supported, expected RIFF or RF64");
    }
    is_64_bit_ = riff == "RF64" || riff == "BW64";
    if ((riff != "RIFF" && !is_64_bit_) || text_at(file_, 8, 4) != "WAVE") {
      return invalid_argument("wav: the file begins with {}, expected RIFF or RF64 and WAVE",
                              printable(riff));
    }
    return {};  // the size beside it is often wrong and says nothing that the chunks do not
  }

  Error missing_chunk() const {
    return invalid_argument("wav: the file ends before its {} chunk", format_ ? "data" : "fmt");
  }

  Status take_chunk(std::string_view name, std::span<const std::byte> chunk) {
    if (name == "fmt ") {
      format_ = TRY(read_format(chunk));
    } else if (name == "ds64" && is_64_bit_) {
      if (chunk.size() < 24) {
        return invalid_argument("wav: ds64 chunk: {} bytes, expected at least 24", chunk.size());
      }
      data_size_ = load<std::uint64_t>(chunk, 8);
    }
    return {};
  }

  Status take_data(std::size_t at, std::uint64_t size) {
    const std::uint64_t left = file_.size() - at;
    // 0 and 0xFFFFFFFF are what is written to a pipe: the sound goes on to the end of the file.
    bool is_unknown = size == 0 || size == kUnknownSize;
    if (is_64_bit_ && size == kUnknownSize && data_size_ != 0) {
      size = data_size_;
      is_unknown = size == ~std::uint64_t{0};
    } else if (size > left && size >= kLeastUnknownSize) {
      is_unknown = true;
    }
    if (is_unknown) size = left;
    if (size > left) {
      return invalid_argument("wav: data chunk: {} bytes claimed, the file has {} more", size,
                              left);
    }
    data_ = file_.subspan(at, static_cast<std::size_t>(size));
    has_data_ = true;
    return {};
  }

  std::span<const std::byte> file_;
  bool is_64_bit_ = false;
  std::uint64_t data_size_ = 0;  // of ds64; 0: none
  std::optional<WavFormat> format_;
  std::span<const std::byte> data_;
  bool has_data_ = false;
};

class WavSource final : public SampleSource {
 public:
  WavSource(const WavFormat& format, std::span<const std::byte> data)
      : format_(format), data_(data) {
    info_ = {.format = "wav",
             .rate = format.rate,
             .n_channels = format.n_channels,
             .n_samples = static_cast<std::int64_t>(data.size() / frame_bytes())};
  }

  const SoundInfo& info() const override { return info_; }

  Result<std::size_t> read(std::span<float> out) override {
    const auto n_channels = static_cast<std::size_t>(format_.n_channels);
    const auto left = static_cast<std::size_t>(info_.n_samples) - n_read_;
    const std::size_t n = std::min(out.size() / n_channels, left);
    const auto sample_bytes = static_cast<std::size_t>(format_.sample_bytes);
    const std::size_t first = n_read_ * frame_bytes();
    for (std::size_t i = 0; i < n * n_channels; ++i) {
      out[i] = read_sample(format_.encoding, data_, first + i * sample_bytes);
    }
    n_read_ += n;
    return n;
  }

 private:
  std::size_t frame_bytes() const {
    return static_cast<std::size_t>(format_.n_channels * format_.sample_bytes);
  }

  WavFormat format_;
  std::span<const std::byte> data_;  // of the file, which the caller keeps
  SoundInfo info_;
  std::size_t n_read_ = 0;  // frames
};

}  // namespace

Result<std::unique_ptr<SampleSource>> open_wav(std::span<const std::byte> file,
                                               const SoundLimits& limits) {
  WavParser parser(file);
  TRY(parser.parse());
  if (parser.data().empty()) return invalid_argument("wav: data chunk: no samples");
  auto source = std::make_unique<WavSource>(parser.format(), parser.data());
  TRY(check_sound_info(source->info(), limits));
  return std::unique_ptr<SampleSource>(std::move(source));
}

std::string wav_file(std::span<const float> samples) {
  std::string file;
  const auto add = [&](auto value) {
    file.append(reinterpret_cast<const char*>(&value), sizeof value);
  };
  const auto data_size = static_cast<std::uint32_t>(samples.size_bytes());
  file.reserve(44 + data_size);
  file += "RIFF";
  add(std::uint32_t{36} + data_size);
  file += "WAVEfmt ";
  add(std::uint32_t{16});
  add(std::uint16_t{3});  // IEEE float
  add(std::uint16_t{1});
  add(std::uint32_t{kSampleRate});
  add(std::uint32_t{kSampleRate * 4});
  add(std::uint16_t{4});
  add(std::uint16_t{32});
  file += "data";
  add(data_size);
  file.append(reinterpret_cast<const char*>(samples.data()), data_size);
  return file;
}

}  // namespace fourfold
