#include "cli/transcribe.h"

#include <memory>
#include <utility>
#include <vector>

#include "base/utf8.h"
#include "cli/flags.h"
#include "cli/hearing.h"
#include "cli/media.h"
#include "cli/model_flags.h"
#include "engine/chat_service.h"
#include "engine/transcribe.h"

namespace fourfold {
namespace {

enum class Format { Text, Json, Srt, Vtt };

struct TranscribeFlags {
  EngineFlags engine;
  std::vector<std::string> files;
  std::string language, prompt;
  Format format = Format::Text;
};

Result<Format> parse_format(const std::string& text) {
  if (text == "text") return Format::Text;
  if (text == "json") return Format::Json;
  if (text == "srt") return Format::Srt;
  if (text == "vtt") return Format::Vtt;
  return invalid_argument("{} (expected text, json, srt or vtt)", printable(text));
}

// Text is printed as it comes.
class Printer final : public TranscriptListener {
 public:
  Printer(Context& context, bool prints_text, std::string file)
      : context_(context), prints_text_(prints_text), file_(std::move(file)) {}

  bool said(std::string_view text) override {
    return !prints_text_ || text.empty() || context_.out().write(text);
  }
  bool segment(const TranscriptSegment& segment) override {
    const bool is_cut = segment.finish == ChatFinish::Loop || segment.finish == ChatFinish::Length;
    if (is_cut) {
      context_.note(fmt::format("{}: {:.1f} to {:.1f} s: the text was cut off ({})", file_,
                                segment.start_s, segment.end_s, name(segment.finish)));
    }
    context_.detail(fmt::format("{}: {:.1f} s", file_, segment.end_s));
    return true;
  }

 private:
  Context& context_;
  bool prints_text_;
  std::string file_;
};

Status print(const Transcript& transcript, const std::string& file, const TranscribeFlags& flags,
             Context& context) {
  switch (flags.format) {
    case Format::Text: context.out().write("\n"); return {};
    case Format::Srt: context.out().write(to_srt(transcript.segments)); return {};
    case Format::Vtt: context.out().write(to_vtt(transcript.segments)); return {};
    case Format::Json: break;
  }
  auto json = JsonValue::object();
  json.set("file", JsonValue::of(file));
  auto rest = verbose_transcript(transcript, flags.language);
  for (auto& member : rest.members) json.set(member.key, std::move(member.value));
  auto usage = JsonValue::object();
  const auto count = [&](const char* key, std::int64_t n) {
    usage.set(key, JsonValue::number(fmt::format("{}", n)));
  };
  count("prompt_tokens", transcript.usage.prompt_tokens);
  count("audio_tokens", transcript.usage.audio_tokens);
  count("completion_tokens", transcript.usage.answer_tokens);
  json.set("usage", std::move(usage));
  context.print_json_value(json);
  return {};
}

Result<int> transcribe_files(TranscribeFlags flags, Context& context) {
  if (context.json) flags.format = Format::Json;
  if (flags.engine.model.empty()) {
    return context.usage_error("--model: missing, expected a model that hears");
  }
  if (flags.files.empty()) return context.usage_error("FILE: missing, expected a sound file");
  const bool is_subtitles = flags.format == Format::Srt || flags.format == Format::Vtt;
  if (is_subtitles && flags.files.size() > 1) {
    return context.usage_error("--format: subtitles are of one file");
  }
  std::vector<Part> sounds;
  for (const auto& file : flags.files) {
    sounds.push_back(TRY(open_medium(file, file, Part::Kind::Audio, context)));
  }
  const auto service = TRY(open_hearing_service(flags.engine, context));
  const TranscribeOptions options{.language = flags.language, .prompt = flags.prompt};
  const auto answer = answer_by(*service, {.user = "transcribe"});
  for (std::size_t i = 0; i < sounds.size(); ++i) {
    const std::string& file = flags.files[i];
    Printer printer(context, flags.format == Format::Text, file);
    auto transcript = transcribe(sounds[i].bytes.bytes(), options, answer, printer);
    // Nobody reads what is printed.
    if (!transcript.ok() && transcript.error().code == Code::Cancelled) break;
    if (!transcript.ok()) return std::move(transcript).error().in(file);
    for (const auto& note : transcript->notes) context.note(fmt::format("{}: {}", file, note));
    TRY(print(*transcript, file, flags, context));
  }
  return kExitDone;
}

}  // namespace

void register_transcribe(CLI::App& program, Context& context) {
  auto flags = std::make_shared<TranscribeFlags>();
  CLI::App& command = context.add_command(
      program, {.name = "transcribe",
                .summary = "writes down what is said in recordings of any length",
                .example = "fourfold transcribe talk.mp3 --model gemma-4-e4b --format srt",
                .action = [&context, flags] { return transcribe_files(*flags, context); }});
  add_arguments(command, {.names = "FILE", .help = "sound or film; - is standard input"},
                flags->files);
  const auto text_flag = [&](const char* names, const char* value, const char* help,
                             std::string& target) {
    add_value_flag(command, {.names = names, .value = value, .help = help},
                   [&target](const std::string& text) -> Status {
                     target = text;
                     return {};
                   });
  };
  text_flag("--model", "MODEL", "GGUF file, safetensors folder, or name (required)",
            flags->engine.model);
  text_flag("--language", "L", "the language spoken (whatever it is)", flags->language);
  text_flag("--prompt", "TEXT", "names and spellings that may occur (none)", flags->prompt);
  add_value_flag(command,
                 {.names = "--format", .value = "F", .help = "text, json, srt or vtt (text)"},
                 [flags](const std::string& text) -> Status {
                   flags->format = TRY(parse_format(text));
                   return {};
                 });
  add_engine_flags(command, flags->engine, false);
  add_mmproj_flag(command, flags->engine);
}

}  // namespace fourfold
