// A talk by voice through the whole engine but for the decoder: the default body with a projector
// of random weights, and a script for what it says.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <thread>

#include "engine/test_media.h"
#include "engine/voice_loop.h"
#include "formats/test_files.h"
#include "media/sound.h"
#include "media/test_sound.h"
#include "scripted/scripted_service.h"

namespace fourfold::scripted {
namespace {

const std::string kKeeper = FOURFOLD_SOURCE_DIR "/models/keeper/keeper.gguf";

class Heard final : public VoiceListener {
 public:
  void said(std::string_view text) override { all += text; }
  void ended(const VoiceTurn& turn) override { turns.push_back(turn); }

  std::string all;
  std::vector<VoiceTurn> turns;
};

// Syllables between the given times, in a quiet room.
std::vector<float> talk(double length_s, std::vector<std::pair<double, double>> utterances) {
  auto samples = test_sound::noise(static_cast<std::size_t>(length_s * kSampleRate), 0.0005);
  const auto voice = test_sound::tone(220.0, samples.size(), 0.2);
  for (const auto& [from, to] : utterances) {
    const auto first = static_cast<std::size_t>(from * kSampleRate);
    for (auto i = first; i < static_cast<std::size_t>(to * kSampleRate); ++i) {
      if ((i - first) % 4'000 < 3'000) samples[i] += voice[i];
    }
  }
  return samples;
}

class ScriptedVoice : public testing::Test {
 protected:
  std::unique_ptr<ChatService> open(const std::string& answer, double step_ms = 0.0) {
    Script script;
    script.otherwise.answer = answer;
    script.step_ms = step_ms;
    const std::string body = folder_.file("keeper.gguf");
    EXPECT_TRUE(write_with_context(kKeeper, 8192, body).ok());
    const auto engine = Engine::open(body, {.mmproj = "none"});
    EXPECT_TRUE(engine.ok());
    ChatServiceOptions options;
    options.engine.mmproj = folder_.file("mmproj.gguf");
    test_media::write_projector(options.engine.mmproj, (*engine)->config().text.width);
    auto service = open_scripted(body, script, options);
    EXPECT_TRUE(service.ok()) << service.error().message;
    return std::move(service).value();
  }

  static std::span<const std::byte> sound_of(const Message& turn) {
    return turn.parts.at(0).bytes.bytes();
  }

  testing_files::TempFolder folder_;
  LevelActivity activity_;
  Heard heard_;
};

TEST_F(ScriptedVoice, EveryUtteranceIsATurnWithItsSamples) {
  const auto service = open("Yes, it is.");
  const auto samples = talk(9.0, {{1.0, 2.5}, {5.0, 6.0}});
  VoiceLoop loop(*service, activity_, {.system = "Be brief."}, heard_);
  ASSERT_TRUE(loop.push(samples).ok());
  ASSERT_TRUE(loop.finish().ok());

  ASSERT_EQ(heard_.turns.size(), 2u);
  EXPECT_EQ(heard_.all, "Yes, it is.Yes, it is.");
  const auto& history = loop.history();
  ASSERT_EQ(history.size(), 5u);  // system, and twice user and model
  EXPECT_EQ(history[4].role, Role::Model);
  EXPECT_EQ(history[4].parts.at(0).text, "Yes, it is.");
  const double borders[2][2] = {{1.0, 2.5}, {5.0, 6.0}};
  for (std::size_t i = 0; i < 2; ++i) {
    const VoiceTurn& turn = heard_.turns[i];
    EXPECT_NEAR(static_cast<double>(turn.first_sample) / kSampleRate + 0.3, borders[i][0], 0.25);
    EXPECT_NEAR(static_cast<double>(turn.last_sample) / kSampleRate - 0.3, borders[i][1], 0.25);
    EXPECT_NEAR(turn.vad_end_ms, 700.0, 33.0);
    EXPECT_FALSE(turn.interrupted);
    EXPECT_GT(turn.tokens, 0);
    EXPECT_GE(turn.answer_ms, turn.first_token_ms);
    const auto got = decode_sound(sound_of(history[1 + 2 * i]), {}, kBlockSamples);
    ASSERT_TRUE(got.ok());
    const std::vector<float> expected(samples.begin() + turn.first_sample,
                                      samples.begin() + turn.last_sample);
    EXPECT_EQ(*got, expected);
  }
}

TEST_F(ScriptedVoice, AnyPiecesGiveTheSameTurns) {
  const auto samples = talk(6.0, {{1.0, 2.0}, {4.0, 6.0}});
  std::vector<std::pair<std::int64_t, std::int64_t>> whole;
  for (const std::size_t piece : {samples.size(), std::size_t{160}, std::size_t{5'000}}) {
    const auto service = open("Yes.");
    LevelActivity activity;
    Heard heard;
    VoiceLoop loop(*service, activity, {}, heard);
    for (std::size_t at = 0; at < samples.size(); at += piece) {
      const auto n = std::min(piece, samples.size() - at);
      ASSERT_TRUE(loop.push(std::span(samples).subspan(at, n)).ok());
    }
    ASSERT_TRUE(loop.finish().ok());
    std::vector<std::pair<std::int64_t, std::int64_t>> turns;
    for (const auto& turn : heard.turns) turns.emplace_back(turn.first_sample, turn.last_sample);
    ASSERT_EQ(turns.size(), 2u);
    if (whole.empty()) whole = turns;
    EXPECT_EQ(turns, whole) << piece;
  }
}

TEST_F(ScriptedVoice, SpeakingDuringAnAnswerEndsIt) {
  std::string count;
  for (int i = 1; i <= 400; ++i) count += std::to_string(i) + " ";
  const auto service = open(count, 20.0);
  VoiceLoop loop(*service, activity_, {.waits_for_answers = false}, heard_);
  ASSERT_TRUE(loop.push(talk(3.0, {{0.5, 1.5}})).ok());
  // The answer is being given: it would take more than eight seconds.
  std::this_thread::sleep_for(std::chrono::milliseconds(600));
  ASSERT_TRUE(loop.push(talk(1.0, {{0.2, 0.9}})).ok());
  const auto began = std::chrono::steady_clock::now();
  ASSERT_TRUE(loop.push(talk(1.5, {})).ok());  // ends the second utterance, waits for the first
  EXPECT_LT(std::chrono::steady_clock::now() - began, std::chrono::seconds(4));
  ASSERT_GE(heard_.turns.size(), 1u);
  EXPECT_TRUE(heard_.turns[0].interrupted);
  EXPECT_LT(heard_.turns[0].text.size(), count.size());
  // What was said stays in the history as a turn that has ended.
  EXPECT_TRUE(std::string_view(count).starts_with(heard_.turns[0].text));
}

TEST_F(ScriptedVoice, SilenceIsNoTurn) {
  const auto service = open("Never said.");
  VoiceLoop loop(*service, activity_, {}, heard_);
  ASSERT_TRUE(loop.push(talk(20.0, {})).ok());
  ASSERT_TRUE(loop.finish().ok());
  EXPECT_TRUE(heard_.turns.empty());
  EXPECT_TRUE(loop.history().empty());
}

}  // namespace
}  // namespace fourfold::scripted
