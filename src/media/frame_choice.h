// Which frames of a film are seen, and their stamps (vision-video.md 8.1, 8.3, 8.6).
//
//   const auto choice = TRY(choose_frames(*video, {.frame_tokens = 66}));
//   TRY(video->frames(choice.indices, look));
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "media/video.h"

namespace fourfold {

inline constexpr int kDefaultFrames = 32;
inline constexpr double kLongFilmSeconds = 60.0;  // above it shots are chosen
inline constexpr int kStampTokens = 8;            // what a frame costs beside its soft tokens

struct FrameRequest {
  std::optional<double> fps;  // 0 < fps; not together with n_frames
  std::optional<int> n_frames;
  double from_s = 0.0;  // offsets, applied first
  std::optional<double> to_s;
  int frame_tokens = 0;              // N of one frame
  std::int64_t video_tokens = 8192;  // budget of the frames of one clip where shots are chosen
};

enum class FrameRule { Uniform, Fps, Shots };
std::string_view name(FrameRule rule);  // "uniform", "fps", "shots"

struct FrameChoice {
  FrameRule rule = FrameRule::Uniform;
  std::vector<std::int64_t> indices;  // of the source, ascending
  int n_shots = 0;                    // of FrameRule::Shots
  std::vector<double> cuts_s;         // where shots begin after the first, of FrameRule::Shots
  double from_s = 0.0, to_s = 0.0;    // what the indices were chosen from
  double largest_gap_s = 0.0;         // without a frame, both ends of the stretch considered
};

// floor(i · total / n), i < n; n is clamped to total.
std::vector<std::int64_t> uniform_frames(std::int64_t total, std::int64_t n);
// "mm:ss" of a source frame; minutes may pass 59.
std::string frame_stamp(std::int64_t index, double fps);

// One pass over the film where shots are needed, none otherwise. InvalidArgument for a request that
// contradicts itself or lies outside the film.
Result<FrameChoice> choose_frames(VideoReader& video, const FrameRequest& request);

// The parts of the choice by shots.

inline constexpr int kThumbnailWidth = 32, kThumbnailHeight = 18;
// RGB, row-major.
using Thumbnail = std::array<std::uint8_t, kThumbnailWidth * kThumbnailHeight * 3>;

// Means over areas, exact in integers, rounded down: the same on every machine.
Thumbnail make_thumbnail(const Picture& picture);
// The larger of the mean difference over the picture and half of the largest one over its 4 × 3
// tiles: a small thing that appears counts too.
int thumbnail_difference(const Thumbnail& a, const Thumbnail& b);

// What is kept of a pass over a film: how much each thumbnail differs from the one before ([0] is
// 0), and from the one before that.
struct FilmChanges {
  std::vector<int> by_one, by_two;
};

struct Shots {
  std::vector<int> cuts;    // thumbnails where a shot begins, after the first
  std::vector<int> events;  // flashes
};

Shots find_shots(const FilmChanges& changes);
// At most n thumbnails, ascending; exactly n where there are so many.
std::vector<int> choose_thumbnails(const FilmChanges& changes, const Shots& shots, int n);

}  // namespace fourfold
