// A talk by voice through the whole engine but for the decoder: the default body with a projector
// of random weights, and a script for what it says.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <thread>

#include "base/json_value.h"
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
  void said(const ChatEvent& event) override {
    if (event.type == ChatEvent::Type::Text) all += event.text;
  }
  void has_result(const ToolCall& call, const JsonValue& value) override {
    results += call.name + "=" + to_json_text(value) + " ";
  }
  void interrupted() override { ++n_interrupted; }
  void finish_speaking() override {
    speaks = true;
    while (n_interrupted < speaks_until_interrupted) {
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
  }
  void ended(const VoiceTurn& turn) override { turns.push_back(turn); }

  std::string all, results;
  std::vector<VoiceTurn> turns;
  std::atomic<int> n_interrupted = 0;
  std::atomic<bool> speaks = false;
  int speaks_until_interrupted = 0;
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

VoiceTools lamp_tools(std::function<JsonValue(const ToolCall&)> run) {
  Tool tool;
  tool.name = "switch_lamp";
  tool.declaration = parse_json_value(R"({"name": "switch_lamp", "description": "Switches a lamp.",
                           "parameters": {"type": "object",
                                          "properties": {"on": {"type": "boolean"}}}})")
                         .value();
  return {.declared = {tool}, .run = std::move(run)};
}

const std::string kLampCall = "<|tool_call>call:switch_lamp{on:true}<tool_call|>";

class ScriptedVoice : public testing::Test {
 protected:
  std::unique_ptr<ChatService> open(const Script& script) {
    const std::string body = folder_.file("keeper.gguf");
    EXPECT_TRUE(write_with_context(kKeeper, 8192, body).ok());
    auto service = open_scripted(body, script, options_for(body));
    EXPECT_TRUE(service.ok()) << service.error().message;
    return std::move(service).value();
  }
  std::unique_ptr<ChatService> open(const std::string& answer, double step_ms = 0.0) {
    Script script;
    script.otherwise.answer = answer;
    script.step_ms = step_ms;
    return open(script);
  }
  // The body itself speaks. What it says about random rows means nothing, but it is always the
  // same.
  std::unique_ptr<ChatService> open_real() {
    auto options = options_for(kKeeper);
    options.engine.n_threads = 1;
    options.max_parallel = 1;
    auto service = ChatService::open(kKeeper, options);
    EXPECT_TRUE(service.ok()) << service.error().message;
    return std::move(service).value();
  }

  std::unique_ptr<VoiceLoop> loop_with(ChatService& service, VoiceOptions options) {
    auto loop = VoiceLoop::open(service, activity_, std::move(options), heard_);
    EXPECT_TRUE(loop.ok()) << loop.error().message;
    return std::move(loop).value();
  }

  // The samples of a turn as one sound in a request.
  static Part as_part(const std::vector<float>& samples, const VoiceTurn& turn) {
    const std::vector<float> spoken(samples.begin() + turn.first_sample,
                                    samples.begin() + turn.last_sample);
    return test_media::part(Part::Kind::Audio, wav_file(spoken), "input");
  }
  static std::vector<float> encoded_at_once(ChatService& service, const Part& part) {
    auto& media = service.engine().media();
    auto look = media.look_at(part, {.context = 8192});
    EXPECT_TRUE(look.ok());
    const std::vector<SoftSpan> soft = {{0, look->source.blocks.at(0).rows}};
    EXPECT_TRUE(media.encode({&look->source, 1}, soft, {}).ok());
    return soft[0].rows->values;
  }

  testing_files::TempFolder folder_;
  LevelActivity activity_;
  Heard heard_;

 private:
  ChatServiceOptions options_for(const std::string& body) {
    const auto engine = Engine::open(body, {.mmproj = "none"});
    EXPECT_TRUE(engine.ok());
    ChatServiceOptions options;
    options.engine.mmproj = folder_.file("mmproj.gguf");
    test_media::write_projector(options.engine.mmproj, (*engine)->config().text.width);
    return options;
  }
};

