// Sound for tests: signals, and WAV files in every flavour.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <numbers>
#include <string_view>
#include <vector>

#include "base/random.h"

namespace fourfold::test_sound {

inline std::vector<float> tone(double hz, std::size_t n, double amplitude = 0.5,
                               double rate = 16'000.0) {
  std::vector<float> samples(n);
  for (std::size_t i = 0; i < n; ++i) {
    const double phase = 2.0 * std::numbers::pi * hz * static_cast<double>(i) / rate;
    samples[i] = static_cast<float>(amplitude * std::sin(phase));
  }
  return samples;
}

inline std::vector<float> noise(std::size_t n, double amplitude, std::uint64_t seed = 1) {
  std::vector<float> samples(n);
  for (std::size_t i = 0; i < n; ++i) {
    samples[i] = static_cast<float>(amplitude * (2.0 * uniform(seed, i) - 1.0));
  }
  return samples;
}

// From `from_hz` to `to_hz`, with the ends faded so that nothing is cut off sharply.
inline std::vector<float> sweep(double from_hz, double to_hz, double seconds, double rate) {
  const auto n = static_cast<std::size_t>(seconds * rate);
  std::vector<float> samples(n);
  for (std::size_t i = 0; i < n; ++i) {
    const double t = static_cast<double>(i) / rate;
    const double phase =
        2.0 * std::numbers::pi * (from_hz * t + (to_hz - from_hz) * t * t / (2.0 * seconds));
    const double fade = std::sin(std::numbers::pi * t / seconds);
    samples[i] = static_cast<float>(0.5 * fade * std::sin(phase));
  }
  return samples;
}

// The values that 16 bits hold.
inline std::vector<float> as_16_bit(std::vector<float> samples) {
  for (float& sample : samples) sample = std::round(sample * 32768.0f) / 32768.0f;
  return samples;
}

class Bytes {
 public:
  template <class T>
  Bytes& number(T value) {
    const auto* begin = reinterpret_cast<const std::byte*>(&value);
    bytes.insert(bytes.end(), begin, begin + sizeof value);
    return *this;
  }
  Bytes& u16(unsigned value) { return number(static_cast<std::uint16_t>(value)); }
  Bytes& u32(std::uint64_t value) { return number(static_cast<std::uint32_t>(value)); }
  Bytes& text(std::string_view text) {
    for (const char c : text) bytes.push_back(static_cast<std::byte>(c));
    return *this;
  }
  Bytes& add(const std::vector<std::byte>& more) {
    bytes.insert(bytes.end(), more.begin(), more.end());
    return *this;
  }
  Bytes& chunk(std::string_view name, const std::vector<std::byte>& content) {
    text(name).u32(content.size()).add(content);
    if (content.size() % 2 != 0) number(std::uint8_t{0});
    return *this;
  }

