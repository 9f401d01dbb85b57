#include "api/media_settings.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>

#include "base/letter_case.h"
#include "base/utf8.h"
#include "media/resize.h"

namespace fourfold {
namespace {

using Kind = Part::Kind;

constexpr std::int64_t kMost = 1'000'000;

struct Level {
  std::string_view name;
  MediaBudgets budgets;
};

const Level kLevels[] = {{"unspecified", {}},
                         {"low", {70, 70}},
                         {"medium", {280, 70}},
                         {"high", {560, 280}},
                         {"ultra_high", {1120, 560}}};

// The largest budget that is not above n; the smallest one is given to everybody.
int budget_within(std::int64_t n) {
  int budget = kSoftTokenBudgets.front();
  for (const int one : kSoftTokenBudgets) {
    if (one <= n) budget = one;
  }
  return budget;
}

// "1.5s"
Result<std::optional<double>> read_seconds(const Field& field) {
  const auto text = TRY(field.optional_string());
  if (!text) return std::optional<double>();
  double seconds = 0.0;
  const char* last = text->data() + text->size();
  const auto [end, error] = std::from_chars(text->data(), last, seconds);
  const bool is_duration = error == std::errc() && end + 1 == last && *end == 's' &&
                           std::isfinite(seconds) && seconds >= 0.0;
  if (is_duration) return std::optional(seconds);
  return field.error(fmt::format("{} (expected seconds such as 1.5s)", printable(*text)));
}

Result<std::optional<int>> read_budget(const Field& field) {
  const auto n = TRY(field.optional_integer(1, kMost));
  if (!n) return std::optional<int>();
  const auto budget = static_cast<int>(*n);
  if (std::ranges::find(kSoftTokenBudgets, budget) != kSoftTokenBudgets.end()) {
    return std::optional(budget);
  }
  return field.error(fmt::format("{} (expected 70, 140, 280, 560 or 1120)", budget));
}

// Of films: "fps: 0 is out of range (expected more than 0 and at most 24)".
Result<std::optional<double>> read_fps(const Field& field, double most) {
  const auto fps = TRY(field.optional_number(-std::numeric_limits<double>::max(),
                                             std::numeric_limits<double>::max()));
  if (!fps || (*fps > 0.0 && *fps <= most)) return fps;
  return field.error(
      fmt::format("{} is out of range (expected more than 0 and at most {})", *fps, most));
}

template <class T>
void fill(std::optional<T>& value, const std::optional<T>& otherwise) {
  if (!value) value = otherwise;
}

void add_defaults(Part& part, const MediaBudgets& budgets, const MediaSettings& settings) {
  if (part.kind != Kind::Image && part.kind != Kind::Video) return;
  MediaSettings& own = part.settings;
  if (!own.budget) set_budget(part, budgets);
  fill(own.budget, settings.budget);
  if (part.kind != Kind::Video) return;
  if (!own.fps && !own.n_frames) {
    own.fps = settings.fps;
    own.n_frames = settings.n_frames;
  }
  fill(own.video_tokens, settings.video_tokens);
  fill(own.sound, settings.sound);
}

}  // namespace

Result<MediaBudgets> read_resolution_level(const Field& field) {
  constexpr std::string_view kPrefix = "media_resolution_";
  const auto given = TRY(field.optional_string());
  if (!given || given->empty()) return MediaBudgets();
  std::string name = to_lower(*given);
  if (name.starts_with(kPrefix)) name.erase(0, kPrefix.size());
  for (const auto& level : kLevels) {
    if (level.name == name) return level.budgets;
  }
  return field.error(fmt::format(
      "{} (expected MEDIA_RESOLUTION_LOW, _MEDIUM, _HIGH or _ULTRA_HIGH)", printable(*given)));
}

Result<MediaBudgets> read_part_resolution(const Field& resolution) {
  if (!resolution.json().is_object()) return read_resolution_level(resolution);
  const auto of_level = TRY(read_resolution_level(resolution["level"]));
  const auto n = TRY(resolution["numTokens"].optional_integer(1, kMost));
  if (!n) return of_level;
  return MediaBudgets{.image = budget_within(*n), .frame = budget_within(*n)};
}

Result<MediaBudgets> read_image_detail(const Field& detail) {
  const auto given = TRY(detail.optional_string());
  const std::string word = to_lower(given.value_or("auto"));
  if (word == "auto" || word.empty()) return MediaBudgets();
  if (word == "low") return MediaBudgets{.image = 70, .frame = {}};
  // "original" is what the Responses API calls a picture that is not reduced.
  if (word == "high" || word == "original") return MediaBudgets{.image = 1120, .frame = {}};
  return detail.error(fmt::format("{} (expected low, auto or high)", printable(*given)));
}

Status read_video_metadata(const Field& metadata, MediaSettings& settings) {
  constexpr double kMostFps = 24.0;
  if (metadata.absent()) return {};
  TRY(metadata.require_object());
  const Field end = metadata["endOffset"];
  settings.from_s = TRY(read_seconds(metadata["startOffset"]));
  settings.to_s = TRY(read_seconds(end));
  settings.fps = TRY(read_fps(metadata["fps"], kMostFps));
  if (settings.to_s && *settings.to_s <= settings.from_s.value_or(0.0)) {
    return end.error(fmt::format("{}s is not behind the start at {}s", *settings.to_s,
                                 settings.from_s.value_or(0.0)));
  }
  return {};
}

Result<MediaSettings> read_media_kwargs(const Field& kwargs) {
  constexpr double kMostFps = 240.0;
  MediaSettings settings;
  if (kwargs.absent()) return settings;
  TRY(kwargs.require_object());
  settings.budget = TRY(read_budget(kwargs["max_soft_tokens"]));
  settings.fps = TRY(read_fps(kwargs["fps"], kMostFps));
  const auto n_frames = TRY(kwargs["num_frames"].optional_integer(1, kMost));
  if (n_frames) settings.n_frames = static_cast<int>(*n_frames);
  if (settings.fps && settings.n_frames) {
    return kwargs["num_frames"].error("does not go together with fps (expected one of them)");
  }
  settings.video_tokens = TRY(kwargs["video_tokens"].optional_integer(1, kMost));
  settings.sound = TRY(kwargs["sound"].optional_boolean());
  return settings;
}

void set_budget(Part& part, const MediaBudgets& budgets) {
  if (part.kind == Kind::Image) part.settings.budget = budgets.image;
  if (part.kind == Kind::Video) part.settings.budget = budgets.frame;
}

void add_media_defaults(std::vector<Message>& messages, const MediaBudgets& budgets,
                        const MediaSettings& settings) {
  for (auto& message : messages) {
    for (auto& part : message.parts) add_defaults(part, budgets, settings);
    for (auto& result : message.results) {
      for (auto& part : result.media) add_defaults(part, budgets, settings);
    }
  }
}

}  // namespace fourfold
