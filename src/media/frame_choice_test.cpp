#include "media/frame_choice.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <random>

#include "base/json.h"
#include "base/mapped_file.h"
#include "media/drawn_video.h"

namespace fourfold {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

nlohmann::json golden(const std::string& name) {
  const auto path = std::string(FOURFOLD_SOURCE_DIR) + "/tests/golden/video/" + name;
  const auto text = read_text_file(path);
  EXPECT_TRUE(text.ok()) << path;
  return parse_json(*text).value();
}

Picture plain(int value, int width = 64, int height = 36) {
  Picture picture{.width = width, .height = height, .rgb = {}};
  picture.rgb.assign(static_cast<std::size_t>(width * height * 3),
                     static_cast<std::uint8_t>(value));
  return picture;
}

DrawnVideo film(
    std::int64_t n_frames, double fps,
    std::function<Picture(std::int64_t)> draw = [](std::int64_t) { return plain(0); }) {
  return DrawnVideo(n_frames, fps, std::move(draw));
}

// --- rules 1 and 2

TEST(FrameChoice, TakesTheFramesAndStampsOfTheReference) {
  int n_errors = 0;
  const auto sampling = golden("sampling.json");
  for (const auto& row : sampling["rows"]) {
    SCOPED_TRACE(row.dump().substr(0, 120));
    const auto total = row["source_frames"].get<std::int64_t>();
    const double fps = row["source_fps"].get<double>();
    const auto& asked = row["request"];
    FrameRequest request;
    if (asked.contains("num_frames")) request.n_frames = asked["num_frames"].get<int>();
    if (asked.contains("fps")) request.fps = asked["fps"].get<double>();
    if (asked.empty()) request.n_frames = static_cast<int>(total);

    auto video = film(total, fps);
    const auto choice = choose_frames(video, request);
    ASSERT_TRUE(choice.ok()) << choice.error().message;
    EXPECT_EQ(choice->rule, request.fps ? FrameRule::Fps : FrameRule::Uniform);
    if (row.contains("error")) {  // the reference refuses more frames than there are
      ++n_errors;
      EXPECT_EQ(choice->indices, uniform_frames(total, total));
      continue;
    }
    EXPECT_EQ(choice->indices, row["indices"].get<std::vector<std::int64_t>>());
    std::vector<std::string> stamps;
    for (const auto index : choice->indices) stamps.push_back(frame_stamp(index, fps));
    EXPECT_EQ(stamps, row["stamps"].get<std::vector<std::string>>());
  }
  EXPECT_EQ(n_errors, 15);
}

TEST(FrameChoice, StampsStandInFrontOfFramesAsInTheReferencesPrompt) {
  constexpr double kUnknownFps = 24.0;
  const auto layout = golden("layout.json");
  for (const auto& row : layout["rows"]) {
    const double fps = row["source_fps"].is_null() ? kUnknownFps : row["source_fps"].get<double>();
    std::string text;
    for (const auto& index : row["frame_indices"]) {
      if (!text.empty()) text += ' ';
      text +=
          fmt::format("{} <|image><|video|>*{}<image|>",
                      frame_stamp(index.get<std::int64_t>(), fps), row["soft_tokens"].get<int>());
    }
    EXPECT_EQ(text, row["expanded"].get<std::string>());
  }
}

TEST(FrameChoice, SpreadsFourFramesOverFourSeconds) {
  EXPECT_THAT(uniform_frames(100, 4), ElementsAre(0, 25, 50, 75));
  EXPECT_EQ(frame_stamp(75, 25.0), "00:03");
}

TEST(FrameChoice, MinutesPassAnHour) {
  EXPECT_EQ(frame_stamp(25 * 3600, 25.0), "60:00");
  EXPECT_EQ(frame_stamp(25 * 3600 * 2, 25.0), "120:00");
}

TEST(FrameChoice, UniformFramesNeedNoPassOverTheFilm) {
  auto video = film(1500, 25.0);  // 60 s
  const auto choice = choose_frames(video, {.frame_tokens = 66});
  ASSERT_TRUE(choice.ok());
  EXPECT_EQ(choice->rule, FrameRule::Uniform);
  EXPECT_EQ(choice->indices.size(), 32u);
  EXPECT_EQ(video.n_drawn(), 0);
  EXPECT_EQ(choice->n_shots, 0);
  EXPECT_DOUBLE_EQ(choice->to_s, 60.0);
  EXPECT_NEAR(choice->largest_gap_s, 60.0 / 32, 0.05);
}

TEST(FrameChoice, ALongFilmIsUniformWhenFramesAreAsked) {
  auto video = film(10'000, 25.0);
  const auto choice = choose_frames(video, {.n_frames = 4, .frame_tokens = 66});
  ASSERT_TRUE(choice.ok());
  EXPECT_EQ(choice->rule, FrameRule::Uniform);
  EXPECT_THAT(choice->indices, ElementsAre(0, 2500, 5000, 7500));
}

TEST(FrameChoice, OneFrameIsOneFrame) {
  auto video = film(1, 25.0);
  const auto choice = choose_frames(video, {.frame_tokens = 66});
  ASSERT_TRUE(choice.ok());
  EXPECT_THAT(choice->indices, ElementsAre(0));
  EXPECT_EQ(frame_stamp(0, 25.0), "00:00");
}

TEST(FrameChoice, OffsetsComeFirst) {
  auto video = film(1000, 10.0);  // 100 s
  const auto choice = choose_frames(video, {.fps = 1.0, .from_s = 20.5, .to_s = 25.5});
  ASSERT_TRUE(choice.ok());
  EXPECT_THAT(choice->indices, ElementsAre(205, 215, 225, 235, 245));
  EXPECT_DOUBLE_EQ(choice->from_s, 20.5);
  EXPECT_DOUBLE_EQ(choice->to_s, 25.5);

  // What is left decides over the rule: 40 s are not long.
  const auto rest = choose_frames(video, {.from_s = 60.0});
  ASSERT_TRUE(rest.ok());
  EXPECT_EQ(rest->rule, FrameRule::Uniform);
  EXPECT_EQ(rest->indices.front(), 600);
  // An end behind the film's is the film's, and a cut between two frames has one.
  EXPECT_DOUBLE_EQ(choose_frames(video, {.from_s = 60.0, .to_s = 500.0})->to_s, 100.0);
  EXPECT_THAT(choose_frames(video, {.from_s = 0.12, .to_s = 0.13})->indices, ElementsAre(2));
}

TEST(FrameChoice, AnOffsetThatIsAFrameStartsThere) {
  // 1.1 · 30 is a little more than 33 in binary.
  auto video = film(300, 30.0);
  EXPECT_EQ(choose_frames(video, {.n_frames = 1, .from_s = 1.1})->indices.front(), 33);
}

struct BadRequest {
  FrameRequest request;
  const char* message;
};

TEST(FrameChoice, RefusesWhatContradictsItself) {
  const std::vector<BadRequest> rows = {
      {{.fps = 1.0, .n_frames = 4}, "fps and num_frames exclude each other"},
      {{.fps = 0.0}, "fps: 0, expected a number above 0"},
      {{.fps = -1.0}, "fps: -1"},
      {{.fps = std::nan("")}, "fps: nan"},
      {{.fps = INFINITY}, "fps: inf"},
      {{.n_frames = 0}, "num_frames: 0, expected at least 1"},
      {{.from_s = -1.0}, "start offset: -1 s"},
      {{.from_s = std::nan("")}, "start offset: nan s"},
      {{.from_s = 100.0}, "less than the 100.000 s of the film"},
      {{.from_s = 5.0, .to_s = 5.0}, "end offset: 5 s, expected more than"},
      {{.to_s = std::nan("")}, "end offset: nan s"},
  };
  for (const auto& row : rows) {
    auto video = film(1000, 10.0);
    const auto choice = choose_frames(video, row.request);
    ASSERT_FALSE(choice.ok()) << row.message;
    EXPECT_EQ(choice.error().code, Code::InvalidArgument);
    EXPECT_THAT(choice.error().message, HasSubstr(row.message));
  }
}

// --- thumbnails

TEST(Thumbnails, AreMeansOfAreasRoundedDown) {
  // 64×36: each value is the mean of 2×2 pixels.
  Picture picture = plain(0);
  const auto set = [&](int x, int y, int value) {
    for (int c = 0; c < 3; ++c) {
      picture.rgb[static_cast<std::size_t>((y * 64 + x) * 3 + c)] =
          static_cast<std::uint8_t>(value + c);
    }
  };
  set(2, 0, 100);
  set(3, 0, 101);
  set(2, 1, 102);
  set(3, 1, 104);  // sum 407, 411, 415
  const auto thumbnail = make_thumbnail(picture);
  EXPECT_EQ(thumbnail[0], 0);
  EXPECT_EQ(thumbnail[3], 101);
  EXPECT_EQ(thumbnail[4], 102);
  EXPECT_EQ(thumbnail[5], 103);
  EXPECT_EQ(thumbnail[6], 0);
}

TEST(Thumbnails, ShareOutPixelsThatLieInTwoCells) {
  // 48×27 on 32×18: a cell is 1.5 pixels wide and high. The first one holds pixel 0 and half of
  // pixel 1, so one of 9 quarters of the area is (0,0)'s four, and so on.
  Picture picture = plain(0, 48, 27);
  picture.rgb[0] = 90;  // (0, 0): 4 of 9
  picture.rgb[3] = 45;  // (1, 0): 2 of 9 here, 2 of 9 in the next cell
  const auto thumbnail = make_thumbnail(picture);
  EXPECT_EQ(thumbnail[0], 50);
  EXPECT_EQ(thumbnail[3], 10);
}

TEST(Thumbnails, OfAPlainPictureArePlainAtAnySize) {
  for (const auto& [width, height] : std::vector<std::pair<int, int>>{
           {1, 1}, {5, 3}, {31, 17}, {33, 19}, {160, 120}, {641, 359}, {4096, 4096}}) {
    const auto thumbnail = make_thumbnail(plain(201, width, height));
    EXPECT_TRUE(std::all_of(thumbnail.begin(), thumbnail.end(), [](int v) { return v == 201; }))
        << width << "x" << height;
  }
}

TEST(Thumbnails, ASmallThingCountsByItsTile) {
  Thumbnail a = {}, b = {};
  EXPECT_EQ(thumbnail_difference(a, b), 0);
  // One tile of twelve, 8×6 at (8, 6), by 60: mean 5 over all, 60 in the tile.
  for (int y = 6; y < 12; ++y) {
    for (int i = 8 * 3; i < 16 * 3; ++i) b[static_cast<std::size_t>(y * 96 + i)] = 60;
  }
  EXPECT_EQ(thumbnail_difference(a, b), 30);
  b.fill(60);
  EXPECT_EQ(thumbnail_difference(a, b), 60);
  EXPECT_EQ(thumbnail_difference(b, a), 60);
}

// --- shots

// n thumbnails that differ by 1, but for some.
FilmChanges changes(int n, const std::vector<std::pair<int, int>>& by_one,
                    const std::vector<std::pair<int, int>>& by_two = {}) {
  FilmChanges film;
  film.by_one.assign(static_cast<std::size_t>(n), 1);
  film.by_two.assign(static_cast<std::size_t>(n), 100);
  film.by_one[0] = film.by_two[0] = 0;
  if (n > 1) film.by_two[1] = 0;
  for (const auto& [k, value] : by_one) film.by_one[static_cast<std::size_t>(k)] = value;
  for (const auto& [k, value] : by_two) film.by_two[static_cast<std::size_t>(k)] = value;
  return film;
}

TEST(Shots, ACutIsLargeAndStandsOut) {
  EXPECT_THAT(find_shots(changes(40, {{20, 12}})).cuts, ElementsAre(20));
  EXPECT_THAT(find_shots(changes(40, {{20, 11}})).cuts, ElementsAre());
  // Three times the median of its neighbours, which move by 10 each.
  std::vector<std::pair<int, int>> motion;
  for (int k = 1; k < 40; ++k) motion.push_back({k, 10});
  motion[19].second = 29;
  EXPECT_THAT(find_shots(changes(40, motion)).cuts, ElementsAre());
  motion[19].second = 30;
  EXPECT_THAT(find_shots(changes(40, motion)).cuts, ElementsAre(20));
}

TEST(Shots, OfTwoCutsWithinASecondTheLargerStays) {
  EXPECT_THAT(find_shots(changes(40, {{20, 50}, {21, 60}})).cuts, ElementsAre(21));
  EXPECT_THAT(find_shots(changes(40, {{20, 60}, {21, 50}})).cuts, ElementsAre(20));
  EXPECT_THAT(find_shots(changes(40, {{20, 60}, {21, 60}})).cuts, ElementsAre(20));
  EXPECT_THAT(find_shots(changes(40, {{20, 50}, {22, 60}})).cuts, ElementsAre(20, 22));
}

TEST(Shots, AFlashIsAnEventAndNoCut) {
  const auto shots = find_shots(changes(40, {{20, 80}, {21, 80}}, {{21, 3}}));
  EXPECT_THAT(shots.cuts, ElementsAre());
  EXPECT_THAT(shots.events, ElementsAre(20));
  // At the very end nothing comes back: a cut.
  EXPECT_THAT(find_shots(changes(40, {{39, 80}})).cuts, ElementsAre(39));
}

TEST(Shots, EveryShotGetsItsMiddleAndEveryEventItsOwn) {
  const auto film = changes(40, {{10, 50}, {20, 70}});
  EXPECT_THAT(choose_thumbnails(film, {.cuts = {10, 20}, .events = {33}}, 4),
              ElementsAre(5, 15, 30, 33));
}

TEST(Shots, TheSmallestCutsGoFirstWhenThereAreTooMany) {
  const auto film = changes(40, {{10, 50}, {20, 70}, {30, 50}});
  const Shots shots = {.cuts = {10, 20, 30}, .events = {}};
  EXPECT_THAT(choose_thumbnails(film, shots, 4), ElementsAre(5, 15, 25, 35));
  EXPECT_THAT(choose_thumbnails(film, shots, 3), ElementsAre(5, 15, 25));  // of two, the last
  EXPECT_THAT(choose_thumbnails(film, shots, 2), ElementsAre(5, 25));
  EXPECT_THAT(choose_thumbnails(film, shots, 1), ElementsAre(5));
}

TEST(Shots, TheLongestGapIsFilledFirst) {
  // 0 … 20 … 40: both ends count as chosen, the first of equal gaps is taken.
  const auto film = changes(40, {});
  const Shots none;
  EXPECT_THAT(choose_thumbnails(film, none, 1), ElementsAre(20));
  EXPECT_THAT(choose_thumbnails(film, none, 2), ElementsAre(10, 20));
  EXPECT_THAT(choose_thumbnails(film, none, 3), ElementsAre(10, 20, 30));
  EXPECT_THAT(choose_thumbnails(film, none, 4), ElementsAre(5, 10, 20, 30));
}

TEST(Shots, AllThumbnailsAreTakenWhereThereAreNoMore) {
  for (const int n : {1, 2, 3, 7, 40}) {
    const auto all = choose_thumbnails(changes(n, {}), {}, n + 5);
    std::vector<int> expected(static_cast<std::size_t>(n));
    for (int k = 0; k < n; ++k) expected[static_cast<std::size_t>(k)] = k;
    EXPECT_EQ(all, expected);
  }
}

TEST(Shots, AnyFilmGivesExactlyAsManyFramesAsAsked) {
  std::mt19937 random(7);
  const auto below = [&](unsigned n) { return static_cast<int>(random() % n); };
  for (int round = 0; round < 300; ++round) {
    const int n_thumbnails = 1 + below(60);
    FilmChanges film;
    for (int k = 0; k < n_thumbnails; ++k) {
      film.by_one.push_back(k == 0 ? 0 : (below(4) == 0 ? 90 : 2));
      film.by_two.push_back(below(30));
    }
    const int n = 1 + below(static_cast<unsigned>(n_thumbnails));
    const auto chosen = choose_thumbnails(film, find_shots(film), n);
    ASSERT_EQ(chosen.size(), static_cast<std::size_t>(n)) << round;
    EXPECT_TRUE(std::is_sorted(chosen.begin(), chosen.end()));
    EXPECT_EQ(std::adjacent_find(chosen.begin(), chosen.end()), chosen.end());
    EXPECT_GE(chosen.front(), 0);
    EXPECT_LT(chosen.back(), n_thumbnails);
  }
}

// --- films of ten minutes (check 13)

constexpr double kFps = 25.0;
constexpr std::int64_t kTenMinutes = 15'000;

// A scene is a pattern of its own that moves slowly.
Picture scene(int number, std::int64_t frame, int brightness = 0) {
  Picture picture{.width = 96, .height = 54, .rgb = {}};
  picture.rgb.resize(96 * 54 * 3);
  const double shift = static_cast<double>(frame) / kFps * 0.4;  // pixels: a slow pan
  for (int y = 0; y < 54; ++y) {
    for (int x = 0; x < 96; ++x) {
      const double u = (x + shift) / (9.0 + number % 5) + number, v = y / (7.0 + number % 3);
      for (int c = 0; c < 3; ++c) {
        const double level = 110.0 + 70.0 * std::sin(u + c * (number % 4)) * std::cos(v + number);
        const double value =
            std::clamp(level + (number * 37 + c * 50) % 60 - 30 + brightness, 0.0, 255.0);
        picture.rgb[static_cast<std::size_t>((y * 96 + x) * 3 + c)] =
            static_cast<std::uint8_t>(value);
      }
    }
  }
  return picture;
}

const std::vector<double> kCuts = {31.3,  77.7,  102.2, 160.9, 203.4, 251.1,
                                   290.6, 345.2, 400.8, 455.5, 512.3, 570.0};
const std::vector<double> kFlashes = {15.2, 130.7, 320.4, 480.1};  // of half a second

Picture film_of_events(std::int64_t frame) {
  const double at_s = static_cast<double>(frame) / kFps;
  int number = 0;
  for (const double cut : kCuts) number += at_s >= cut;
  for (const double flash : kFlashes) {
    if (at_s >= flash && at_s < flash + 0.5) return scene(number, frame, 120);
  }
  return scene(number, frame);
}

TEST(TenMinutes, EveryEventHasAFrameAndNoGapIsLong) {
  auto video = film(kTenMinutes, kFps, film_of_events);
  const auto choice = choose_frames(video, {.frame_tokens = 66});
  ASSERT_TRUE(choice.ok()) << choice.error().message;
  EXPECT_EQ(choice->rule, FrameRule::Shots);
  ASSERT_EQ(choice->indices.size(), 110u);  // 8192 div 74
  EXPECT_EQ(choice->n_shots, 13);
  EXPECT_LE(choice->largest_gap_s, 2 * 600.0 / 110);
  ASSERT_EQ(choice->cuts_s.size(), kCuts.size());
  for (std::size_t i = 0; i < kCuts.size(); ++i) {  // the first thumbnail after the cut
    EXPECT_GE(choice->cuts_s[i], kCuts[i] - 0.05);
    EXPECT_LE(choice->cuts_s[i], kCuts[i] + 0.5);
  }
  const auto has_frame_in = [&](double from_s, double to_s) {
    return std::any_of(choice->indices.begin(), choice->indices.end(), [&](std::int64_t index) {
      const double at_s = static_cast<double>(index) / kFps;
      return at_s >= from_s && at_s < to_s;
    });
  };
  for (const double flash : kFlashes) EXPECT_TRUE(has_frame_in(flash, flash + 0.5)) << flash;
  for (std::size_t i = 0; i <= kCuts.size(); ++i) {
    EXPECT_TRUE(has_frame_in(i == 0 ? 0.0 : kCuts[i - 1], i == kCuts.size() ? 600.0 : kCuts[i]));
  }
  // Two a second, once: the frames themselves are for the caller.
  EXPECT_EQ(video.n_drawn(), 1200);
}

TEST(TenMinutes, TheChoiceIsTheSameEverywhere) {
  // Of a film that is drawn in integers only, so that any machine draws the same.
  auto video = film(kTenMinutes, kFps, [](std::int64_t frame) {
    return plain(static_cast<int>(frame / 400 % 6 * 40), 37, 23);
  });
  const auto choice = choose_frames(video, {.frame_tokens = 66, .video_tokens = 740});
  ASSERT_TRUE(choice.ok());
  EXPECT_EQ(choice->n_shots, 38);
  // The first shot, those behind the six large cuts, and the first ones behind smaller cuts.
  EXPECT_THAT(choice->indices,
              ElementsAre(200, 600, 1000, 1400, 2600, 5000, 7400, 9800, 12200, 14600));
}

TEST(TenMinutes, NoiseAndAStillEndWithAllTheirFrames) {
  std::mt19937 random(11);
  const auto noise = [&](std::int64_t) {
    Picture picture = plain(0, 32, 18);
    for (auto& value : picture.rgb) value = static_cast<std::uint8_t>(random() % 256);
    return picture;
  };
  // A cut every second and a half: more shots than frames.
  const auto busy = [](std::int64_t frame) {
    return plain(static_cast<int>(frame / 37 % 2 * 200));
  };
  const auto still = [](std::int64_t) { return plain(90); };
  for (const auto& draw : std::vector<std::function<Picture(std::int64_t)>>{noise, busy, still}) {
    auto video = film(kTenMinutes, kFps, draw);
    const auto choice = choose_frames(video, {.frame_tokens = 66});
    ASSERT_TRUE(choice.ok());
    EXPECT_EQ(choice->indices.size(), 110u);
    EXPECT_EQ(
        std::adjacent_find(choice->indices.begin(), choice->indices.end(), std::greater_equal<>()),
        choice->indices.end());
  }
}

TEST(TenMinutes, ASlowFilmGivesEachFrameOnce) {
  auto video = film(90, 0.5, [](std::int64_t frame) { return plain(static_cast<int>(frame % 2)); });
  const auto choice = choose_frames(video, {.frame_tokens = 66});  // 180 s
  ASSERT_TRUE(choice.ok());
  EXPECT_EQ(choice->rule, FrameRule::Shots);
  EXPECT_EQ(choice->indices, uniform_frames(90, 90));
}

TEST(TenMinutes, AtLeastOneFrameIsSeen) {
  auto video = film(kTenMinutes, kFps);
  const auto choice = choose_frames(video, {.frame_tokens = 66, .video_tokens = 10});
  ASSERT_TRUE(choice.ok());
  EXPECT_EQ(choice->indices.size(), 1u);
}

TEST(TenMinutes, WhatTheReaderCannotReadIsSaid) {
  auto video = film(kTenMinutes, kFps);
  video.fail_at(5000);
  const auto choice = choose_frames(video, {.frame_tokens = 66});
  ASSERT_FALSE(choice.ok());
  EXPECT_THAT(choice.error().message, HasSubstr("frame 5000"));
}

}  // namespace
}  // namespace fourfold
