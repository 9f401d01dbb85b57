#include "cli/debug_pixels.h"

#include <memory>

#include "base/mapped_file.h"
#include "cli/arrays.h"
#include "cli/flags.h"
#include "media/patches.h"
#include "media/picture.h"
#include "media/resize.h"

namespace fourfold {
namespace {

constexpr int kPatchSide = 16;

struct PixelsFlags {
  std::string image;
  int budget = kImageBudget;
  std::string out;
};

Result<int> debug_pixels(const PixelsFlags& flags, Context& context) {
  if (flags.out.empty()) return context.usage_error("--out: missing, expected a file to write");
  const auto [decoded, resized] = TRY(read_resized_picture(flags.image, flags.budget));
  auto patches = make_patches(resized, kPatchSide, PixelScale::Picture);
  if (decoded.n_frames > 1) {
    context.note(fmt::format("{}: frame 1 of {}", flags.image, decoded.n_frames));
  }

  ArrayWriter arrays;
  arrays.add("pixels", {resized.height, resized.width, 3},
             std::vector<std::int32_t>(resized.rgb.begin(), resized.rgb.end()));
  arrays.add("patches", {patches.n(), patches.width()}, std::move(patches.values));
  arrays.add("positions", {patches.n(), 2}, std::move(patches.positions));
  TRY(arrays.write(flags.out));
  return kExitDone;
}

}  // namespace

Result<ReadPicture> read_resized_picture(const std::string& path, int budget) {
  const auto file = TRY(MappedFile::open(path));
  ReadPicture read;
  read.decoded = TRY_IN(path, decode_picture(file->bytes(), {}));
  const auto target = TRY(target_size(read.decoded.picture.size(), budget));
  read.resized = resize(read.decoded.picture, target);
  return read;
}

void register_debug_pixels(CLI::App& debug, Context& context) {
  auto flags = std::make_shared<PixelsFlags>();
  CLI::App& command = context.add_command(
      debug, {.name = "pixels",
              .summary = "writes a picture's pixels and patches as a vision tower takes them",
              .example = "fourfold debug pixels photo.jpg --budget 280 --out p.safetensors",
              .action = [&context, flags] { return debug_pixels(*flags, context); }});
  add_argument(command, {.names = "IMAGE", .help = "png, jpeg, webp, gif, bmp, …"}, flags->image);
  add_value_flag(
      command,
      {.names = "--budget", .value = "N", .help = "soft tokens: 70, 140, 280, 560 or 1120 (280)"},
      [flags](const std::string& text) -> Status {
        const auto budget = TRY(parse_integer(text));
        TRY(check_budget(budget));
        flags->budget = static_cast<int>(budget);
        return {};
      });
  add_value_flag(
      command,
      {.names = "--out", .value = "F.safetensors", .help = "where the arrays go (required)"},
      [flags](const std::string& text) -> Status {
        flags->out = text;
        return {};
      });
}

}  // namespace fourfold
