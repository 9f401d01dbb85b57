#include "cli/listen.h"

#include <chrono>
#include <filesystem>
#include <memory>
#include <optional>
#include <thread>
#include <utility>

#include <unistd.h>

#include "base/utf8.h"
#include "chat/output_json.h"
#include "cli/flags.h"
#include "cli/folders.h"
#include "cli/hearing.h"
#include "cli/media.h"
#include "cli/microphone.h"
#include "cli/model_flags.h"
#include "cli/pipe_sound.h"
#include "cli/signals.h"
#include "cli/speaker.h"
#include "cli/tools.h"
#include "engine/voice_loop.h"
#include "media/sound.h"
#include "model/audio/silero_vad.h"

namespace fourfold {
namespace {

struct ListenFlags {
  EngineFlags engine;
  SamplingChoice sampling;
  std::string input;
  std::string system;
  std::string speak;  // a command
  std::optional<std::string> tools;
  ToolCommand tool_command;
  int max_rounds = 16;
  bool realtime = false;
  bool events = false;
};

// {"speech_ms", …}: the numbers of a turn, and with them what was said.
JsonValue turn_json(const VoiceTurn& turn) {
  auto json = JsonValue::object();
  const auto milliseconds = [&](const char* key, double value) {
    json.set(key, JsonValue::number(fmt::format("{:.1f}", value)));
  };
  const auto count = [&](const char* key, std::int64_t value) {
    json.set(key, JsonValue::number(fmt::format("{}", value)));
  };
  milliseconds("speech_ms", turn.speech_ms);
  milliseconds("vad_end_ms", turn.vad_end_ms);
  milliseconds("flush_ms", turn.flush_ms);
  milliseconds("prefill_ms", turn.prefill_ms);
  milliseconds("first_token_ms", turn.first_token_ms);
  milliseconds("answer_ms", turn.answer_ms);
  count("tokens", turn.tokens);
  json.set("interrupted", JsonValue::of(turn.interrupted));
  count("prompt_tokens", turn.prompt_tokens);
  count("cached_tokens", turn.cached_tokens);
  const auto seconds = [&](const char* key, std::int64_t sample) {
    const double value = static_cast<double>(sample) / kSampleRate;
    json.set(key, JsonValue::number(fmt::format("{:.3f}", value)));
  };
  seconds("begin_s", turn.first_sample);
  seconds("end_s", turn.last_sample);
  json.set("text", JsonValue::of(turn.text));
  auto calls = JsonValue::array();
  for (const auto& call : turn.calls) calls.items.push_back(call_json(call));
  json.set("tool_calls", std::move(calls));
  return json;
}

std::string shown(const JsonValue& value) { return printable(to_json_text(value), 400); }

// Prints a talk, and has it spoken.
class Teller final : public VoiceListener {
 public:
  Teller(const ListenFlags& flags, Context& context)
      : context_(context),
        prints_events_(flags.events),
        prints_text_(!flags.events && !context.json) {
    if (!flags.speak.empty()) speaker_.emplace(flags.speak);
  }

  void said(const ChatEvent& event) override {
    if (prints_events_) {
      if (const auto json = event_json(event)) context_.print_json_value(*json);
    }
    if (event.type == ChatEvent::Type::Text) {
      if (prints_text_) context_.out().write(event.text);
      if (speaker_) speaker_->say(event.text);
    } else if (event.type == ChatEvent::Type::Call && !prints_events_) {
      context_.note(fmt::format("call {} {}", event.call.name, to_json_text(event.call.arguments)));
    }
  }

  void has_result(const ToolCall& call, const JsonValue& value) override {
    if (!prints_events_) return context_.note(fmt::format("result {} {}", call.name, shown(value)));
    context_.print_json_value(JsonValue::object({{"type", JsonValue::of("tool_result")},
                                                 {"name", JsonValue::of(call.name)},
                                                 {"result", value}}));
  }

  void interrupted() override {
    if (speaker_) speaker_->silence();
  }
  void finish_speaking() override {
    if (speaker_) speaker_->finish();
  }

