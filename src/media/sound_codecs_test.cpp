// What libsndfile encodes is read back. Built where that library is there.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sndfile.h>

#include <algorithm>
#include <cmath>

#include "media/library_leaks.h"
#include "media/sound.h"
#include "media/test_sound.h"

namespace fourfold {
namespace {

using testing::HasSubstr;

struct Memory {
  std::vector<std::byte> bytes;
  sf_count_t at = 0;
};

sf_count_t memory_size(void* user) {
  return static_cast<sf_count_t>(static_cast<Memory*>(user)->bytes.size());
}
sf_count_t memory_tell(void* user) { return static_cast<Memory*>(user)->at; }
sf_count_t memory_seek(sf_count_t offset, int whence, void* user) {
  auto& memory = *static_cast<Memory*>(user);
  if (whence == SEEK_CUR) offset += memory.at;
  if (whence == SEEK_END) offset += memory_size(user);
  return memory.at = offset;
}
sf_count_t memory_write(const void* data, sf_count_t count, void* user) {
  auto& memory = *static_cast<Memory*>(user);
  const auto end = static_cast<std::size_t>(memory.at + count);
  if (memory.bytes.size() < end) memory.bytes.resize(end);
  std::memcpy(memory.bytes.data() + memory.at, data, static_cast<std::size_t>(count));
  memory.at += count;
  return count;
}
sf_count_t memory_read(void*, sf_count_t, void*) { return 0; }

std::vector<std::byte> encode(int format, int rate, int n_channels,
                              const std::vector<float>& interleaved) {
  SF_VIRTUAL_IO io = {.get_filelen = memory_size,
                      .seek = memory_seek,
                      .read = memory_read,
                      .write = memory_write,
                      .tell = memory_tell};
  SF_INFO info = {};
  info.format = format;
  info.samplerate = rate;
  info.channels = n_channels;
  Memory memory;
  SNDFILE* file = sf_open_virtual(&io, SFM_WRITE, &info, &memory);
  if (!file) {
    ADD_FAILURE() << sf_strerror(nullptr);
    return {};
  }
  // In pieces: the Vorbis encoder wants much stack for long ones.
  const auto n_frames = static_cast<sf_count_t>(interleaved.size()) / n_channels;
  for (sf_count_t at = 0; at < n_frames; at += 4'096) {
    const auto n = std::min<sf_count_t>(4'096, n_frames - at);
    EXPECT_EQ(sf_writef_float(file, interleaved.data() + at * n_channels, n), n);
  }
  sf_close(file);
  return memory.bytes;
}

struct Codec {
  const char* name;
  int format;
  std::string_view expected;
  double tolerance;  // root of the mean square of what is lost, beside that of the sound
};

const Codec kCodecs[] = {
    {"flac16", SF_FORMAT_FLAC | SF_FORMAT_PCM_16, "flac", 1e-4},
    {"flac24", SF_FORMAT_FLAC | SF_FORMAT_PCM_24, "flac", 1e-6},
    {"aiff", SF_FORMAT_AIFF | SF_FORMAT_PCM_16, "aiff", 1e-4},
    {"vorbis", SF_FORMAT_OGG | SF_FORMAT_VORBIS, "ogg", 0.1},
    {"opus", SF_FORMAT_OGG | SF_FORMAT_OPUS, "opus", 0.1},
    {"mp3", SF_FORMAT_MPEG | SF_FORMAT_MPEG_LAYER_III, "mp3", 0.1},
};

class SoundCodec : public testing::TestWithParam<Codec> {};

TEST_P(SoundCodec, IsReadBackInPlace) {
  const auto sound = test_sound::sweep(200.0, 2'500.0, 1.0, 48'000.0);
  const auto expected = test_sound::sweep(200.0, 2'500.0, 1.0, 16'000.0);
  std::vector<float> stereo;
  for (const float sample : sound) stereo.insert(stereo.end(), {sample, sample});
  const auto file = encode(GetParam().format, 48'000, 2, stereo);

  auto reader = SoundReader::open(file, {});
  ASSERT_TRUE(reader.ok()) << reader.error().message;
  EXPECT_EQ((*reader)->info().format, GetParam().expected);
  EXPECT_EQ((*reader)->info().n_channels, 2);
  EXPECT_EQ((*reader)->info().rate, 48'000);
  const auto samples = decode_sound(file, {}, 1'000'000);
  ASSERT_TRUE(samples.ok()) << samples.error().message;
  // A lossy codec may fill its last block.
  ASSERT_NEAR(static_cast<double>(samples->size()), static_cast<double>(expected.size()),
              GetParam().tolerance < 0.01 ? 0.0 : 800.0);
  double lost = 0.0, all = 0.0;
  for (std::size_t i = 0; i < std::min(samples->size(), expected.size()); ++i) {
    lost += std::pow((*samples)[i] - expected[i], 2);
    all += std::pow(expected[i], 2);
  }
  EXPECT_LE(std::sqrt(lost / all), GetParam().tolerance);
}

TEST_P(SoundCodec, CutAndFlippedFilesGiveSamplesOrAnError) {
  const auto sound = test_sound::sweep(200.0, 2'500.0, 0.3, 48'000.0);
  const auto whole = encode(GetParam().format, 48'000, 1, sound);
  std::size_t n_refused = 0, n_read = 0;
  const auto expect_handled = [&](std::span<const std::byte> file) {
    const auto samples = decode_sound(file, {}, 1'000'000);
    if (!samples.ok()) {
      ++n_refused;
      EXPECT_FALSE(samples.error().message.empty());
      EXPECT_EQ(samples.error().message.find('\n'), std::string::npos);
      return;
    }
    ++n_read;
    EXPECT_TRUE(std::all_of(samples->begin(), samples->end(),
                            [](float value) { return std::isfinite(value); }));
  };
  for (std::size_t i = 0; i < 40; ++i) {
    expect_handled(std::span(whole).first(whole.size() * i / 40));
    auto damaged = whole;
    const auto at = static_cast<std::size_t>(uniform(5, i) * static_cast<double>(whole.size()));
    damaged[at] ^= std::byte{0x55};
    if (i % 2 != 0) damaged[i] ^= std::byte{0x81};
    expect_handled(damaged);
  }
  EXPECT_GT(n_refused, 0u);
  EXPECT_EQ(n_refused + n_read, 80u);
}

INSTANTIATE_TEST_SUITE_P(All, SoundCodec, testing::ValuesIn(kCodecs),
                         [](const auto& row) { return std::string(row.param.name); });

TEST(CutFlac, SaysHowMuchIsMissing) {
  const auto whole =
      encode(SF_FORMAT_FLAC | SF_FORMAT_PCM_16, 16'000, 1, test_sound::noise(64'000, 0.5));
  const auto samples = decode_sound(std::span(whole).first(whole.size() / 2), {}, 1'000'000);
  ASSERT_FALSE(samples.ok());
  EXPECT_THAT(samples.error().message, HasSubstr("flac: "));
}

TEST(CodecLimits, ChannelsAndRatesAreThoseOfEverySound) {
  const auto one_channel_too_many =
      encode(SF_FORMAT_AIFF | SF_FORMAT_PCM_16, 16'000, 9, std::vector<float>(900, 0.1f));
  const auto too_slow =
      encode(SF_FORMAT_FLAC | SF_FORMAT_PCM_16, 2'000, 1, std::vector<float>(900, 0.1f));
  EXPECT_THAT(decode_sound(one_channel_too_many, {}, 10'000).error().message,
              HasSubstr("aiff: 9 channels, expected 1 to 8"));
  EXPECT_THAT(decode_sound(too_slow, {}, 10'000).error().message,
              HasSubstr("flac: sample rate of 2000 Hz, expected 4000 to 384000"));
}

TEST(CodecLimits, ALengthThatTheHeaderClaimsIsHeldToTheLimit) {
  const auto file =
      encode(SF_FORMAT_FLAC | SF_FORMAT_PCM_16, 16'000, 1, std::vector<float>(48'000, 0.0f));
  const auto reader = SoundReader::open(file, {.seconds = 2.0});
  ASSERT_FALSE(reader.ok());
  EXPECT_EQ(reader.error().code, Code::ResourceExhausted);
  EXPECT_THAT(reader.error().message, HasSubstr("flac: 3.0 s of sound, the limit is 2.0 s"));
}

}  // namespace
}  // namespace fourfold
