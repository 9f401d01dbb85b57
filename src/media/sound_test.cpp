#include "media/sound.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/result.h"
#include "media/log_mel.h"
#include "media/sound_readers.h"
#include "media/test_sound.h"

namespace fourfold {
namespace {

using test_sound::as_16_bit;
using test_sound::make_wav;
using test_sound::noise;
using test_sound::sweep;
using test_sound::tone;
using test_sound::WavSpec;
using testing::HasSubstr;

constexpr std::int64_t kPlenty = 100'000'000;

std::vector<float> decoded(const std::vector<std::byte>& file) {
  auto samples = decode_sound(file, {}, kPlenty);
  EXPECT_TRUE(samples.ok()) << samples.error().message;
  return samples.ok() ? std::move(*samples) : std::vector<float>();
}

std::string error_of(const std::vector<std::byte>& file, const SoundLimits& limits = {}) {
  const auto samples = decode_sound(file, limits, kPlenty);
  EXPECT_FALSE(samples.ok());
  return samples.ok() ? "" : samples.error().message;
}

float largest_difference(std::span<const float> a, std::span<const float> b) {
  EXPECT_EQ(a.size(), b.size());
  float largest = 0.0f;
  for (std::size_t i = 0; i < std::min(a.size(), b.size()); ++i) {
    largest = std::max(largest, std::abs(a[i] - b[i]));
  }
  return largest;
}

float mean_difference(std::span<const float> a, std::span<const float> b) {
  EXPECT_EQ(a.size(), b.size());
  double sum = 0.0;
  for (std::size_t i = 0; i < std::min(a.size(), b.size()); ++i) sum += std::abs(a[i] - b[i]);
  return static_cast<float>(sum / static_cast<double>(a.size()));
}

std::vector<float> interleaved(const std::vector<std::vector<float>>& channels) {
  std::vector<float> samples;
  for (std::size_t i = 0; i < channels[0].size(); ++i) {
    for (const auto& channel : channels) samples.push_back(channel[i]);
  }
  return samples;
}

std::vector<std::byte> chunk(std::string_view name, std::size_t size) {
  return test_sound::Bytes().chunk(name, std::vector<std::byte>(size, std::byte{0x7F})).bytes;
}

struct Flavour {
  const char* name;
  WavSpec spec;
  float samples_tolerance = 0.0f;  // 0: a form that holds 16 bits
};

std::vector<Flavour> flavours() {
  const float kLawSteps = 0.02f;  // of the largest segment of G.711
  return {
      {"pcm16", {}},
      {"pcm8", {.bits = 8}, 1.0f / 256},
      {"pcm24", {.bits = 24}},
      {"pcm32", {.bits = 32}},
      {"float32", {.tag = 3, .bits = 32}},
      {"float64", {.tag = 3, .bits = 64}},
      {"extensible16", {.extensible = true}},
      {"extensible24", {.bits = 24, .extensible = true}},
      {"extensible32", {.bits = 32, .extensible = true}},
      {"extensible24In32", {.bits = 32, .extensible = true, .valid_bits = 24}},
      {"extensibleFloat32", {.tag = 3, .bits = 32, .extensible = true}},
      {"muLaw", {.tag = 7, .bits = 8}, kLawSteps},
      {"aLaw", {.tag = 6, .bits = 8}, kLawSteps},
      {"chunkBeforeFmt", {.before = chunk("bext", 602)}},
      {"oddChunkBetween", {.between = chunk("LIST", 35)}},
      {"emptyChunkBetween", {.between = chunk("fact", 0)}},
      {"chunksAfterData", {.after = chunk("LIST", 1001)}},
      {"riffSize0", {.riff_size = 0, .data_size = 0}},
      {"riffSizeAllOnes", {.riff_size = 0xFFFFFFFF, .data_size = 0xFFFFFFFF}},
      {"riffSizeTooSmall", {.riff_size = 36}},
      {"dataSizeOfSoxPipe", {.riff_size = 0x7FFFF024, .data_size = 0x7FFFF000}},
      {"rf64", {.riff = "RF64"}},
      {"bw64Float", {.tag = 3, .bits = 32, .riff = "BW64"}},
      {"rf64UnknownLength", {.riff = "RF64", .ds64_data_size = 0}},
      {"rf64PlainDataSize", {.riff = "RF64", .data_size = 32'000}},
  };
}

class WavFlavour : public testing::TestWithParam<Flavour> {};

TEST_P(WavFlavour, GivesTheFeaturesOfThe16BitFile) {
  // With a little noise, so that no bin is empty but for the rounding of the samples.
  auto samples = tone(440.0, 16'000);
  const auto hiss = noise(samples.size(), 0.1);
  for (std::size_t i = 0; i < samples.size(); ++i) samples[i] += hiss[i];
  samples = as_16_bit(samples);
  const auto got = decoded(make_wav(GetParam().spec, samples));
  ASSERT_EQ(got.size(), samples.size());
  EXPECT_LE(largest_difference(got, samples), GetParam().samples_tolerance);
  const auto mel = log_mel(got), expected = log_mel(samples);
  if (GetParam().samples_tolerance == 0.0f) {
    EXPECT_LE(largest_difference(mel, expected), 2e-3f);
  } else {
    EXPECT_LE(mean_difference(mel, expected), 0.6f);
  }
}

TEST_P(WavFlavour, KeepsTheOrderOfChannels) {
  WavSpec spec = GetParam().spec;
  spec.n_channels = 3;
  if (spec.data_size == 32'000) spec.data_size = 3 * 800 * 2;
  const auto all = interleaved({as_16_bit(noise(800, 0.4, 1)), as_16_bit(noise(800, 0.4, 2)),
                                as_16_bit(noise(800, 0.4, 3))});
  const auto file = make_wav(spec, all);
  const auto source = open_wav(file, {});
  ASSERT_TRUE(source.ok()) << source.error().message;
  EXPECT_EQ((*source)->info().n_channels, 3);
  EXPECT_EQ((*source)->info().n_samples, 800);
  std::vector<float> got(all.size());
  ASSERT_EQ(*(*source)->read(got), 800u);
  EXPECT_LE(largest_difference(got, all), GetParam().samples_tolerance);
}

INSTANTIATE_TEST_SUITE_P(All, WavFlavour, testing::ValuesIn(flavours()),
                         [](const auto& row) { return std::string(row.param.name); });

TEST(WavValues, AreScaledByPowersOfTwo) {
  test_sound::Bytes data;
  data.u16(0x8000).u16(0x7FFF).u16(0).u16(1);
  auto padded = data.bytes;
  EXPECT_EQ(decoded(test_sound::wrap_wav({}, padded)),
            (std::vector<float>{-1.0f, 32767.0f / 32768.0f, 0.0f, 1.0f / 32768.0f}));

  test_sound::Bytes bytes;
  for (const unsigned value : {0u, 128u, 255u}) bytes.number(static_cast<std::uint8_t>(value));
  EXPECT_EQ(decoded(test_sound::wrap_wav({.bits = 8}, bytes.bytes)),
            (std::vector<float>{-1.0f, 0.0f, 127.0f / 128.0f}));

  // The anchors of G.711: silence, and the largest values of both signs.
  test_sound::Bytes law;
  for (const unsigned value : {0xFFu, 0x7Fu, 0x80u, 0x00u}) {
    law.number(static_cast<std::uint8_t>(value));
  }
  EXPECT_EQ(decoded(test_sound::wrap_wav({.tag = 7, .bits = 8}, law.bytes)),
            (std::vector<float>{0.0f, 0.0f, 32124.0f / 32768.0f, -32124.0f / 32768.0f}));
  test_sound::Bytes a_law;
  for (const unsigned value : {0xD5u, 0x55u, 0xAAu, 0x2Au}) {
    a_law.number(static_cast<std::uint8_t>(value));
  }
  EXPECT_EQ(decoded(test_sound::wrap_wav({.tag = 6, .bits = 8}, a_law.bytes)),
            (std::vector<float>{8.0f / 32768.0f, -8.0f / 32768.0f, 32256.0f / 32768.0f,
                                -32256.0f / 32768.0f}));
}

TEST(WavValues, FloatsBeyondFullScaleAreKept) {
  const std::vector<float> loud = {2.0f, -3.5f, 0.25f};
  EXPECT_EQ(decoded(make_wav({.tag = 3, .bits = 32}, loud)), loud);
}

TEST(WavFile, DecodesToTheSameBits) {
  const auto samples = noise(5'000, 1.3);
  const std::string file = wav_file(samples);
  EXPECT_EQ(*decode_sound(std::as_bytes(std::span(file)), {}, kPlenty), samples);
}

struct Damage {
  const char* name;
  WavSpec spec;
  std::string message;
  float sample = 0.1f;
};

std::vector<Damage> damages() {
  const float kNan = std::numeric_limits<float>::quiet_NaN();
  const float kInfinity = std::numeric_limits<float>::infinity();
  return {
      {"zeroChannels", {.n_channels = 0}, "fmt chunk: 0 channels"},
      {"nineChannels", {.n_channels = 9}, "9 channels, expected 1 to 8"},
      {"zeroRate", {.rate = 0}, "sample rate of 0 Hz"},
      {"lowRate", {.rate = 3'999}, "sample rate of 3999 Hz, expected 4000 to 384000"},
      {"highRate", {.rate = 384'001}, "sample rate of 384001 Hz"},
      {"rateAllOnes", {.rate = 0xFFFFFFFF}, "sample rate of 4294967295 Hz"},
      {"zeroBlockAlign", {.block_align = 0}, "block align 0, expected 2"},
      {"wrongBlockAlign", {.block_align = 4}, "block align 4, expected 2"},
      {"twelveBits", {.bits = 12}, "12 bits per sample, expected 8, 16, 24 or 32"},
      {"zeroBits", {.bits = 0}, "0 bits per sample"},
      {"halfFloat", {.tag = 3, .bits = 16}, "16 bits per sample, expected 32 or 64"},
      {"wideLaw", {.tag = 7, .bits = 16}, "16 bits per sample, expected 8 of mu-law"},
      {"microsoftAdpcm", {.tag = 2}, "format tag 0x0002 (Microsoft ADPCM)"},
      {"imaAdpcm", {.tag = 0x11}, "format tag 0x0011 (IMA ADPCM)"},
      {"mp3InWav", {.tag = 0x55}, "format tag 0x0055 (MP3)"},
      {"unknownTag", {.tag = 0x1234}, "format tag 0x1234, expected PCM"},
      {"extensibleTag", {.tag = 0x1234, .extensible = true}, "format tag 0x1234"},
      {"bigEndian", {.riff = "RIFX"}, "RIFX (big-endian) is not supported"},
      {"dataTooLarge", {.data_size = 100'000}, "data chunk: 100000 bytes claimed, the file has 32"},
      {"ds64TooLarge",
       {.riff = "RF64", .ds64_data_size = 1'000'000'000'000},
       "data chunk: 1000000000000 bytes claimed"},
      {"notANumber", {.tag = 3, .bits = 32}, "sample 0 of channel 1 is nan", kNan},
      {"infinity", {.tag = 3, .bits = 64}, "sample 0 of channel 1 is inf", kInfinity},
      {"absurdlyLoud", {.tag = 3, .bits = 32}, "sample 0 of channel 1 is 1e+35", 1e35f},
  };
}

class DamagedWav : public testing::TestWithParam<Damage> {};

TEST_P(DamagedWav, IsRefusedByName) {
  const std::vector<float> samples(16, GetParam().sample);
  const auto message = error_of(make_wav(GetParam().spec, samples));
  EXPECT_THAT(message, HasSubstr("wav: "));
  EXPECT_THAT(message, HasSubstr(GetParam().message));
}

INSTANTIATE_TEST_SUITE_P(All, DamagedWav, testing::ValuesIn(damages()),
                         [](const auto& row) { return std::string(row.param.name); });

TEST(DamagedWavFile, WithoutSoundIsRefused) {
  EXPECT_THAT(error_of(make_wav({})), HasSubstr("wav: data chunk: no samples"));
  EXPECT_THAT(error_of(test_sound::wrap_wav({}, {std::byte{1}})), HasSubstr("wav: no samples"));
  EXPECT_THAT(error_of({}), HasSubstr("an empty file"));
}

TEST(DamagedWavFile, SaysWhichChunkIsMissing) {
  auto file = make_wav(tone(440.0, 100));
  const std::vector<std::byte> header(file.begin(), file.begin() + 12);
  EXPECT_THAT(error_of(header), HasSubstr("the file ends before its fmt chunk"));
  const std::vector<std::byte> with_format(file.begin(), file.begin() + 36);
  EXPECT_THAT(error_of(with_format), HasSubstr("the file ends before its data chunk"));
  const std::vector<std::byte> cut(file.begin(), file.begin() + 30);
  EXPECT_THAT(error_of(cut), HasSubstr("fmt  chunk: 16 bytes claimed, the file has 10 more"));
  file[12] = std::byte{'x'};
  EXPECT_THAT(error_of(file), HasSubstr("no fmt chunk before the data chunk"));
}

TEST(DamagedWavFile, AShortFormatChunkIsRefused) {
  test_sound::Bytes file;
  file.text("RIFF").u32(0).text("WAVE").chunk("fmt ", std::vector<std::byte>(14));
  EXPECT_THAT(error_of(file.bytes), HasSubstr("fmt chunk: 14 bytes, expected at least 16"));

  WavSpec spec = {.extensible = true};
  auto format = test_sound::format_chunk(spec);
  test_sound::Bytes unknown_guid;
  format.back() = std::byte{0};
  unknown_guid.text("RIFF").u32(0).text("WAVE").chunk("fmt ", format);
  EXPECT_THAT(error_of(unknown_guid.bytes), HasSubstr("unknown sub-format GUID"));
  format.resize(24);
  test_sound::Bytes short_extensible;
  short_extensible.text("RIFF").u32(0).text("WAVE").chunk("fmt ", format);
  EXPECT_THAT(error_of(short_extensible.bytes), HasSubstr("expected 40 with format tag 0xfffe"));
}

TEST(DamagedWavFile, AClaimIsComparedWithTheFileBeforeMemoryIsTaken) {
  const auto file = make_wav({.data_size = 0x7000'0000}, tone(440.0, 100));
  const auto message = error_of(file);
  EXPECT_THAT(message, HasSubstr("data chunk: 1879048192 bytes claimed, the file has 200 more"));
}

// Whatever is cut, flipped or claimed: a sound, or one line that says what is wrong.
TEST(HostileSound, GivesSamplesOrAnError) {
  std::vector<std::vector<std::byte>> files;
  for (const auto& flavour : flavours()) {
    const auto whole = make_wav(flavour.spec, as_16_bit(tone(440.0, 300)));
    for (std::size_t n = 0; n < std::min<std::size_t>(whole.size(), 128); n += 3) {
      files.emplace_back(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(n));
    }
    for (std::size_t at = 0; at < std::min<std::size_t>(whole.size(), 100); ++at) {
      for (const unsigned flip : {0x01u, 0x80u, 0xFFu}) {
        auto damaged = whole;
        damaged[at] ^= static_cast<std::byte>(flip);
        files.push_back(std::move(damaged));
      }
    }
  }
  const std::size_t n_made = files.size();
  ASSERT_GT(n_made, 5'000u);
  std::size_t n_read = 0;
  for (const auto& file : files) {
    const auto samples = decode_sound(file, {}, kPlenty);
    if (!samples.ok()) {
      EXPECT_FALSE(samples.error().message.empty());
      EXPECT_EQ(samples.error().message.find('\n'), std::string::npos);
      continue;
    }
    ++n_read;
    // The lowest rate makes four samples of one; a byte may hold one.
    EXPECT_LE(samples->size(), file.size() * 4);
    EXPECT_TRUE(std::all_of(samples->begin(), samples->end(),
                            [](float value) { return std::isfinite(value); }));
  }
  EXPECT_GT(n_read, 100u);
  EXPECT_LT(n_read, n_made);
}

TEST(HostileSound, RandomBytesBehindEveryMagicAreHandled) {
  using namespace std::string_view_literals;
  const std::string_view magics[] = {"RIFF\xff\xff\xff\xffWAVE"sv,
                                     "fLaC"sv,
                                     "OggS"sv,
                                     "ID3\x04"sv,
                                     "\xff\xfb\x90\x64"sv,
                                     "FORM\0\0\0\0AIFF"sv,
                                     "\0\0\0\x18"
                                     "ftypM4A "sv,
                                     "\x1a\x45\xdf\xa3"sv,
                                     "\xff\xf1\x50\x80"sv,
                                     ""sv};
  std::size_t n_refused = 0, n = 0;
  for (const auto magic : magics) {
    for (std::uint64_t seed = 0; seed < 20; ++seed, ++n) {
      test_sound::Bytes file;
      file.text(magic);
      for (std::uint64_t i = 0; i < 2'000; ++i) {
        file.number(static_cast<std::uint8_t>(uniform(seed, i) * 256.0));
      }
      const auto samples = decode_sound(file.bytes, {}, kPlenty);
      if (samples.ok()) continue;
      ++n_refused;
      EXPECT_FALSE(samples.error().message.empty());
    }
  }
  EXPECT_GT(n_refused, n / 2);
}

TEST(Mixing, IsThePlainMeanOfAllChannels) {
  for (unsigned n_channels = 1; n_channels <= 8; ++n_channels) {
    std::vector<std::vector<float>> channels;
    std::vector<float> mean(1'000, 0.0f);
    for (unsigned c = 0; c < n_channels; ++c) {
      channels.push_back(as_16_bit(noise(1'000, 0.9, c)));
      for (std::size_t i = 0; i < mean.size(); ++i) {
        mean[i] += channels.back()[i] / static_cast<float>(n_channels);
      }
    }
    const auto got = decoded(make_wav({.n_channels = n_channels}, interleaved(channels)));
    EXPECT_LE(largest_difference(got, mean), 1e-6f) << n_channels;
  }
}

TEST(Mixing, OneSilentChannelHalvesTheOther) {
  const auto left = as_16_bit(tone(500.0, 2'000));
  const auto got =
      decoded(make_wav({.n_channels = 2}, interleaved({left, std::vector<float>(2'000, 0.0f)})));
  ASSERT_EQ(got.size(), left.size());
  for (std::size_t i = 0; i < left.size(); ++i) EXPECT_EQ(got[i], left[i] / 2.0f);
}

std::vector<std::string> notes_of(const std::vector<std::byte>& file) {
  auto reader = SoundReader::open(file, {});
  EXPECT_TRUE(reader.ok());
  std::vector<float> samples(100'000);
  EXPECT_TRUE((*reader)->read(samples).ok());
  return (*reader)->notes();
}

TEST(Mixing, ChannelsThatCancelAreSilenceWithANote) {
  const auto left = as_16_bit(tone(500.0, 2'000));
  auto right = left;
  for (float& sample : right) sample = -sample;
  const auto file = make_wav({.n_channels = 2}, interleaved({left, right}));
  const auto got = decoded(file);
  EXPECT_TRUE(std::all_of(got.begin(), got.end(), [](float value) { return value == 0.0f; }));
  EXPECT_THAT(notes_of(file), testing::ElementsAre(HasSubstr("cancel each other")));

  const std::vector<float> silence(2'000, 0.0f);
  EXPECT_TRUE(notes_of(make_wav({.n_channels = 2}, interleaved({left, left}))).empty());
  EXPECT_TRUE(notes_of(make_wav({.n_channels = 2}, interleaved({left, silence}))).empty());
  EXPECT_TRUE(notes_of(make_wav({.n_channels = 2}, interleaved({silence, silence}))).empty());
}

TEST(Reading, DoesNotDependOnThePieces) {
  const auto file = make_wav({.n_channels = 2, .rate = 44'100}, noise(60'000, 0.5));
  const auto whole = decoded(file);
  for (const std::size_t piece : {1, 7, 4'096, 50'000}) {
    auto reader = SoundReader::open(file, {});
    ASSERT_TRUE(reader.ok());
    std::vector<float> all, part(piece);
    while (true) {
      const auto n = (*reader)->read(part);
      ASSERT_TRUE(n.ok());
      if (*n == 0) break;
      all.insert(all.end(), part.begin(), part.begin() + static_cast<std::ptrdiff_t>(*n));
    }
    EXPECT_EQ(all, whole) << piece;
    EXPECT_EQ(*(*reader)->read(part), 0u);
  }
}

TEST(Reading, SixteenKilohertzIsNotTouched) {
  const auto samples = as_16_bit(noise(12'345, 0.9));
  EXPECT_EQ(decoded(make_wav(samples)), samples);
}

TEST(SoundLimitsOf, FileLengthAndSamplesAreHeld) {
  const auto file = make_wav(tone(440.0, 32'000));
  EXPECT_THAT(error_of(file, {.file_bytes = 1'000}),
              HasSubstr("sound of 64044 bytes, the limit is 1000"));
  EXPECT_THAT(error_of(file, {.seconds = 1.5}), HasSubstr("wav: 2.0 s of sound, the limit is 1.5"));
  const auto samples = decode_sound(file, {}, 16'000);
  ASSERT_FALSE(samples.ok());
  EXPECT_EQ(samples.error().code, Code::ResourceExhausted);
  EXPECT_THAT(samples.error().message, HasSubstr("more than 1.0 s"));
}

TEST(SoundFormat, UnknownBytesAreNamed) {
  const auto text = test_sound::Bytes().text("hello, this is no sound at all").bytes;
  EXPECT_THAT(error_of(text), HasSubstr("not a sound file that we know"));
  const auto avi = test_sound::Bytes().text("RIFF    AVI LIST").bytes;
  EXPECT_THAT(error_of(avi), HasSubstr("not a sound file that we know"));
}

// Whether this build resamples.
bool can_resample() { return make_resampler(8'000).ok(); }

TEST(Resampling, LengthIsRoundedUp) {
  if (!can_resample()) GTEST_SKIP() << "no libsoxr";
  struct Row {
    std::uint64_t rate;
    std::size_t n, expected;
  };
  std::vector<Row> rows = {{44'100, 1'000, 363}, {44'100, 12'345, 4'479}, {44'100, 44'101, 16'001}};
  for (const std::uint64_t rate : {4'000, 8'000, 11'025, 12'000, 22'050, 24'000, 32'000, 44'100,
                                   48'000, 88'200, 96'000, 192'000, 384'000, 15'999, 16'001}) {
    for (const std::size_t n : {1, 2, 3, 100, 1'001, 4'096, 4'097, 20'000}) {
      rows.push_back({rate, n, (n * 16'000 + rate - 1) / rate});
    }
  }
  for (const auto& row : rows) {
    EXPECT_EQ(decoded(make_wav({.rate = row.rate}, noise(row.n, 0.5))).size(), row.expected)
        << row.rate << " " << row.n;
  }
}

// A sweep at another rate is the sweep at 16 kHz: same length, no shift, the same features in the
// band that both have.
class ResampledSweep : public testing::TestWithParam<int> {};

TEST_P(ResampledSweep, IsTheSweepAt16Kilohertz) {
  if (!can_resample()) GTEST_SKIP() << "no libsoxr";
  const double rate = GetParam();
  const double top = 0.45 * std::min(rate, 16'000.0);
  const auto expected = sweep(100.0, top, 2.0, 16'000.0);
  const auto source = sweep(100.0, top, 2.0, rate);
  const WavSpec mono = {.tag = 3, .bits = 32, .rate = static_cast<std::uint64_t>(rate)};
  WavSpec stereo = mono;
  stereo.n_channels = 2;
  const auto got = decoded(make_wav(mono, source));
  ASSERT_EQ(got.size(), expected.size());
  EXPECT_LE(largest_difference(got, expected), 2e-3f);
  EXPECT_EQ(decoded(make_wav(stereo, interleaved({source, source}))), got);

  const auto mel = log_mel(got), expected_mel = log_mel(expected);
  ASSERT_EQ(mel.size(), expected_mel.size());
  // Bins whose triangles end below the band's upper edge.
  const double mel_top = 2595.0 * std::log10(1.0 + top / 700.0);
  const auto n_bins = static_cast<std::size_t>(mel_top / (2840.0230 / 129.0)) - 2;
  double sum = 0.0;
  std::size_t n = 0;
  for (std::size_t f = 0; f < mel.size() / 128; ++f) {
    for (std::size_t b = 0; b < n_bins; ++b, ++n) {
      sum += std::abs(mel[f * 128 + b] - expected_mel[f * 128 + b]);
    }
  }
  EXPECT_LE(sum / static_cast<double>(n), 0.15);
}

INSTANTIATE_TEST_SUITE_P(Rates, ResampledSweep,
                         testing::Values(8'000, 11'025, 12'000, 22'050, 24'000, 32'000, 44'100,
                                         48'000, 96'000));

TEST(Resampling, WhatLiesAboveTheBandIsGone) {
  if (!can_resample()) GTEST_SKIP() << "no libsoxr";
  const auto got = decoded(make_wav({.rate = 48'000}, tone(12'000.0, 48'000, 0.5, 48'000.0)));
  const auto middle = std::span(got).subspan(1'000, got.size() - 2'000);
  EXPECT_LE(largest_difference(middle, std::vector<float>(middle.size(), 0.0f)), 1e-4f);
}

TEST(Resampling, WithoutTheLibrarySaysWhatToInstall) {
  if (can_resample()) GTEST_SKIP() << "libsoxr is there";
  EXPECT_THAT(error_of(make_wav({.rate = 8'000}, tone(440.0, 800))), HasSubstr("libsoxr-dev"));
}

}  // namespace
}  // namespace fourfold
