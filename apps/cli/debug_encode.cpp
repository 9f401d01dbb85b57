#include "cli/debug_encode.h"

#include <memory>
#include <optional>
#include <utility>

#include "base/resources.h"
#include "cli/arrays.h"
#include "cli/debug_encode_audio.h"
#include "cli/debug_pixels.h"
#include "cli/flags.h"
#include "cli/folders.h"
#include "cli/model_flags.h"
#include "formats/media_config.h"
#include "formats/model_config.h"
#include "kernels/dispatch.h"
#include "media/patches.h"
#include "media/picture.h"
#include "media/resize.h"
#include "model/vision/vision_model.h"

namespace fourfold {
namespace {

constexpr std::int64_t kMostThreads = 1024;

struct EncodeFlags {
  std::string model, mmproj;
  std::string image, patches;
  SoundToEncode sound;
  int budget = kImageBudget;
  std::optional<std::int64_t> n_threads;
  bool fast = false;
  bool taps = false;
  std::string out;
};

// The file that holds the encoders: --mmproj, else MODEL itself, else what lies beside it.
Result<std::shared_ptr<const Checkpoint>> open_encoders(const EncodeFlags& flags,
                                                        Context& context) {
  std::string path = flags.mmproj;
  if (path.empty()) {
    path = TRY(resolve_model(flags.model));
    auto model = TRY(Checkpoint::open(path));
    const auto vision = TRY(load_vision_config(model));
    const auto audio = TRY(load_audio_config(model));
    if (vision || audio || model.form() != Checkpoint::Form::Gguf) {
      return std::make_shared<const Checkpoint>(std::move(model));
    }
    const auto config = TRY(load_model_config(model));
    const auto beside = TRY(find_mmproj(path, config.text.width));
    if (!beside) {
      return failed_precondition("{}: no encoders in it and no projector beside it (--mmproj)",
                                 path);
    }
    path = *beside;
    context.note(fmt::format("projector {}", path));
  }
  return std::make_shared<const Checkpoint>(TRY(Checkpoint::open(path)));
}

Result<Patches> read_picture(const EncodeFlags& flags, int side) {
  const auto read = TRY(read_resized_picture(flags.image, flags.budget));
  return make_patches(read.resized, side, PixelScale::Picture);
}

// What `debug pixels` wrote: rows in the order of the grid, which the last position closes.
Result<Patches> read_patches(const std::string& path, int side) {
  const auto arrays = TRY(Arrays::open(path));
  Patches patches{.side = side};
  patches.values = TRY(arrays.floats("patches"));
  patches.positions = TRY(arrays.ints("positions"));
  const auto shape = arrays.shape("patches");
  if (shape.size() != 2 || shape[1] != patches.width() || shape[0] < 1 ||
      static_cast<std::int64_t>(patches.positions.size()) != 2 * shape[0]) {
    return invalid_argument("{}: expected patches [n, {}] and positions [n, 2]", path,
                            patches.width());
  }
  const std::size_t last = patches.positions.size() - 2;
  patches.grid_width = patches.positions[last] + 1;
  patches.grid_height = patches.positions[last + 1] + 1;
  bool in_order = patches.grid_width > 0 && patches.n() == shape[0];
  for (std::int64_t i = 0; in_order && i < patches.n(); ++i) {
    const auto at = static_cast<std::size_t>(2 * i);
    in_order = patches.positions[at] == i % patches.grid_width &&
               patches.positions[at + 1] == i / patches.grid_width;
  }
  if (!in_order) return invalid_argument("{}: positions are not those of a grid, row by row", path);
  return patches;
}

Status encode_picture(std::shared_ptr<const Checkpoint> checkpoint, const EncodeFlags& flags,
                      Ops& ops, ArrayWriter& arrays) {
  const auto config = TRY(load_vision_config(*checkpoint));
  if (!config) return failed_precondition("{}: no vision encoder", checkpoint->path());
  const int side = config->patch_side();  // what is wrong with the picture is said before the load
  const auto patches =
      TRY(flags.image.empty() ? read_patches(flags.patches, side) : read_picture(flags, side));
  const auto model = TRY(VisionModel::load(std::move(checkpoint), *config, ops));
  const MediaTap tap = [&](std::string_view name, int layer, const MatView& value) {
    arrays.add_tap(name, layer, value);
  };
  VisionEncoder encoder(model, ops);
  auto soft = TRY(encoder.encode(patches, flags.taps ? &tap : nullptr, {}));
  const auto n_soft = static_cast<std::int64_t>(soft.size()) / config->text_width;
  arrays.add("soft", {n_soft, config->text_width}, std::move(soft));
  return {};
}

Result<int> debug_encode(EncodeFlags flags, Context& context) {
  const bool is_picture = !flags.image.empty() || !flags.patches.empty();
  const int n_sources = !flags.image.empty() + !flags.patches.empty() + !flags.sound.audio.empty() +
                        !flags.sound.mel.empty();
  if (n_sources != 1) {
    return context.usage_error("expected exactly one of --image, --patches, --audio and --mel");
  }
  if (flags.out.empty()) return context.usage_error("--out: missing, expected a file to write");
  if (flags.fast && !is_picture) return context.usage_error("--fast: expected a picture");
  flags.sound.taps = flags.taps;

  auto checkpoint = TRY(open_encoders(flags, context));
  const Kernels* kernels = TRY(choose_kernels(environment("FOURFOLD_FORCE_ISA")));
  const CpuBudget cpus = read_cpu_budget();
  const auto n_threads = static_cast<int>(flags.n_threads.value_or(cpus.n_threads));
  ThreadPool pool(n_threads, cpus.n_threads);
  Ops ops(*kernels, pool, !flags.fast);
  ArrayWriter arrays;
  if (is_picture) {
    TRY(encode_picture(std::move(checkpoint), flags, ops, arrays));
  } else {
    TRY(encode_sound(std::move(checkpoint), flags.sound, ops, arrays, context));
  }
  TRY(arrays.write(flags.out));
  return kExitDone;
}

}  // namespace

void register_debug_encode(CLI::App& group, Context& context) {
  auto flags = std::make_shared<EncodeFlags>();
  CLI::App& command = context.add_command(
      group,
      {.name = "encode",
       .summary = "writes what a picture or a sound becomes as input of the text model",
       .example = "fourfold debug encode gemma.gguf --image photo.jpg --out soft.safetensors",
       .action = [&context, flags] { return debug_encode(*flags, context); }});
  add_argument(command,
               {.names = "MODEL", .help = "a model with its encoders, or a projector file"},
               flags->model);
  add_value_flag(
      command,
      {.names = "--mmproj", .value = "FILE", .help = "the projector file (the one beside MODEL)"},
      take_text(flags->mmproj));
  add_value_flag(command, {.names = "--image", .value = "F", .help = "a picture"},
                 take_text(flags->image));
  add_value_flag(command,
                 {.names = "--patches",
                  .value = "F.safetensors",
                  .help = "patches and positions, as `debug pixels` writes them"},
                 take_text(flags->patches));
  add_value_flag(command, {.names = "--audio", .value = "F", .help = "a sound, its first 30 s"},
                 take_text(flags->sound.audio));
  add_value_flag(
      command,
      {.names = "--mel", .value = "F.safetensors", .help = "mel rows, as `debug mel` writes them"},
      take_text(flags->sound.mel));
  add_value_flag(
      command,
      {.names = "--out", .value = "F.safetensors", .help = "where the arrays go (required)"},
      take_text(flags->out));
  add_value_flag(
      command,
      {.names = "--budget", .value = "N", .help = "soft tokens: 70, 140, 280, 560 or 1120 (280)"},
      [flags](const std::string& text) -> Status {
        const auto budget = TRY(parse_integer(text));
        TRY(check_budget(budget));
        flags->budget = static_cast<int>(budget);
        return {};
      });
  add_value_flag(command, {.names = "-t,--threads", .value = "N", .help = "(what the CPUs allow)"},
                 take_integer(flags->n_threads, {.least = 1, .most = kMostThreads}));
  add_switch(command, {.names = "--taps", .help = "inner values of all layers (off)"}, flags->taps);
  add_switch(command,
             {.names = "--fast", .help = "in integers, as pictures are encoded elsewhere (off)"},
             flags->fast);
}

}  // namespace fourfold
