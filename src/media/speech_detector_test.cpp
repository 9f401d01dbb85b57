#include "media/speech_detector.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "media/sound.h"
#include "media/test_sound.h"

namespace fourfold {
namespace {

using Kind = SpeechEvent::Kind;

// Says what it was told, frame by frame; then nothing.
class ToldActivity final : public VoiceActivity {
 public:
  explicit ToldActivity(std::vector<float> probabilities)
      : probabilities_(std::move(probabilities)) {}
  float probability(std::span<const float> frame) override {
    EXPECT_EQ(frame.size(), kActivityFrame);
    return at_ < probabilities_.size() ? probabilities_[at_++] : 0.0f;
  }

 private:
  std::vector<float> probabilities_;
  std::size_t at_ = 0;
};

std::vector<SpeechEvent> events_of(VoiceActivity& activity, const std::vector<float>& samples,
                                   std::size_t packet = 512) {
  SpeechDetector detector(activity);
  std::vector<SpeechEvent> events;
  const auto take = [&] {
    while (const auto event = detector.next()) events.push_back(*event);
  };
  for (std::size_t at = 0; at < samples.size(); at += packet) {
    detector.push(std::span(samples).subspan(at, std::min(packet, samples.size() - at)));
    take();
  }
  detector.finish();
  take();
  return events;
}

std::vector<float> frames(std::size_t n) { return std::vector<float>(n * kActivityFrame, 0.0f); }

std::vector<float> told(std::vector<std::pair<std::size_t, float>> runs) {
  std::vector<float> out;
  for (const auto& [n, probability] : runs) out.insert(out.end(), n, probability);
  return out;
}

TEST(SpeechDetector, StartsWithThreeOfFourFramesAnd300MillisecondsBefore) {
  ToldActivity activity(told({{20, 0.0f}, {1, 0.6f}, {1, 0.1f}, {20, 0.9f}}));
  const auto events = events_of(activity, frames(100));
  ASSERT_EQ(events.size(), 2u);
  EXPECT_EQ(events[0],
            (SpeechEvent{.kind = Kind::Started, .at = 20 * 512 - 4'800, .known_at = 24 * 512}));
  // 700 ms are 22 frames, rounded up.
  EXPECT_EQ(events[1],
            (SpeechEvent{.kind = Kind::Ended, .at = 42 * 512, .known_at = (42 + 22) * 512}));
}

TEST(SpeechDetector, TwoOfFourFramesAreNoStart) {
  ToldActivity activity(told({{5, 0.0f}, {2, 0.9f}, {2, 0.1f}, {2, 0.9f}, {50, 0.4f}}));
  EXPECT_TRUE(events_of(activity, frames(100)).empty());
}

TEST(SpeechDetector, PausesBelow700MillisecondsAndDoubtfulFramesGoOn) {
  ToldActivity activity(
      told({{10, 0.0f}, {10, 0.9f}, {21, 0.1f}, {1, 0.36f}, {21, 0.1f}, {5, 0.9f}}));
  const auto events = events_of(activity, frames(120));
  ASSERT_EQ(events.size(), 2u);
  EXPECT_EQ(events[1].at, (10 + 10 + 21 + 1 + 21 + 5) * 512);
}

TEST(SpeechDetector, DoubtfulFramesDelayTheEndAndDoNotMoveIt) {
  ToldActivity activity(told({{10, 0.0f}, {20, 0.9f}, {5, 0.4f}}));
  const auto events = events_of(activity, frames(100));
  ASSERT_EQ(events.size(), 2u);
  EXPECT_EQ(events[1],
            (SpeechEvent{.kind = Kind::Ended, .at = 30 * 512, .known_at = (35 + 22) * 512}));
}

TEST(SpeechDetector, WhatIsShorterThan250MillisecondsIsDropped) {
  ToldActivity shorter(told({{10, 0.0f}, {7, 0.9f}}));
  const auto dropped = events_of(shorter, frames(60));
  ASSERT_EQ(dropped.size(), 2u);
  EXPECT_EQ(dropped[1].kind, Kind::Dropped);
  ToldActivity longer(told({{10, 0.0f}, {8, 0.9f}}));
  EXPECT_EQ(events_of(longer, frames(60)).back().kind, Kind::Ended);
}

TEST(SpeechDetector, AnUtteranceNeverReachesIntoTheOneBefore) {
  ToldActivity activity(told({{10, 0.9f}, {22, 0.0f}, {10, 0.9f}}));
  const auto events = events_of(activity, frames(100));
  ASSERT_EQ(events.size(), 4u);
  EXPECT_EQ(events[0].at, 0);
  EXPECT_EQ(events[1].at, 10 * 512);
  EXPECT_EQ(events[2].at, 32 * 512 - 4'800);
  EXPECT_GE(events[2].at, events[1].at);
}

TEST(SpeechDetector, TheEndOfTheInputEndsTheUtterance) {
  ToldActivity activity(told({{5, 0.0f}, {20, 0.9f}}));
  const auto events = events_of(activity, frames(25));
  ASSERT_EQ(events.size(), 2u);
  EXPECT_EQ(events[1], (SpeechEvent{.kind = Kind::Ended, .at = 25 * 512, .known_at = 25 * 512}));
}

// Syllables in a room of faint noise, from `from` to `to` seconds.
std::vector<float> speech(double length_s, double from, double to, double room) {
  auto samples = test_sound::noise(static_cast<std::size_t>(length_s * kSampleRate), room, 3);
  const auto voice = test_sound::tone(220.0, samples.size(), 0.2);
  const auto first = static_cast<std::size_t>(from * kSampleRate);
  const auto last = static_cast<std::size_t>(to * kSampleRate);
  for (std::size_t i = first; i < last; ++i) {
    if ((i - first) % 4'000 < 3'000) samples[i] += voice[i];
  }
  return samples;
}

TEST(LevelActivity, FindsBordersWithin250Milliseconds) {
  for (const double room : {0.0, 0.0005, 0.01}) {
    LevelActivity activity;
    const auto events = events_of(activity, speech(8.0, 3.0, 5.0, room));
    ASSERT_EQ(events.size(), 2u) << room;
    const double begin = static_cast<double>(events[0].at) / kSampleRate;
    const double end = static_cast<double>(events[1].at) / kSampleRate;
    EXPECT_NEAR(begin + 0.3, 3.0, 0.25) << room;
    EXPECT_NEAR(end, 5.0, 0.25) << room;
  }
}

TEST(LevelActivity, SteadyNoiseIsNoSpeech) {
  LevelActivity activity;
  EXPECT_TRUE(events_of(activity, test_sound::noise(20 * kSampleRate, 0.1)).empty());
}

TEST(SpeechDetector, AnyPacketsGiveTheSameEvents) {
  const auto samples = speech(8.0, 3.0, 5.0, 0.001);
  LevelActivity whole_activity;
  const auto whole = events_of(whole_activity, samples, samples.size());
  for (const std::size_t packet : {1, 160, 700, 5'000}) {
    LevelActivity activity;
    EXPECT_EQ(events_of(activity, samples, packet), whole) << packet;
  }
}

}  // namespace
}  // namespace fourfold
