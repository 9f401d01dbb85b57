#include "cli/debug_mel.h"

#include <memory>

#include "base/mapped_file.h"
#include "cli/arrays.h"
#include "cli/flags.h"
#include "media/log_mel.h"
#include "media/sound.h"

namespace fourfold {
namespace {

struct MelFlags {
  std::string sound;
  std::string out;
};

// The first block of a file; what a longer one has beyond it is said in a note.
Result<std::vector<float>> read_block(const std::string& path, Context& context) {
  const auto file = TRY(MappedFile::open(path));
  auto reader = TRY_IN(path, SoundReader::open(file->bytes(), {}));
  std::vector<float> samples(static_cast<std::size_t>(kBlockSamples) + 1);
  samples.resize(TRY_IN(path, reader->read(samples)));
  if (samples.size() > std::size_t{kBlockSamples}) {
    samples.resize(std::size_t{kBlockSamples});
    context.note(fmt::format("{}: longer than 30 s, only the first block is analysed", path));
  }
  for (const auto& note : reader->notes()) context.note(fmt::format("{}: {}", path, note));
  return samples;
}

Result<int> debug_mel(const MelFlags& flags, Context& context) {
  if (flags.out.empty()) return context.usage_error("--out: missing, expected a file to write");
  const auto samples = TRY(read_block(flags.sound, context));
  const auto n_frames = mel_frames(static_cast<std::int64_t>(samples.size()));
  ArrayWriter arrays;
  arrays.add("mel", {n_frames, kMelBins}, log_mel(samples));
  TRY(arrays.write(flags.out));
  return kExitDone;
}

}  // namespace

void register_debug_mel(CLI::App& group, Context& context) {
  auto flags = std::make_shared<MelFlags>();
  CLI::App& command = context.add_command(
      group, {.name = "mel",
              .summary = "writes the log-mel features of a sound",
              .example = "fourfold debug mel speech.wav --out m.safetensors",
              .action = [&context, flags] { return debug_mel(*flags, context); }});
  add_argument(command, {.names = "AUDIO", .help = "sound file"}, flags->sound);
  add_value_flag(command,
                 {.names = "--out",
                  .value = "OUT.safetensors",
                  .help = "where the array `mel` [F, 128] goes (required)"},
                 [flags](const std::string& text) -> Status {
                   flags->out = text;
                   return {};
                 });
}

}  // namespace fourfold