  void ended(const VoiceTurn& turn) override {
    if (speaker_) {
      speaker_->begin();
      if (const auto error = speaker_->take_error()) {
        context_.note(fmt::format("--speak: {}", *error));
      }
    }
    if (prints_text_) context_.out().write("\n");
    if (context_.json) context_.print_json_value(turn_json(turn));
    if (prints_events_) print_turn_event(turn);
    if (turn.is_out_of_rounds) context_.note("stopped: too many rounds of tools");
    context_.note(fmt::format(
        "speech {:.0f} ms, end known after {:.0f} ms; sound {:.0f} ms, prompt {:.0f} ms, first "
        "token {:.0f} ms, answer {:.0f} ms, {} tokens{}",
        turn.speech_ms, turn.vad_end_ms, turn.flush_ms, turn.prefill_ms, turn.first_token_ms,
        turn.answer_ms, turn.tokens, turn.interrupted ? ", interrupted" : ""));
  }

 private:
  void print_turn_event(const VoiceTurn& turn) {
    auto json = JsonValue::object({{"type", JsonValue::of("turn")}});
    auto numbers = turn_json(turn);
    for (auto& member : numbers.members) json.set(member.key, std::move(member.value));
    context_.print_json_value(json);
  }

  Context& context_;
  const bool prints_events_, prints_text_;
  std::optional<Speaker> speaker_;
};

class SileroActivity final : public VoiceActivity {
 public:
  explicit SileroActivity(std::unique_ptr<SileroVad> vad) : vad_(std::move(vad)) {}
  float probability(std::span<const float> frame) override {
    return vad_->next(frame.first<kVadFrame>());
  }

