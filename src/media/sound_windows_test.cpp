#include "media/sound_windows.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "media/sound.h"
#include "media/test_sound.h"

namespace fourfold {
namespace {

constexpr std::int64_t kSecond = kSampleRate;

// Syllables of 150 ms with 100 ms of faint breath between them.
std::vector<float> syllables(std::int64_t n) {
  auto samples = test_sound::noise(static_cast<std::size_t>(n), 0.3);
  for (std::size_t i = 0; i < samples.size(); ++i) {
    if (i % 4'000 >= 2'400) samples[i] *= 0.05f;
  }
  return samples;
}

// Speech of so many seconds, silent between the given times.
std::vector<float> talk(double seconds, std::vector<std::pair<double, double>> silences) {
  auto samples = syllables(static_cast<std::int64_t>(seconds * kSecond));
  for (const auto& [from, to] : silences) {
    std::fill(samples.begin() + static_cast<std::ptrdiff_t>(from * kSecond),
              samples.begin() + static_cast<std::ptrdiff_t>(to * kSecond), 0.0f);
  }
  return samples;
}

double seconds(std::int64_t samples) { return static_cast<double>(samples) / kSecond; }

// Every window begins where the one before ends, or 2 s earlier; none is too long or too short.
void expect_nothing_is_lost(const std::vector<SoundWindow>& windows, std::size_t n) {
  std::int64_t end = 0;
  for (const auto& window : windows) {
    EXPECT_EQ(window.first, window.overlaps ? end - kWindowOverlap : end);
    EXPECT_LE(window.last - window.first, kBlockSamples);
    EXPECT_GE(window.last - window.first, kLeastSamples);
    end = window.last;
  }
  EXPECT_EQ(end, static_cast<std::int64_t>(n));
}

TEST(CutSound, AClipOfOneBlockIsOneWindow) {
  for (const std::int64_t n : {std::int64_t{1}, std::int64_t{161}, 20 * kSecond, kBlockSamples}) {
    const auto windows = cut_sound(test_sound::noise(static_cast<std::size_t>(n), 0.3), true);
    ASSERT_EQ(windows.size(), 1u) << n;
    EXPECT_EQ(windows[0], (SoundWindow{.first = 0, .last = n}));
  }
  EXPECT_TRUE(cut_sound({}, true).empty());
}

TEST(CutSound, ASilentClipOfOneBlockIsNotMarked) {
  const auto windows = cut_sound(std::vector<float>(5 * kSecond, 0.0f), true);
  ASSERT_EQ(windows.size(), 1u);
  EXPECT_FALSE(windows[0].is_silent);
}

TEST(CutSound, CutsInTheMiddleOfTheLongestSilence) {
  const auto samples = talk(50, {{21, 21.4}, {24, 25}, {28, 28.6}});
  const auto windows = cut_sound(samples, true);
  ASSERT_EQ(windows.size(), 2u);
  EXPECT_NEAR(seconds(windows[0].last), 24.5, 0.06);
  EXPECT_FALSE(windows[1].overlaps);
  expect_nothing_is_lost(windows, samples.size());
}

TEST(CutSound, TheLastOfEquallyLongSilencesIsTaken) {
  const auto windows = cut_sound(talk(50, {{21, 21.5}, {26, 26.5}, {28, 28.3}}), true);
  ASSERT_EQ(windows.size(), 2u);
  EXPECT_NEAR(seconds(windows[0].last), 26.25, 0.06);
}

TEST(CutSound, SilencesBelow200MillisecondsAndBefore20SecondsDoNotCount) {
  const auto windows = cut_sound(talk(50, {{15, 19.5}, {22, 22.15}}), false);
  ASSERT_EQ(windows.size(), 2u);
  EXPECT_EQ(windows[0].last, kBlockSamples);
}

TEST(CutSound, ASilenceThatBeginsBefore20SecondsCountsFromThere) {
  const auto windows = cut_sound(talk(50, {{18, 22}}), true);
  ASSERT_EQ(windows.size(), 2u);
  EXPECT_NEAR(seconds(windows[0].last), 21.0, 0.03);
}

TEST(CutSound, QuietNoiseIsSilenceBesideLoudSpeech) {
  // A background at −40 dBFS is above −50 dBFS, but not 6 dB above the tenth percentile.
  auto samples = test_sound::noise(50 * kSecond, 0.017);
  const auto speech = talk(50, {{2, 6}, {23, 24}});
  for (std::size_t i = 0; i < samples.size(); ++i) samples[i] += speech[i];
  const auto windows = cut_sound(samples, true);
  ASSERT_EQ(windows.size(), 2u);
  EXPECT_NEAR(seconds(windows[0].last), 23.5, 0.06);
}

TEST(CutSound, WithoutSilenceTheNextWindowOverlapsWhereThatIsWanted) {
  const auto samples = talk(65, {});
  const auto apart = cut_sound(samples, false);
  ASSERT_EQ(apart.size(), 3u);
  EXPECT_EQ(apart[1].first, kBlockSamples);
  expect_nothing_is_lost(apart, samples.size());

  const auto over = cut_sound(samples, true);
  ASSERT_EQ(over.size(), 3u);
  EXPECT_EQ(over[1].first, kBlockSamples - kWindowOverlap);
  EXPECT_TRUE(over[0].is_overlapped);
  EXPECT_TRUE(over[1].overlaps);
  EXPECT_TRUE(over[1].is_overlapped);
  EXPECT_FALSE(over[2].is_overlapped);
  EXPECT_TRUE(over[2].overlaps);
  EXPECT_EQ(over[2].first, 2 * (kBlockSamples - kWindowOverlap));
  expect_nothing_is_lost(over, samples.size());
}

TEST(CutSound, ARestTooShortForABlockTakesSomeOfTheWindowBefore) {
  for (const std::int64_t rest : {std::int64_t{1}, std::int64_t{100}, std::int64_t{160}}) {
    const auto samples = syllables(kBlockSamples + rest);
    const auto windows = cut_sound(samples, false);
    ASSERT_EQ(windows.size(), 2u) << rest;
    EXPECT_EQ(windows[0].last, kBlockSamples - 1'000);
    EXPECT_EQ(windows[1].last - windows[1].first, 1'000 + rest);
    expect_nothing_is_lost(windows, samples.size());
  }
  const auto enough = cut_sound(syllables(kBlockSamples + 161), false);
  ASSERT_EQ(enough.size(), 2u);
  EXPECT_EQ(enough[0].last, kBlockSamples);
}

TEST(CutSound, WindowsOfALongClipThatAreNeverHeardAreSilent) {
  auto samples = talk(100, {{28, 90}});
  // Far below −50 dBFS, but not nothing.
  const auto faint = test_sound::noise(samples.size(), 0.001);
  for (std::size_t i = 0; i < samples.size(); ++i) samples[i] += faint[i];
  const auto windows = cut_sound(samples, true);
  ASSERT_EQ(windows.size(), 4u);
  EXPECT_FALSE(windows[0].is_silent);  // 0 to 29 s
  EXPECT_TRUE(windows[1].is_silent);   // to 54 s: all of it is silence, so it is cut in the middle
  EXPECT_TRUE(windows[2].is_silent);   // to 79 s
  EXPECT_FALSE(windows[3].is_silent);
  expect_nothing_is_lost(windows, samples.size());
}

TEST(SoundCutter, AnyPacketsGiveTheSameWindowsAndSamples) {
  const auto samples = talk(95, {{21, 22}, {47, 47.5}});
  const auto whole = cut_sound(samples, true);
  for (const std::size_t packet : {std::size_t{161}, std::size_t{16'000}, samples.size()}) {
    SoundCutter cutter(true);
    std::vector<SoundWindow> windows;
    SoundWindow window;
    std::vector<float> held;
    const auto take = [&] {
      while (cutter.next(window, held)) {
        windows.push_back(window);
        ASSERT_EQ(static_cast<std::int64_t>(held.size()), window.last - window.first);
        EXPECT_TRUE(std::equal(held.begin(), held.end(), samples.begin() + window.first));
      }
    };
    for (std::size_t at = 0; at < samples.size(); at += packet) {
      cutter.push(std::span(samples).subspan(at, std::min(packet, samples.size() - at)));
      take();
    }
    cutter.finish();
    take();
    EXPECT_EQ(windows, whole) << packet;
  }
}

TEST(SoundCutter, HandsOutAWindowBeforeTheEndIsKnown) {
  SoundCutter cutter(true);
  SoundWindow window;
  std::vector<float> samples;
  cutter.push(test_sound::noise(kBlockSamples + 160, 0.3));
  EXPECT_FALSE(cutter.next(window, samples));
  cutter.push(test_sound::noise(1, 0.3));
  EXPECT_TRUE(cutter.next(window, samples));
  EXPECT_FALSE(cutter.next(window, samples));
  cutter.finish();
  EXPECT_TRUE(cutter.next(window, samples));
  EXPECT_FALSE(cutter.next(window, samples));
}

TEST(SoundLevels, AreDecibelsOfFullScale) {
  const auto levels = sound_levels(test_sound::tone(1000.0, 16'000, 1.0));
  ASSERT_EQ(levels.size(), 98u);
  EXPECT_NEAR(levels[50], -3.01, 0.01);
  EXPECT_NEAR(sound_levels(std::vector<float>(480, 0.0f))[0], -120.0, 1e-9);
  EXPECT_EQ(sound_levels(std::vector<float>(100, 0.1f)).size(), 1u);
}

}  // namespace
}  // namespace fourfold
