#include "media/log_mel.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "base/mapped_file.h"
#include "media/fft.h"
#include "media/sound.h"
#include "media/test_arrays.h"
#include "media/test_sound.h"

namespace fourfold {
namespace {

using test_sound::noise;
using test_sound::tone;

const std::string kFrontEnd = "audio/frontend/";
const float kLogFloor = static_cast<float>(std::log(0.001));

std::vector<float> read_sound(const std::string& path) {
  const auto file = MappedFile::open(path);
  if (!file.ok()) {
    ADD_FAILURE() << file.error().message;
    return {};
  }
  auto samples = decode_sound((*file)->bytes(), {}, 1'000'000);
  EXPECT_TRUE(samples.ok()) << path << ": " << (samples.ok() ? "" : samples.error().message);
  return samples.ok() ? std::move(*samples) : std::vector<float>();
}

// Rows of `mel` beside those that the golden lists.
float largest_difference(const std::vector<float>& mel, const std::vector<float>& expected,
                         const std::vector<std::int32_t>& frames) {
  float largest = 0.0f;
  for (std::size_t r = 0; r < frames.size(); ++r) {
    for (std::size_t b = 0; b < std::size_t{kMelBins}; ++b) {
      const std::size_t row = static_cast<std::size_t>(frames[r]);
      largest = std::max(largest, std::abs(mel[row * kMelBins + b] - expected[r * kMelBins + b]));
    }
  }
  return largest;
}

class FrontEndGolden : public testing::TestWithParam<const char*> {};

TEST_P(FrontEndGolden, IsReproduced) {
  const std::string folder = golden_path(kFrontEnd + GetParam());
  const auto about = read_case(folder + "/case.json");
  const TestArrays expected(folder + "/expected.safetensors");
  auto samples = read_sound(folder + "/audio.wav");
  ASSERT_EQ(samples.size(), static_cast<std::size_t>(number_of(about, "samples")));
  samples.resize(std::min(samples.size(), static_cast<std::size_t>(kBlockSamples)));

  const auto mel = log_mel(samples);
  const auto n_frames = static_cast<std::int64_t>(mel.size()) / kMelBins;
  EXPECT_EQ(n_frames, static_cast<std::int64_t>(number_of(about, "frames_valid")));
  EXPECT_EQ(audio_soft_tokens(n_frames),
            static_cast<std::int64_t>(number_of(about, "soft_tokens")));
  const auto mask = expected.ints("mask");
  EXPECT_EQ(std::count(mask.begin(), mask.end(), 1), n_frames);

  const auto tolerance = static_cast<float>(number_of(about, "tolerance"));
  EXPECT_LE(largest_difference(mel, expected.floats("features"), expected.ints("frames")),
            std::min(tolerance, 1e-5f));
  const auto means = expected.floats("column_mean");
  for (std::size_t b = 0; b < std::size_t{kMelBins} && n_frames > 0; ++b) {
    double sum = 0.0;
    for (std::int64_t f = 0; f < n_frames; ++f) sum += mel[static_cast<std::size_t>(f) * 128 + b];
    EXPECT_NEAR(sum / static_cast<double>(n_frames), means[b], tolerance) << "bin " << b;
  }
}

INSTANTIATE_TEST_SUITE_P(Cases, FrontEndGolden,
                         testing::Values("chirp", "clipped", "dc", "faint", "impulse0",
                                         "impulse1000", "loud", "low", "n1", "n160", "n161", "n320",
                                         "n321", "n480", "n481", "n641", "n801", "nyquist", "s30",
                                         "s31", "silence", "sine1k", "speech1", "speech2", "voiced",
                                         "white"),
                         [](const auto& row) { return std::string(row.param); });

TEST(FrontEndGoldenBatch, ClipsOfABatchAreAsAlone) {
  const std::string folder = golden_path(kFrontEnd + "batch");
  const auto about = read_case(folder + "/case.json");
  const TestArrays expected(folder + "/expected.safetensors");
  const auto features = expected.floats("features");
  const auto n_padded = static_cast<std::size_t>(number_of(about, "frames_padded"));
  const auto n_valid = numbers_of(about.find("frames_valid"));
  for (std::size_t i = 0; i < 3; ++i) {
    const auto mel = log_mel(read_sound(folder + "/" + about.find("input")->items.at(i).text));
    ASSERT_EQ(mel.size() / kMelBins, static_cast<std::size_t>(n_valid.at(i)));
    for (std::size_t j = 0; j < mel.size(); ++j) {
      ASSERT_NEAR(mel[j], features[i * n_padded * kMelBins + j], 1e-5f) << i << " " << j;
    }
  }
}

TEST(MelFrames, CountsAreThoseOfTheReference) {
  const TestArrays counts(golden_path(kFrontEnd + "counts.safetensors"));
  const auto samples = counts.ints("samples");
  const auto frames = counts.ints("frames");
  const auto tokens = counts.ints("tokens");
  ASSERT_GT(samples.size(), 2000u);
  for (std::size_t i = 0; i < samples.size(); ++i) {
    const std::int64_t n = std::min<std::int64_t>(samples[i], kBlockSamples);
    EXPECT_EQ(mel_frames(n), frames[i]) << samples[i];
    EXPECT_EQ(std::min<std::int64_t>(audio_soft_tokens(mel_frames(n)), 750), tokens[i])
        << samples[i];
  }
}

TEST(MelFrames, AreWhatLogMelGives) {
  const auto samples = noise(2000, 0.1);
  for (std::size_t n = 0; n <= samples.size(); ++n) {
    const auto mel = log_mel(std::span(samples).first(n));
    ASSERT_EQ(mel.size(), static_cast<std::size_t>(mel_frames(static_cast<std::int64_t>(n))) * 128)
        << n;
  }
}

TEST(MelConstants, WindowIsAPeriodicHann) {
  const auto window = mel_window();
  ASSERT_EQ(window.size(), 320u);
  EXPECT_EQ(window[0], 0.0f);
  EXPECT_EQ(window[160], 1.0f);
  for (std::size_t n = 1; n < 320; ++n) EXPECT_EQ(window[n], window[320 - n]) << n;
}

// The reference counts one more: its last corner lies at 8000.000000000002 Hz, which leaves bin 256
// a weight of 1e-14.
TEST(MelConstants, BankHas505WeightsAndAnEmptyFirstFilter) {
  const auto filters = mel_filters();
  ASSERT_EQ(filters.size(), 128u * 257u);
  EXPECT_EQ(std::count_if(filters.begin(), filters.end(), [](float w) { return w > 1e-9f; }), 505);
  EXPECT_TRUE(std::all_of(filters.begin(), filters.begin() + 257, [](float w) { return w == 0; }));
  // Filters 1 and 2 touch only bin 1, at 31.25 Hz: p_1 = 13.8088, p_2 = 27.8901, p_3 = 42.2491.
  EXPECT_NEAR(filters[1 * 257 + 1], (42.2491 - 31.25) / (42.2491 - 27.8901), 1e-5);
  EXPECT_NEAR(filters[2 * 257 + 1], (31.25 - 27.8901) / (42.2491 - 27.8901), 1e-5);
  // The last one begins at p_127 = 7666.648 Hz: bin 245 lies below it, 246 above.
  EXPECT_EQ(filters[127 * 257 + 245], 0.0f);
  EXPECT_GT(filters[127 * 257 + 246], 0.0f);
}

TEST(LogMelOf, SilenceIsTheFloorInEveryBin) {
  const auto mel = log_mel(std::vector<float>(5'000, 0.0f));
  ASSERT_FALSE(mel.empty());
  EXPECT_TRUE(std::all_of(mel.begin(), mel.end(), [](float v) { return v == kLogFloor; }));
  EXPECT_NEAR(kLogFloor, -6.907755f, 1e-6f);
}

TEST(LogMelOf, KilohertzPeaksAtBin44) {
  const auto mel = log_mel(tone(1000.0, 3'200, 1.0));
  const auto row = mel.begin() + 10 * kMelBins;
  EXPECT_EQ(std::max_element(row, row + kMelBins) - row, 44);
  EXPECT_NEAR(row[44], 4.32f, 0.01f);
  EXPECT_NEAR(row[45], 4.30f, 0.01f);
  EXPECT_NEAR(row[43], 3.82f, 0.01f);
}

TEST(StreamingLogMel, AnyPacketsGiveTheBitsOfTheWhole) {
  const auto samples = noise(40'000, 0.3, 7);
  const auto whole = log_mel(samples);
  for (const std::size_t packet : {1, 160, 161, 320, 640, 641, 8'320, 40'000}) {
    LogMel mel;
    std::vector<float> rows;
    for (std::size_t at = 0; at < samples.size(); at += packet) {
      const std::size_t n = std::min(packet, samples.size() - at);
      const auto before = static_cast<std::int64_t>(rows.size());
      const auto n_rows = mel.push(std::span(samples).subspan(at, n), rows);
      ASSERT_EQ(n_rows, (static_cast<std::int64_t>(rows.size()) - before) / kMelBins);
      ASSERT_EQ(rows.size() / kMelBins,
                static_cast<std::size_t>(mel_frames(static_cast<std::int64_t>(at + n))));
    }
    EXPECT_EQ(rows, whole) << packet;
  }
}

TEST(StreamingLogMel, RandomPacketsAndResetGiveTheBitsOfTheWhole) {
  const auto samples = noise(20'000, 0.3, 8);
  const auto whole = log_mel(samples);
  LogMel mel;
  for (std::uint64_t seed = 0; seed < 10; ++seed) {
    mel.reset();
    std::vector<float> rows;
    std::size_t at = 0;
    for (std::uint64_t i = 0; at < samples.size(); ++i) {
      const auto n =
          std::min(samples.size() - at, static_cast<std::size_t>(uniform(seed, i) * 900.0));
      mel.push(std::span(samples).subspan(at, n), rows);
      at += n;
    }
    EXPECT_EQ(rows, whole) << seed;
  }
}

TEST(RealFftOf512, IsTheTransformByDefinition) {
  const RealFft<512> fft;
  std::array<double, 512> signal;
  for (std::size_t n = 0; n < signal.size(); ++n) signal[n] = 2.0 * uniform(3, n) - 1.0;
  std::array<std::complex<double>, 257> bins;
  fft.transform(signal, bins);
  for (std::size_t k = 0; k < bins.size(); ++k) {
    std::complex<double> sum = 0.0;
    for (std::size_t n = 0; n < signal.size(); ++n) {
      sum += signal[n] *
             std::polar(1.0, -2.0 * std::numbers::pi * static_cast<double>(k * n % 512) / 512.0);
    }
    EXPECT_NEAR(bins[k].real(), sum.real(), 1e-12) << k;
    EXPECT_NEAR(bins[k].imag(), sum.imag(), 1e-12) << k;
  }
}

}  // namespace
}  // namespace fourfold
