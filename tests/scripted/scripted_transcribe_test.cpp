// Transcriptions through the whole engine but for the decoder: the default body with a projector of
// random weights, and a script for what it says.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "engine/test_media.h"
#include "engine/transcribe.h"
#include "formats/test_files.h"
#include "media/test_sound.h"
#include "scripted/scripted_service.h"

namespace fourfold::scripted {
namespace {

using testing::HasSubstr;

const std::string kKeeper = FOURFOLD_SOURCE_DIR "/models/keeper/keeper.gguf";

class ScriptedTranscription : public testing::Test {
 protected:
  std::unique_ptr<ChatService> open(const std::string& answer, bool hears = true) {
    Script script;
    script.otherwise.answer = answer;
    const std::string body = folder_.file("keeper.gguf");
    EXPECT_TRUE(write_with_context(kKeeper, 4096, body).ok());
    ChatServiceOptions options;
    options.engine.mmproj = "none";
    if (hears) {
      const auto engine = Engine::open(body, options.engine);
      EXPECT_TRUE(engine.ok());
      options.engine.mmproj = folder_.file("mmproj.gguf");
      test_media::write_projector(options.engine.mmproj, (*engine)->config().text.width);
    }
    auto service = open_scripted(body, script, options);
    EXPECT_TRUE(service.ok()) << service.error().message;
    return std::move(service).value();
  }

  // Two windows: 24.5 s, and 15.5 s.
  static std::vector<std::byte> recording() {
    auto samples = test_sound::noise(40 * kSampleRate, 0.3);
    const auto hush = [&](double first_s, double last_s) {
      std::fill(samples.begin() + static_cast<std::ptrdiff_t>(first_s * kSampleRate),
                samples.begin() + static_cast<std::ptrdiff_t>(last_s * kSampleRate), 0.0f);
    };
    // Gaps between words, too short to cut in: against them the noise is no silence.
    for (int second = 0; second < 40; ++second) hush(second, second + 0.15);
    hush(24.0, 25.0);
    return test_sound::make_wav(samples);
  }

  testing_files::TempFolder folder_;
  TranscriptListener nobody_;
};

TEST_F(ScriptedTranscription, WindowsAreTurnsOfTheirOwn) {
  const auto service = open("The words. ");
  const auto transcript = transcribe(recording(), {}, answer_by(*service, {}), nobody_);
  ASSERT_TRUE(transcript.ok()) << transcript.error().message;
  EXPECT_EQ(transcript->text, "The words. The words.");
  ASSERT_EQ(transcript->segments.size(), 2u);
  EXPECT_NEAR(transcript->segments[0].end_s, 24.5, 0.1);
  EXPECT_GE(transcript->usage.audio_tokens, 1000);  // 25 a second
  EXPECT_GT(transcript->usage.prompt_tokens, transcript->usage.audio_tokens);
  EXPECT_GT(transcript->usage.answer_tokens, 0);
}

TEST_F(ScriptedTranscription, ALoopEndsItsWindow) {
  std::string loop;
  for (int i = 0; i < 500; ++i) loop += "so it is ";
  const auto service = open(loop);
  const auto transcript = transcribe(recording(), {}, answer_by(*service, {}), nobody_);
  ASSERT_TRUE(transcript.ok()) << transcript.error().message;
  ASSERT_EQ(transcript->segments.size(), 2u);
  EXPECT_EQ(transcript->segments[0].finish, ChatFinish::Loop);
  EXPECT_EQ(transcript->segments[1].finish, ChatFinish::Loop);
  EXPECT_LT(transcript->usage.answer_tokens, 600);
}

TEST_F(ScriptedTranscription, ABodyWithoutEarsIsRefusedBeforeItIsAsked) {
  const auto service = open("Never said.", false);
  const auto transcript = transcribe(recording(), {}, answer_by(*service, {}), nobody_);
  ASSERT_FALSE(transcript.ok());
  EXPECT_EQ(transcript.error().reason(), "unsupported_media");
  EXPECT_THAT(transcript.error().message, HasSubstr("file"));
}

TEST_F(ScriptedTranscription, ACancelledAskerGetsNoText) {
  const auto service = open("Never said.");
  const auto transcript = transcribe(
      recording(), {}, answer_by(*service, {.is_cancelled = [] { return true; }}), nobody_);
  ASSERT_FALSE(transcript.ok());
  EXPECT_EQ(transcript.error().code, Code::Cancelled);
}

}  // namespace
}  // namespace fourfold::scripted
