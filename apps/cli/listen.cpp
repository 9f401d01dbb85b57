#include "cli/listen.h"

#include <chrono>
#include <filesystem>
#include <memory>
#include <thread>
#include <utility>

#include "cli/flags.h"
#include "cli/folders.h"
#include "cli/hearing.h"
#include "cli/media.h"
#include "cli/model_flags.h"
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
  bool realtime = false;
};

// {"speech_ms", …}: the numbers of a turn, and with them its text.
JsonValue turn_json(const VoiceTurn& turn) {
  auto json = JsonValue::object();
  const auto number = [&](const char* key, double value) {
    json.set(key, JsonValue::number(fmt::format("{:.1f}", value)));
  };
  number("speech_ms", turn.speech_ms);
  number("vad_end_ms", turn.vad_end_ms);
  number("flush_ms", turn.flush_ms);
  number("prefill_ms", turn.prefill_ms);
  number("first_token_ms", turn.first_token_ms);
  number("answer_ms", turn.answer_ms);
  json.set("tokens", JsonValue::number(fmt::format("{}", turn.tokens)));
  json.set("interrupted", JsonValue::of(turn.interrupted));
  number("begin_s", static_cast<double>(turn.first_sample) / kSampleRate);
  number("end_s", static_cast<double>(turn.last_sample) / kSampleRate);
  json.set("text", JsonValue::of(turn.text));
  return json;
}

class Printer final : public VoiceListener {
 public:
  explicit Printer(Context& context) : context_(context) {}

  void said(std::string_view text) override {
    if (!context_.json) context_.out().write(text);
  }
  void ended(const VoiceTurn& turn) override {
    if (context_.json) return context_.print_json_value(turn_json(turn));
    context_.out().write("\n");
    context_.note(fmt::format(
        "speech {:.0f} ms, end known after {:.0f} ms; sound {:.0f} ms, prompt {:.0f} ms, first "
        "token {:.0f} ms, answer {:.0f} ms, {} tokens{}",
        turn.speech_ms, turn.vad_end_ms, turn.flush_ms, turn.prefill_ms, turn.first_token_ms,
        turn.answer_ms, turn.tokens, turn.interrupted ? ", interrupted" : ""));
  }

 private:
  Context& context_;
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
  context.note(fmt::format(
      "speech is told from silence by its level alone (no {} in the model folders)", kSileroFile));
  return std::unique_ptr<VoiceActivity>(std::make_unique<LevelActivity>());
}

// Every piece in its own time, or as fast as it goes.
Status play(SoundReader& sound, bool realtime, VoiceLoop& loop, const Output& out) {
  std::vector<float> piece(kActivityFrame);
  const auto began = std::chrono::steady_clock::now();
  for (std::int64_t n_played = 0; out.is_open();) {
    const std::size_t n = TRY(sound.read(piece));
    if (n == 0) return loop.finish();
    n_played += static_cast<std::int64_t>(n);
    if (realtime) {
      std::this_thread::sleep_until(began +
                                    std::chrono::microseconds(n_played * 1'000'000 / kSampleRate));
    }
    TRY(loop.push(std::span(piece).first(n)));
  }
  return {};
}

Result<int> listen(const ListenFlags& flags, Context& context) {
  if (flags.engine.model.empty()) {
    return context.usage_error("MODEL: missing, expected a model that hears");
  }
  if (flags.input.empty()) {
    return context.usage_error("--input: missing, expected a sound file or - for standard input");
  }
  if (flags.input == "mic") {
    return unimplemented("--input mic: this build records no sound (expected a file, or -)");
  }
  const Part part = TRY(open_medium(flags.input, flags.input, Part::Kind::Audio, context));
  auto sound = TRY_IN(flags.input, SoundReader::open(part.bytes.bytes(), {}));
  const auto service = TRY(open_hearing_service(flags.engine, context));
  const auto activity = TRY(find_activity(context));
  Printer printer(context);
  VoiceLoop loop(
      *service, *activity,
      {.system = flags.system, .sampling = flags.sampling, .waits_for_answers = !flags.realtime},
      printer);
  TRY(play(*sound, flags.realtime, loop, context.out()));
  for (const auto& note : sound->notes()) context.note(fmt::format("{}: {}", flags.input, note));
  return kExitDone;
}

}  // namespace

void register_listen(CLI::App& program, Context& context) {
  auto flags = std::make_shared<ListenFlags>();
  CLI::App& command = context.add_command(
      program, {.name = "listen",
                .summary = "a talk by voice: answers what is said in a sound",
                .example = "fourfold listen gemma-4-e4b --input talk.wav --realtime",
                .action = [&context, flags] { return listen(*flags, context); }});
  const auto text_flag = [&](const char* names, const char* value, const char* help,
                             std::string& target) {
    add_value_flag(command, {.names = names, .value = value, .help = help},
                   [&target](const std::string& text) -> Status {
                     target = text;
                     return {};
                   });
  };
  text_flag("--input", "FILE", "sound that is listened to; - is standard input (required)",
            flags->input);
  text_flag("--system", "TEXT", "what the model is told first (nothing)", flags->system);
  add_switch(command,
             {.names = "--realtime", .help = "the sound at its own speed (as fast as it goes)"},
             flags->realtime);
  add_engine_flags(command, flags->engine);
  add_mmproj_flag(command, flags->engine);
  add_sampling_flags(command, flags->sampling);
}

}  // namespace fourfold