TEST_F(ScriptedVoice, EveryUtteranceIsATurnWithTheRowsOfItsSamples) {
  const auto service = open("Yes, it is.");
  const auto samples = talk(9.0, {{1.0, 2.5}, {5.0, 6.0}});
  const auto loop = loop_with(*service, {.system = "Be brief."});
  ASSERT_TRUE(loop->push(samples).ok());
  ASSERT_TRUE(loop->finish().ok());

  ASSERT_EQ(heard_.turns.size(), 2u);
  EXPECT_EQ(heard_.all, "Yes, it is.Yes, it is.");
  const auto& history = loop->history();
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
    const auto& pieces = history[1 + 2 * i].parts.at(0).pieces;
    ASSERT_EQ(pieces.size(), 1u);
    EXPECT_TRUE(pieces[0].rows->values == encoded_at_once(*service, as_part(samples, turn)));
  }
}

TEST_F(ScriptedVoice, OnlyTheEndIsLeftWhenSomebodyHasSpoken) {
  const auto service = open("Yes.");
  const auto loop = loop_with(*service, {.system = "Be brief."});
  // A short utterance and a long one, in real pieces, and then one with a pause in it.
  const auto samples = talk(24.0, {{1.0, 2.0}, {5.0, 14.0}, {17.0, 18.0}, {18.5, 20.0}});
  for (std::size_t at = 0; at < samples.size(); at += 512) {
    const auto n = std::min<std::size_t>(512, samples.size() - at);
    ASSERT_TRUE(loop->push(std::span(samples).subspan(at, n)).ok());
  }
  ASSERT_TRUE(loop->finish().ok());
  ASSERT_EQ(heard_.turns.size(), 3u);
  for (const VoiceTurn& turn : heard_.turns) {
    // The last soft row, its end marker, the end of the turn and the beginning of the next one.
    EXPECT_LE(turn.prompt_tokens - turn.cached_tokens, 9) << turn.speech_ms;
    EXPECT_GT(turn.cached_tokens, 20);
  }
  EXPECT_GT(heard_.turns[2].speech_ms, 2'900.0);  // the pause did not end it
}

// The same bits: what the model says does not depend on how the sound came.
TEST_F(ScriptedVoice, AnswersAsIfTheWholeSoundHadComeAtOnce) {
  const auto service = open_real();
  SamplingChoice sampling;
  sampling.temperature = 0.0f;
  sampling.max_tokens = 24;
  const auto loop = loop_with(*service, {.system = "Be brief.", .sampling = sampling});
  const auto samples = talk(5.0, {{1.0, 2.8}});
  ASSERT_TRUE(loop->push(samples).ok());
  ASSERT_TRUE(loop->finish().ok());
  ASSERT_EQ(heard_.turns.size(), 1u);
  EXPECT_GT(heard_.turns[0].cached_tokens, 0);

  ChatRequest request;
  request.sampling = sampling;
  Message turn;
  turn.role = Role::User;
  turn.is_part_list = true;
  turn.parts.push_back(as_part(samples, heard_.turns[0]));
  request.conversation.messages = {Message::of(Role::System, "Be brief."), turn};
  auto prepared = service->prepare(request);
  ASSERT_TRUE(prepared.ok()) << prepared.error().message;
  const auto stream = service->start(std::move(prepared).value(), {.user = "voice"});
  ASSERT_TRUE(stream.ok()) << stream.error().message;
  std::string expected;
  while (const auto delta = (*stream)->next()) {
    if (delta->event.type == ChatEvent::Type::Text) expected += delta->event.text;
  }
  EXPECT_EQ((*stream)->prompt_tokens(), heard_.turns[0].prompt_tokens);
  EXPECT_EQ(heard_.turns[0].text, expected);
}

TEST_F(ScriptedVoice, AnyPiecesGiveTheSameTurns) {
  const auto samples = talk(6.0, {{1.0, 2.0}, {4.0, 6.0}});
  using Facts = std::vector<std::array<std::int64_t, 3>>;
  Facts whole;
  for (const std::size_t piece : {samples.size(), std::size_t{160}, std::size_t{5'000}}) {
    const auto service = open("Yes.");
    LevelActivity activity;
    Heard heard;
    auto loop = VoiceLoop::open(*service, activity, {}, heard);
    ASSERT_TRUE(loop.ok());
    for (std::size_t at = 0; at < samples.size(); at += piece) {
      const auto n = std::min(piece, samples.size() - at);
      ASSERT_TRUE((*loop)->push(std::span(samples).subspan(at, n)).ok());
    }
    ASSERT_TRUE((*loop)->finish().ok());
    Facts turns;
    for (const auto& turn : heard.turns) {
      turns.push_back({turn.first_sample, turn.last_sample, turn.cached_tokens});
    }
    ASSERT_EQ(turns.size(), 2u);
    if (whole.empty()) whole = turns;
    EXPECT_EQ(turns, whole) << piece;
  }
}

std::string count_to(int n) {
  std::string count;
  for (int i = 1; i <= n; ++i) count += std::to_string(i) + " ";
  return count;
}

TEST_F(ScriptedVoice, SpeakingDuringAnAnswerEndsIt) {
  const std::string count = count_to(400);
  const auto service = open(count, 20.0);
  const auto loop = loop_with(*service, {.waits_for_answers = false});
  ASSERT_TRUE(loop->push(talk(3.0, {{0.5, 1.5}})).ok());
  // The answer is being given: it would take half a minute.
  std::this_thread::sleep_for(std::chrono::milliseconds(600));
  ASSERT_TRUE(loop->push(talk(1.0, {{0.2, 0.9}})).ok());
  const auto began = std::chrono::steady_clock::now();
  ASSERT_TRUE(loop->push(talk(1.5, {})).ok());  // ends the second utterance, waits for the first
  EXPECT_LT(std::chrono::steady_clock::now() - began, std::chrono::seconds(15));
  ASSERT_GE(heard_.turns.size(), 1u);
  EXPECT_EQ(heard_.n_interrupted, 1);
  EXPECT_TRUE(heard_.turns[0].interrupted);
  EXPECT_LT(heard_.turns[0].text.size(), count.size());
  // What was said stays in the history as a turn that has ended.
  EXPECT_TRUE(std::string_view(count).starts_with(heard_.turns[0].text));
}

// An answer is not over while it is being spoken.
TEST_F(ScriptedVoice, SpeakingWhileAnAnswerIsSpokenInterruptsIt) {
  heard_.speaks_until_interrupted = 1;
  const auto service = open("Yes.");
  const auto loop = loop_with(*service, {.waits_for_answers = false});
  ASSERT_TRUE(loop->push(talk(3.0, {{0.5, 1.5}})).ok());
  while (!heard_.speaks) std::this_thread::sleep_for(std::chrono::milliseconds(5));
  ASSERT_TRUE(loop->push(talk(2.5, {{0.2, 0.9}})).ok());
  ASSERT_TRUE(loop->finish().ok());
  ASSERT_EQ(heard_.turns.size(), 2u);
  EXPECT_TRUE(heard_.turns[0].interrupted);
  EXPECT_EQ(heard_.turns[0].text, "Yes.");
  EXPECT_FALSE(heard_.turns[1].interrupted);
}

TEST_F(ScriptedVoice, WhoStopsTheProgramEndsTheAnswer) {
  const auto service = open(count_to(400), 20.0);
  std::atomic<bool> go_on = true;
  const auto loop = loop_with(*service, {.go_on = [&] { return go_on.load(); }});
  std::thread stopper([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(300));
    go_on = false;
  });
  ASSERT_TRUE(loop->push(talk(3.0, {{0.5, 1.5}})).ok());
  stopper.join();
  ASSERT_EQ(heard_.turns.size(), 1u);
  EXPECT_TRUE(heard_.turns[0].interrupted);
  EXPECT_LT(heard_.turns[0].tokens, 400);
}

TEST_F(ScriptedVoice, CarriesOutCallsAndGoesOnWithTheirResults) {
  Script script;
  script.when = {{.prompt_has = {"lit"}, .answer = "The lamp is on."}};
  script.otherwise.answer = kLampCall;
  const auto service = open(script);
  std::string asked;
  const auto loop = loop_with(*service, {.tools = lamp_tools([&](const ToolCall& call) {
                                           asked = to_json_text(call.arguments);
                                           return JsonValue::of("lit");
                                         })});
  ASSERT_TRUE(loop->push(talk(3.0, {{0.5, 1.5}})).ok());
  ASSERT_TRUE(loop->finish().ok());
  EXPECT_EQ(asked, R"({"on":true})");
  EXPECT_EQ(heard_.results, "switch_lamp=\"lit\" ");
  ASSERT_EQ(heard_.turns.size(), 1u);
  EXPECT_EQ(heard_.turns[0].text, "The lamp is on.");
  ASSERT_EQ(heard_.turns[0].calls.size(), 1u);
  EXPECT_FALSE(loop->is_over());
  const auto& history = loop->history();
  ASSERT_EQ(history.size(), 4u);  // user, call, result, answer
  EXPECT_EQ(history[1].calls.at(0).name, "switch_lamp");
  EXPECT_EQ(history[2].results.at(0).call_id, history[1].calls.at(0).id);
}

TEST_F(ScriptedVoice, EndsAtACallThatNobodyCarriesOut) {
  const auto service = open(kLampCall);
  const auto loop = loop_with(*service, {.tools = lamp_tools(nullptr)});
  ASSERT_TRUE(loop->push(talk(6.0, {{0.5, 1.5}, {3.0, 4.0}})).ok());
  ASSERT_TRUE(loop->finish().ok());
  EXPECT_TRUE(loop->is_over());
  ASSERT_EQ(heard_.turns.size(), 1u);
  EXPECT_EQ(heard_.turns[0].calls.size(), 1u);
}

TEST_F(ScriptedVoice, StopsAfterSoManyRoundsOfTools) {
  const auto service = open(kLampCall);
  auto tools = lamp_tools([](const ToolCall&) { return JsonValue::of("again"); });
  tools.max_rounds = 2;
  const auto loop = loop_with(*service, {.tools = std::move(tools)});
  ASSERT_TRUE(loop->push(talk(3.0, {{0.5, 1.5}})).ok());
  ASSERT_TRUE(loop->finish().ok());
  ASSERT_EQ(heard_.turns.size(), 1u);
  EXPECT_TRUE(heard_.turns[0].is_out_of_rounds);
  EXPECT_EQ(heard_.turns[0].calls.size(), 3u);
}

// A call that was complete is carried out, and the next answer knows its result.
TEST_F(ScriptedVoice, ACallSurvivesBeingInterrupted) {
  Script script;
  script.when = {{.prompt_has = {"lit"}, .answer = "It is lit."}};
  script.otherwise.answer = kLampCall;
  const auto service = open(script);
  std::atomic<bool> go_on = true;
  VoiceOptions options;
  options.go_on = [&] { return go_on.load(); };
  options.waits_for_answers = false;
  std::atomic<bool> is_running = false;
  options.tools = lamp_tools([&](const ToolCall&) {
    is_running = true;
    while (heard_.n_interrupted == 0) std::this_thread::sleep_for(std::chrono::milliseconds(5));
    return JsonValue::of("lit");
  });
  const auto loop = loop_with(*service, std::move(options));
  ASSERT_TRUE(loop->push(talk(3.0, {{0.5, 1.5}})).ok());
  while (!is_running) std::this_thread::sleep_for(std::chrono::milliseconds(5));
  ASSERT_TRUE(loop->push(talk(2.5, {{0.2, 1.0}})).ok());
  ASSERT_TRUE(loop->finish().ok());
  ASSERT_EQ(heard_.turns.size(), 2u);
  EXPECT_TRUE(heard_.turns[0].interrupted);
  EXPECT_EQ(heard_.turns[0].text, "");
  EXPECT_EQ(heard_.turns[1].text, "It is lit.");
}

TEST_F(ScriptedVoice, AnAnswerThatFailsIsAsIfNobodyHadAsked) {
  Script script;
  script.otherwise.answer = "one two three";
  script.fail_at = 2;
  const auto service = open(script);
  const auto loop = loop_with(*service, {});
  const auto status = loop->push(talk(3.0, {{0.5, 1.5}}));
  EXPECT_FALSE(status.ok());
  EXPECT_TRUE(loop->history().empty());
  EXPECT_TRUE(heard_.turns.empty());
}

TEST_F(ScriptedVoice, SilenceIsNoTurn) {
  const auto service = open("Never said.");
  const auto loop = loop_with(*service, {});
  ASSERT_TRUE(loop->push(talk(20.0, {})).ok());
  ASSERT_TRUE(loop->finish().ok());
  EXPECT_TRUE(heard_.turns.empty());
  EXPECT_TRUE(loop->history().empty());
}

}  // namespace
}  // namespace fourfold::scripted
