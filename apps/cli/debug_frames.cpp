#include "cli/debug_frames.h"

#include <memory>
#include <nlohmann/json.hpp>

#include "base/mapped_file.h"
#include "cli/flags.h"
#include "media/frame_choice.h"
#include "media/resize.h"
#include "media/video.h"

namespace fourfold {
namespace {

using nlohmann::ordered_json;

struct FramesFlags {
  std::string file;
  FrameRequest request;
  std::optional<double> from_s;
  int budget = kFrameBudget;
};

// The keys of the coverage are those of answers (vision-video.md 8.6).
ordered_json frames_json(const VideoInfo& info, const FrameChoice& choice, PictureSize target) {
  auto stamps = ordered_json::array();
  for (const std::int64_t index : choice.indices) stamps.push_back(frame_stamp(index, info.fps));
  ordered_json coverage = {
      {"frames", choice.indices.size()}, {"rule", name(choice.rule)},
      {"from_s", choice.from_s},         {"to_s", choice.to_s},
      {"duration_s", info.duration_s},   {"largest_gap_s", choice.largest_gap_s},
      {"shots", choice.n_shots},
  };
  return {{"indices", choice.indices},
          {"stamps", std::move(stamps)},
          {"rule", name(choice.rule)},
          {"fps", info.fps},
          {"total", info.n_frames},
          {"format", info.format},
          {"width", info.size.width},
          {"height", info.size.height},
          {"target_width", target.width},
          {"target_height", target.height},
          {"soft_tokens", soft_tokens(target)},
          {"sound", info.has_sound},
          {"cuts_s", choice.cuts_s},
          {"coverage", std::move(coverage)}};
}

std::string frames_text(const VideoInfo& info, const FrameChoice& choice) {
  std::string text;
  for (const std::int64_t index : choice.indices) {
    text += fmt::format("{}\t{}\n", index, frame_stamp(index, info.fps));
  }
  return text;
}

Result<int> debug_frames(FramesFlags flags, Context& context) {
  if (flags.request.fps && flags.request.n_frames) {
    return context.usage_error("--fps and --frames exclude each other");
  }
  const auto file = TRY(MappedFile::open(flags.file));
  const auto video = TRY_IN(flags.file, VideoReader::open(file->bytes(), {}));
  const VideoInfo& info = video->info();
  const auto target = TRY_IN("--budget", target_size(info.size, flags.budget));
  flags.request.frame_tokens = soft_tokens(target);
  flags.request.from_s = flags.from_s.value_or(0.0);
  const auto choice = TRY_IN(flags.file, choose_frames(*video, flags.request));
  if (context.json) {
    context.print_json(frames_json(info, choice, target));
    return kExitDone;
  }
  context.out().write(frames_text(info, choice));
  context.note(fmt::format("{} of {} frames at {:.3f} per second, rule {}, no gap above {:.1f} s",
                           choice.indices.size(), info.n_frames, info.fps, name(choice.rule),
                           choice.largest_gap_s));
  return kExitDone;
}

}  // namespace

void register_debug_frames(CLI::App& group, Context& context) {
  auto flags = std::make_shared<FramesFlags>();
  CLI::App& command = context.add_command(
      group, {.name = "frames",
              .summary = "which frames of a film are seen, and their stamps",
              .example = "fourfold debug frames clip.mp4 --fps 1 --json",
              .action = [&context, flags] { return debug_frames(*flags, context); }});
  add_argument(command, {.names = "VIDEO", .help = "mp4, mov, webm, mkv, avi, gif, …"},
               flags->file);
  add_value_flag(command, {.names = "--fps", .value = "X", .help = "frames per second of the film"},
                 take_number(flags->request.fps, {.least = 1e-6, .most = 1e6}));
  add_value_flag(command,
                 {.names = "--frames",
                  .value = "N",
                  .help = "spread over the film (32; above a minute by shots)"},
                 take_integer(flags->request.n_frames, {.least = 1, .most = 1'000'000}));
  add_value_flag(command, {.names = "--from", .value = "S", .help = "seconds to begin at (0)"},
                 take_number(flags->from_s, {.least = 0.0}));
  add_value_flag(command, {.names = "--to", .value = "S", .help = "seconds to end at (its end)"},
                 take_number(flags->request.to_s, {.least = 0.0}));
  add_value_flag(command,
                 {.names = "--budget", .value = "N", .help = "soft tokens of a frame (70)"},
                 take_integer(flags->budget, {.least = 1, .most = 1 << 20}));
  add_value_flag(command,
                 {.names = "--video-tokens",
                  .value = "N",
                  .help = "of all frames where shots are chosen (8192)"},
                 take_integer(flags->request.video_tokens, {.least = 1, .most = 1 << 30}));
}

}  // namespace fourfold
