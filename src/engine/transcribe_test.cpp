#include "engine/transcribe.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "engine/transcript.h"
#include "media/test_sound.h"

namespace fourfold {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

// ---- joining ----

struct Joined {
  std::string earlier, later;
};

Joined join(std::string_view earlier, std::string_view later, bool overlaps = true) {
  TranscriptJoiner joiner;
  joiner.add(earlier, false);
  joiner.add(later, overlaps);
  return {joiner.before_last(), joiner.last()};
}

TEST(TranscriptJoiner, KeepsTheLongestCommonRunOnce) {
  const auto joined = join("we walked to the old mill by the riv", "old mill by the river and sat");
  EXPECT_EQ(joined.earlier, "we walked to the old mill by the");
  EXPECT_EQ(joined.later, "river and sat");
}

TEST(TranscriptJoiner, ComparesLettersAndDigitsInLowerCase) {
  const auto joined = join("It was in May, 1999.", "in may 1999 -- that Ann came");
  EXPECT_EQ(joined.earlier, "It was in May, 1999.");
  EXPECT_EQ(joined.later, "-- that Ann came");
  const auto german = join("sie sagten „SCHÖNE Grüße“", "schöne grüße! Dann gingen sie");
  EXPECT_EQ(german.later, "Dann gingen sie");
}

TEST(TranscriptJoiner, OneEqualWordIsNoRun) {
  const auto joined = join("that was the", "the end of it");
  EXPECT_EQ(joined.earlier, "that was the");
  EXPECT_EQ(joined.later, "the end of it");
}

TEST(TranscriptJoiner, LooksAtTwelveWordsOnly) {
  const std::string far = "alpha beta c1 c2 c3 c4 c5 c6 c7 c8 c9 c10 c11";
  EXPECT_EQ(join(far, "alpha beta gamma").later, "alpha beta gamma");
  const std::string near = "alpha beta c1 c2 c3 c4 c5 c6 c7 c8 c9 c10";
  EXPECT_EQ(join(near, "alpha beta gamma").later, "gamma");
  const std::string late = "d1 d2 d3 d4 d5 d6 d7 d8 d9 d10 d11 alpha beta";
  EXPECT_EQ(join("alpha beta", late).later, late);
}

TEST(TranscriptJoiner, WindowsWithoutOverlapAreLeftAlone) {
  const auto joined = join(" so it was \n", "\tso it was once more ", false);
  EXPECT_EQ(joined.earlier, "so it was");
  EXPECT_EQ(joined.later, "so it was once more");
}

TEST(TranscriptJoiner, EmptyTextsAndTextsOfSignsAreNoWords) {
  EXPECT_EQ(join("", "we go").later, "we go");
  EXPECT_EQ(join("we go", "").earlier, "we go");
  EXPECT_EQ(join("… — …", "… — …").later, "… — …");
  EXPECT_EQ(join("we go on", "we go on").later, "");
}

// ---- formats ----

TEST(Subtitles, HaveTimesToTheMillisecond) {
  EXPECT_EQ(subtitle_time(0.0, ','), "00:00:00,000");
  EXPECT_EQ(subtitle_time(3661.2341, '.'), "01:01:01.234");
  EXPECT_EQ(subtitle_time(43'199.9996, ','), "12:00:00,000");
}

std::vector<TranscriptSegment> segments() {
  return {{.start_s = 0.0, .end_s = 28.5, .text = "One\n\nand <two> & three"},
          {.start_s = 28.5, .end_s = 50.0, .is_silent = true},
          {.start_s = 50.0, .end_s = 61.25, .text = "Four", .finish = ChatFinish::Loop}};
}

TEST(Subtitles, LeaveSilenceOut) {
  EXPECT_EQ(to_srt(segments()),
            "1\n00:00:00,000 --> 00:00:28,500\nOne\nand <two> & three\n\n"
            "2\n00:00:50,000 --> 00:01:01,250\nFour\n\n");
  EXPECT_EQ(to_vtt(segments()),
            "WEBVTT\n\n00:00:00.000 --> 00:00:28.500\nOne\nand &lt;two&gt; &amp; three\n\n"
            "00:00:50.000 --> 00:01:01.250\nFour\n\n");
  EXPECT_EQ(to_srt({}), "");
  EXPECT_EQ(to_vtt({}), "WEBVTT\n\n");
}

TEST(VerboseTranscript, HasASegmentForEachWindow) {
  const Transcript transcript{
      .text = "One Four", .segments = segments(), .duration_s = 61.25, .usage = {}, .notes = {}};
  const auto json = to_json_text(verbose_transcript(transcript, "en"));
  EXPECT_THAT(json, HasSubstr(R"("task":"transcribe","language":"en","duration":61.250)"));
  EXPECT_THAT(json,
              HasSubstr(R"({"id":1,"start":28.500,"end":50.000,"text":"","finish":"silent"})"));
  EXPECT_THAT(json,
              HasSubstr(R"({"id":2,"start":50.000,"end":61.250,"text":"Four","finish":"loop"})"));
}

// ---- the job, with a model that says what it is told ----

// Syllables, so that nothing but the given times is silent.
std::vector<float> talk(double seconds, std::vector<std::pair<double, double>> silences = {}) {
  auto samples = test_sound::noise(static_cast<std::size_t>(seconds * kSampleRate), 0.3);
  for (std::size_t i = 0; i < samples.size(); ++i) {
    if (i % 4'000 >= 2'400) samples[i] *= 0.05f;
  }
  for (const auto& [from, to] : silences) {
    std::fill(samples.begin() + static_cast<std::ptrdiff_t>(from * kSampleRate),
              samples.begin() + static_cast<std::ptrdiff_t>(to * kSampleRate), 0.0f);
  }
  return samples;
}

class Ear {
 public:
  explicit Ear(std::vector<WindowAnswer> answers) : answers_(std::move(answers)) {}

  AnswerWindow answer() {
    return [this](ChatRequest request,
                  const std::function<bool(std::string_view)>& on_text) -> Result<WindowAnswer> {
      requests.push_back(request);
      const auto& turn = request.conversation.messages.at(0);
      auto samples = decode_sound(turn.parts.at(1).bytes.bytes(), {}, kBlockSamples);
      EXPECT_TRUE(samples.ok());
      heard.push_back(std::move(samples).value());
      WindowAnswer answer = answers_.at(requests.size() - 1);
      // In pieces, as a model speaks.
      for (std::size_t at = 0; at < answer.text.size(); at += 3) {
        if (!on_text(std::string_view(answer.text).substr(at, 3))) {
          return Error{Code::Cancelled, "cancelled"};
        }
      }
      answer.usage = {.prompt_tokens = 100, .audio_tokens = 80, .answer_tokens = 7};
      return answer;
    };
  }

  std::vector<ChatRequest> requests;
  std::vector<std::vector<float>> heard;

 private:
  std::vector<WindowAnswer> answers_;
};

WindowAnswer says(std::string text, ChatFinish finish = ChatFinish::Stop) {
  return {.text = std::move(text), .finish = finish, .usage = {}};
}

class Notes final : public TranscriptListener {
 public:
  bool said(std::string_view text) override {
    all += text;
    n_pieces += text.empty() ? 0 : 1;
    return all.size() < most;
  }
  bool segment(const TranscriptSegment& one) override {
    segments.push_back(one.text);
    return true;
  }

  std::string all;
  int n_pieces = 0;
  std::size_t most = 1'000'000;
  std::vector<std::string> segments;
};

Result<Transcript> transcribe_samples(const std::vector<float>& samples, Ear& ear, Notes& notes,
                                      const TranscribeOptions& options = {}) {
  return transcribe(test_sound::make_wav(samples), options, ear.answer(), notes);
}

TEST(Transcribe, AShortClipIsOneTurnWhoseTextComesAsItIsSaid) {
  const auto samples = test_sound::as_16_bit(talk(5));
  Ear ear({says(" Good morning, everyone. \n")});
  Notes notes;
  const auto transcript = transcribe_samples(samples, ear, notes);
  ASSERT_TRUE(transcript.ok()) << transcript.error().message;
  EXPECT_EQ(transcript->text, "Good morning, everyone.");
  EXPECT_EQ(notes.all, transcript->text);
  EXPECT_GT(notes.n_pieces, 3);
  EXPECT_THAT(notes.segments, ElementsAre("Good morning, everyone."));
  EXPECT_EQ(transcript->duration_s, 5.0);
  ASSERT_EQ(ear.requests.size(), 1u);
  EXPECT_EQ(ear.heard[0], samples);
  EXPECT_EQ(ear.requests[0].sampling.temperature, 0.0f);
  EXPECT_FALSE(ear.requests[0].conversation.thinking.on);
}

TEST(Transcribe, LanguageAndPromptAreInEveryWindowBeforeItsSound) {
  Ear ear({says("a"), says("b")});
  Notes notes;
  const auto transcript = transcribe_samples(talk(40, {{24, 25}}), ear, notes,
                                             {.language = "German", .prompt = "Frau Özdemir"});
  ASSERT_TRUE(transcript.ok());
  ASSERT_EQ(ear.requests.size(), 2u);
  for (const auto& request : ear.requests) {
    ASSERT_EQ(request.conversation.messages.size(), 1u);
    const auto& parts = request.conversation.messages[0].parts;
    ASSERT_EQ(parts.size(), 2u);
    EXPECT_THAT(parts[0].text, testing::AllOf(HasSubstr("German"), HasSubstr("Frau Özdemir")));
    EXPECT_EQ(parts[1].kind, Part::Kind::Audio);
  }
}

TEST(Transcribe, WindowsCutInSilenceAreJoinedByASpace) {
  const auto samples = test_sound::as_16_bit(talk(70, {{24, 25}, {50, 50.6}}));
  Ear ear({says("The first part."), says("The second"), says("and the third.")});
  Notes notes;
  const auto transcript = transcribe_samples(samples, ear, notes);
  ASSERT_TRUE(transcript.ok());
  EXPECT_EQ(transcript->text, "The first part. The second and the third.");
  EXPECT_EQ(notes.all, transcript->text);
  ASSERT_EQ(transcript->segments.size(), 3u);
  EXPECT_NEAR(transcript->segments[0].end_s, 24.5, 0.1);
  EXPECT_EQ(transcript->segments[1].start_s, transcript->segments[0].end_s);
  EXPECT_EQ(transcript->segments[2].end_s, 70.0);
  EXPECT_EQ(transcript->usage.prompt_tokens, 300);
  EXPECT_EQ(transcript->usage.audio_tokens, 240);
  EXPECT_EQ(transcript->usage.answer_tokens, 21);
  std::vector<float> all;
  for (const auto& window : ear.heard) all.insert(all.end(), window.begin(), window.end());
  EXPECT_EQ(all, samples);
}

TEST(Transcribe, OverlappingWindowsAreSaidOnceAndInOrder) {
  Ear ear(
      {says("one two three four fi"), says("three four five six sev"), says("six seven eight")});
  Notes notes;
  const auto transcript = transcribe_samples(talk(75), ear, notes);
  ASSERT_TRUE(transcript.ok());
  ASSERT_EQ(ear.requests.size(), 3u);
  // "six" alone is no run: both stay.
  EXPECT_EQ(transcript->text, "one two three four five six sev six seven eight");
  EXPECT_EQ(notes.all, transcript->text);
  EXPECT_THAT(notes.segments, ElementsAre("one two three four", "five six sev", "six seven eight"));
  EXPECT_EQ(transcript->segments[0].end_s, 30.0);
  EXPECT_EQ(transcript->segments[1].start_s, 28.0);
}

TEST(Transcribe, SilentWindowsAreNotAskedAbout) {
  Ear ear({says("before"), says("after")});
  Notes notes;
  const auto transcript = transcribe_samples(talk(100, {{28, 90}}), ear, notes);
  ASSERT_TRUE(transcript.ok());
  EXPECT_EQ(ear.requests.size(), 2u);
  EXPECT_EQ(transcript->text, "before after");
  ASSERT_EQ(transcript->segments.size(), 4u);
  EXPECT_TRUE(transcript->segments[1].is_silent);
  EXPECT_TRUE(transcript->segments[2].is_silent);
  EXPECT_EQ(transcript->segments[1].text, "");
  EXPECT_THAT(notes.segments, ElementsAre("before", "", "", "after"));
}

TEST(Transcribe, ALoopEndsItsWindowAndNotTheJob) {
  Ear ear({says("so so so", ChatFinish::Loop), says("and on")});
  Notes notes;
  const auto transcript = transcribe_samples(talk(40, {{24, 25}}), ear, notes);
  ASSERT_TRUE(transcript.ok());
  EXPECT_EQ(transcript->text, "so so so and on");
  EXPECT_EQ(transcript->segments[0].finish, ChatFinish::Loop);
  EXPECT_EQ(transcript->segments[1].finish, ChatFinish::Stop);
}

TEST(Transcribe, NothingSaidIsAnEmptySegment) {
  Ear ear({says(" "), says("words")});
  Notes notes;
  const auto transcript = transcribe_samples(talk(40, {{24, 25}}), ear, notes);
  ASSERT_TRUE(transcript.ok());
  EXPECT_EQ(transcript->text, "words");
}

TEST(Transcribe, StopsWhenNobodyListens) {
  Ear ear({says("one two three four five six seven"), says("never asked")});
  Notes notes;
  notes.most = 10;
  const auto transcript = transcribe_samples(talk(40, {{24, 25}}), ear, notes);
  ASSERT_FALSE(transcript.ok());
  EXPECT_EQ(transcript.error().code, Code::Cancelled);
  EXPECT_EQ(ear.requests.size(), 1u);
}

TEST(Transcribe, RefusesWhatIsNoSoundTooShortOrTooLong) {
  Ear ear({});
  Notes notes;
  const auto error_of = [&](std::span<const std::byte> file, const TranscribeOptions& options) {
    const auto transcript = transcribe(file, options, ear.answer(), notes);
    EXPECT_FALSE(transcript.ok());
    return transcript.ok() ? "" : transcript.error().message;
  };
  const std::string text = "no sound at all";
  EXPECT_THAT(error_of(std::as_bytes(std::span(text)), {}), HasSubstr("not a sound file"));
  EXPECT_THAT(error_of(test_sound::make_wav(talk(0.01)), {}),
              HasSubstr("a sound of 160 samples at 16 kHz, expected at least 161"));
  EXPECT_THAT(error_of(test_sound::make_wav(talk(3)), {.limits = {.seconds = 2.0}}),
              HasSubstr("3.0 s of sound, the limit is 2.0 s"));
  EXPECT_TRUE(ear.requests.empty());
}

TEST(Transcribe, TellsOfChannelsThatCancel) {
  std::vector<float> both;
  for (const float sample : talk(2)) both.insert(both.end(), {sample, -sample});
  Ear ear({says("")});
  Notes notes;
  const auto transcript =
      transcribe(test_sound::make_wav({.n_channels = 2}, both), {}, ear.answer(), notes);
  ASSERT_TRUE(transcript.ok());
  EXPECT_THAT(transcript->notes, ElementsAre(HasSubstr("cancel each other")));
}

}  // namespace
}  // namespace fourfold