  std::vector<std::byte> bytes;
};

// One flavour of WAV: every field can be what it should not be.
struct WavSpec {
  unsigned tag = 1, bits = 16, n_channels = 1;
  std::uint64_t rate = 16'000;
  bool extensible = false;
  unsigned valid_bits = 0;         // of extensible; 0: all
  std::string_view riff = "RIFF";  // or RF64, with ds64
  std::int64_t riff_size = -1;     // −1: right
  std::int64_t data_size = -1;     // −1: right
  std::int64_t ds64_data_size = -1;
  std::int64_t block_align = -1;   // −1: right
  std::vector<std::byte> before;   // whole chunks before fmt
  std::vector<std::byte> between;  // … between fmt and data
  std::vector<std::byte> after;    // … after data
};

inline std::uint8_t mu_law_of(float sample) {
  const int pcm = static_cast<int>(std::lround(sample * 32767.0f));
  const int sign = pcm < 0 ? 0x80 : 0;
  const int magnitude = std::min(std::abs(pcm), 32'635) + 0x84;
  int exponent = 7;
  while (exponent > 0 && (magnitude & (0x80 << exponent)) == 0) --exponent;
  return static_cast<std::uint8_t>(~(sign | exponent << 4 | (magnitude >> (exponent + 3) & 15)));
}

inline std::uint8_t a_law_of(float sample) {
  const int pcm = static_cast<int>(std::lround(sample * 32767.0f));
  const int sign = pcm >= 0 ? 0x80 : 0;
  const int magnitude = std::min(pcm >= 0 ? pcm : -pcm - 1, 32'635);
  int exponent = 7;
  while (exponent > 0 && (magnitude & (0x80 << exponent)) == 0) --exponent;
  const int mantissa = exponent == 0 ? magnitude >> 4 & 15 : magnitude >> (exponent + 3) & 15;
  return static_cast<std::uint8_t>((sign | exponent << 4 | mantissa) ^ 0x55);
}

inline std::vector<std::byte> encode_samples(const WavSpec& spec,
                                             const std::vector<float>& interleaved) {
  Bytes out;
  for (const float sample : interleaved) {
    const double s = sample;
    if (spec.tag == 7) {
      out.number(mu_law_of(sample));
    } else if (spec.tag == 6) {
      out.number(a_law_of(sample));
    } else if (spec.tag == 3 && spec.bits == 64) {
      out.number(s);
    } else if (spec.tag == 3) {
      out.number(sample);
    } else if (spec.bits == 8) {
      out.number(static_cast<std::uint8_t>(std::lround(s * 128.0) + 128));
    } else if (spec.bits == 24) {
      const auto value = static_cast<std::uint32_t>(std::lround(s * 8'388'608.0));
      for (int shift = 0; shift < 24; shift += 8) {
        out.number(static_cast<std::uint8_t>(value >> shift));
      }
    } else if (spec.bits == 32) {
      out.number(static_cast<std::int32_t>(std::llround(s * 2'147'483'648.0)));
    } else {
      out.number(static_cast<std::int16_t>(std::lround(s * 32'768.0)));
    }
  }
  return out.bytes;
}

inline std::vector<std::byte> format_chunk(const WavSpec& spec) {
  const unsigned block_align = spec.n_channels * spec.bits / 8;
  Bytes format;
  format.u16(spec.extensible ? 0xFFFE : spec.tag).u16(spec.n_channels).u32(spec.rate);
  format.u32(spec.rate * block_align);
  format.u16(spec.block_align < 0 ? block_align : static_cast<unsigned>(spec.block_align));
  format.u16(spec.bits);
  if (spec.extensible) {
    format.u16(22).u16(spec.valid_bits != 0 ? spec.valid_bits : spec.bits).u32(0).u16(spec.tag);
    for (const unsigned byte :
         {0x00, 0x00, 0x00, 0x00, 0x10, 0x00, 0x80, 0x00, 0x00, 0xAA, 0x00, 0x38, 0x9B, 0x71}) {
      format.number(static_cast<std::uint8_t>(byte));
    }
  }
  return format.bytes;
}

// A file around sample bytes.
inline std::vector<std::byte> wrap_wav(const WavSpec& spec, const std::vector<std::byte>& data) {
  const bool is_64_bit = spec.riff != "RIFF";
  Bytes chunks;
  if (is_64_bit) {
    Bytes ds64;
    ds64.number(std::uint64_t{0});
    ds64.number(spec.ds64_data_size < 0 ? std::uint64_t{data.size()}
                                        : static_cast<std::uint64_t>(spec.ds64_data_size));
    ds64.number(std::uint64_t{0}).u32(0);
    chunks.chunk("ds64", ds64.bytes);
  }
  chunks.add(spec.before).chunk("fmt ", format_chunk(spec)).add(spec.between);
  const std::uint64_t unknown = 0xFFFF'FFFF;
  const std::uint64_t right_size = is_64_bit ? unknown : data.size();
  chunks.text("data").u32(spec.data_size < 0 ? right_size
                                             : static_cast<std::uint64_t>(spec.data_size));
  chunks.add(data);
  if (data.size() % 2 != 0 && !spec.after.empty()) chunks.number(std::uint8_t{0});
  chunks.add(spec.after);

  Bytes file;
  const std::uint64_t riff_size = is_64_bit ? unknown : chunks.bytes.size() + 4;
  file.text(spec.riff).u32(spec.riff_size < 0 ? riff_size
                                              : static_cast<std::uint64_t>(spec.riff_size));
  return file.text("WAVE").add(chunks.bytes).bytes;
}

inline std::vector<std::byte> make_wav(const WavSpec& spec, const std::vector<float>& interleaved) {
  return wrap_wav(spec, encode_samples(spec, interleaved));
}

// Mono, 16 bits, 16 kHz.
inline std::vector<std::byte> make_wav(const std::vector<float>& samples) {
  return make_wav(WavSpec{}, samples);
}

}  // namespace fourfold::test_sound