 private:
  std::unique_ptr<SileroVad> vad_;
};
static_assert(kVadFrame == kActivityFrame);

// Silero's network if its weights lie in a model folder.
Result<std::unique_ptr<VoiceActivity>> find_activity(Context& context) {
  std::error_code ignored;
  for (const auto& folder : model_folders()) {
    const std::string path = folder + "/" + kSileroFile;
    if (!std::filesystem::exists(path, ignored)) continue;
    auto vad = TRY(SileroVad::load(path));
    return std::unique_ptr<VoiceActivity>(std::make_unique<SileroActivity>(std::move(vad)));
  }
  context.note(
      fmt::format("speech is told from silence by its level alone (no {} in the model folders: "
                  "tools/fetch_silero_vad.py)",
                  kSileroFile));
  return std::unique_ptr<VoiceActivity>(std::make_unique<LevelActivity>());
}

bool goes_on(const VoiceLoop& loop, const Output& out) {
  return out.is_open() && !is_interrupted() && !loop.is_over();
}

// Every piece in its own time, or as fast as it goes.
Status play(SoundReader& sound, bool realtime, VoiceLoop& loop, const Output& out) {
  std::vector<float> piece(kActivityFrame);
  const auto began = std::chrono::steady_clock::now();
  for (std::int64_t n_played = 0; goes_on(loop, out);) {
    const std::size_t n = TRY(sound.read(piece));
    if (n == 0) return is_interrupted() ? Status() : loop.finish();
    n_played += static_cast<std::int64_t>(n);
    if (realtime) {
      std::this_thread::sleep_until(began +
                                    std::chrono::microseconds(n_played * 1'000'000 / kSampleRate));
    }
    TRY(loop.push(std::span(piece).first(n)));
  }
  return {};
}

// Until Ctrl-C.
Status record(Microphone& microphone, VoiceLoop& loop, Context& context) {
  std::vector<float> piece(kActivityFrame);
  std::int64_t n_lost = 0;
  context.note(fmt::format("listening to {}; Ctrl-C ends", microphone.name()));
  while (goes_on(loop, context.out())) {
    const std::size_t n = TRY(microphone.read(piece));
    TRY(loop.push(std::span(piece).first(n)));
    const std::int64_t lost = microphone.n_lost() - std::exchange(n_lost, microphone.n_lost());
    if (lost > 0) context.note("this machine is too slow: some of the sound is lost");
  }
  return {};
}

// What is listened to: a file or the microphone.
struct Input {
  Part part;
  std::unique_ptr<SoundReader> sound;
  std::unique_ptr<Microphone> microphone;
};

Result<Input> open_input(const ListenFlags& flags, Context& context) {
  const std::string& name = flags.input;
  Input input;
  if (name == "mic") {
    input.microphone = TRY_IN("--input", Microphone::open());
    return input;
  }
  if (name == "-" && flags.realtime) {
    input.sound = TRY_IN("standard input", open_pipe_sound(STDIN_FILENO));
    return input;
  }
  input.part = TRY(open_medium(name, name, Part::Kind::Audio, context));
  input.sound = TRY_IN(name, SoundReader::open(input.part.bytes.bytes(), {}));
  return input;
}

Result<VoiceOptions> make_options(const ListenFlags& flags, Context& context) {
  VoiceOptions options{.system = flags.system, .sampling = flags.sampling, .tools = {}};
  options.waits_for_answers = !flags.realtime && flags.input != "mic";
  options.go_on = [] { return !is_interrupted(); };
  if (flags.tools) options.tools.declared = TRY(load_tools(*flags.tools, context));
  options.tools.max_rounds = flags.max_rounds;
  if (!flags.tool_command.shell.empty()) {
    options.tools.run = [command = flags.tool_command](const ToolCall& call) {
      return run_tool(command, call);
    };
  }
  return options;
}

Result<int> listen(const ListenFlags& flags, Context& context) {
  if (flags.engine.model.empty()) {
    return context.usage_error("MODEL: missing, expected a model that hears");
  }
  if (flags.input.empty()) {
    return context.usage_error(
        "--input: missing, expected mic, a sound file, or - for standard input");
  }
  if (flags.events && context.json) {
    return context.usage_error("--events: does not go together with --json");
  }
  if (!flags.tool_command.shell.empty() && !flags.tools) {
    return context.usage_error("--tool-exec: expected --tools too");
  }
  auto options = TRY(make_options(flags, context));
  const auto input = TRY(open_input(flags, context));
  const auto service = TRY(open_hearing_service(flags.engine, context));
  const auto activity = TRY(find_activity(context));
  raise_flag_on_interrupt();
  Teller teller(flags, context);
  const auto loop = TRY(VoiceLoop::open(*service, *activity, std::move(options), teller));
  if (input.microphone) {
    TRY(record(*input.microphone, *loop, context));
  } else {
    TRY(play(*input.sound, flags.realtime, *loop, context.out()));
    for (const auto& note : input.sound->notes()) {
      context.note(fmt::format("{}: {}", flags.input, note));
    }
  }
  return is_interrupted() ? kExitInterrupted : kExitDone;
}

}  // namespace

void register_listen(CLI::App& program, Context& context) {
  auto flags = std::make_shared<ListenFlags>();
  CLI::App& command = context.add_command(
      program, {.name = "listen",
                .summary = "a talk by voice: answers what is said",
                .example = "fourfold listen gemma-4-e4b --input mic --speak 'espeak-ng --stdin'",
                .action = [&context, flags] { return listen(*flags, context); }});
  const auto text_flag = [&](const char* names, const char* value, const char* help, auto& target) {
    add_value_flag(command, {.names = names, .value = value, .help = help}, take_text(target));
  };
  text_flag("--input", "FILE", "mic, a sound file, or - for standard input (required)",
            flags->input);
  text_flag("--system", "TEXT", "what the model is told first (nothing)", flags->system);
  add_switch(command,
             {.names = "--realtime", .help = "the sound at its own speed (as fast as it goes)"},
             flags->realtime);
  text_flag("--speak", "CMD", "run by sh for each sentence of an answer, to say it aloud (none)",
            flags->speak);
  text_flag("--tools", "FILE", "a JSON list of functions that the model may call (none)",
            flags->tools);
  text_flag("--tool-exec", "CMD", "run by sh for each call, which it reads as JSON (none)",
            flags->tool_command.shell);
  add_value_flag(command, {"--tool-timeout", "S", "seconds for each call (60)"},
                 take_integer(flags->tool_command.timeout_s, {.least = 1, .most = 86400}));
  add_value_flag(command, {"--max-rounds", "N", "rounds of calls before it stops (16)"},
                 take_integer(flags->max_rounds, {.least = 0, .most = 1 << 20}));
  add_switch(command,
             {.names = "--events", .help = "all that happens as JSON lines, one an event (off)"},
             flags->events);
  add_engine_flags(command, flags->engine);
  add_mmproj_flag(command, flags->engine);
  add_sampling_flags(command, flags->sampling);
}

}  // namespace fourfold
