#include "api/media_settings.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "base/json_value.h"

namespace fourfold {
namespace {

using testing::HasSubstr;
using Kind = Part::Kind;

// The JSON lives as long as the field is read.
template <class Read>
auto reading(const std::string& json, Read read) {
  const auto value = parse_json_value(json).value();
  return read(Field(&value, "f", Spelling::CamelOrSnake));
}

std::string shown(const MediaBudgets& budgets) {
  return fmt::format("{} {}", budgets.image.value_or(0), budgets.frame.value_or(0));
}

TEST(MediaSettings, GeminisLevelsAreBudgets) {
  const std::pair<const char*, const char*> rows[] = {
      {"null", "0 0"},
      {R"("MEDIA_RESOLUTION_UNSPECIFIED")", "0 0"},
      {R"("MEDIA_RESOLUTION_LOW")", "70 70"},
      {R"("media_resolution_medium")", "280 70"},
      {R"("high")", "560 280"},
      {R"({"level":"MEDIA_RESOLUTION_ULTRA_HIGH"})", "1120 560"},
      {R"({"numTokens":1})", "70 70"},
      {R"({"num_tokens":139})", "70 70"},
      {R"({"numTokens":140})", "140 140"},
      {R"({"numTokens":"5000","level":"MEDIA_RESOLUTION_LOW"})", "1120 1120"},
      {R"({})", "0 0"}};
  for (const auto& [json, budgets] : rows) {
    const auto read = reading(json, read_part_resolution);
    ASSERT_TRUE(read.ok()) << json << ": " << read.error().message;
    EXPECT_EQ(shown(*read), budgets) << json;
  }
}

TEST(MediaSettings, OpenAisDetailIsABudget) {
  const std::pair<const char*, const char*> rows[] = {{"null", "0 0"},
                                                      {R"("auto")", "0 0"},
                                                      {R"("low")", "70 0"},
                                                      {R"("HIGH")", "1120 0"},
                                                      {R"("original")", "1120 0"}};
  for (const auto& [json, budgets] : rows) {
    const auto read = reading(json, read_image_detail);
    ASSERT_TRUE(read.ok()) << json;
    EXPECT_EQ(shown(*read), budgets) << json;
  }
}

TEST(MediaSettings, OffsetsAndRateOfAFilm) {
  MediaSettings settings;
  const auto status =
      reading(R"({"startOffset":"1.5s","end_offset":"10s","fps":0.5})",
              [&](const Field& field) { return read_video_metadata(field, settings); });
  ASSERT_TRUE(status.ok()) << status.error().message;
  EXPECT_EQ(settings.from_s, 1.5);
  EXPECT_EQ(settings.to_s, 10.0);
  EXPECT_EQ(settings.fps, 0.5);
}

TEST(MediaSettings, KwargsOfARequest) {
  const auto read =
      reading(R"({"max_soft_tokens":560,"num_frames":12,"video_tokens":4000,"sound":true,"x":1})",
              read_media_kwargs);
  ASSERT_TRUE(read.ok()) << read.error().message;
  EXPECT_EQ(read->budget, 560);
  EXPECT_EQ(read->n_frames, 12);
  EXPECT_FALSE(read->fps);
  EXPECT_EQ(read->video_tokens, 4000);
  EXPECT_EQ(read->sound, true);
}

TEST(MediaSettings, ErrorsSayWhatIsExpected) {
  const auto metadata = [](const Field& field) {
    MediaSettings ignored;
    return read_video_metadata(field, ignored);
  };
  const auto message = [](const auto& read) { return read.ok() ? "" : read.error().message; };
  const std::pair<std::string, const char*> rows[] = {
      {message(reading(R"("TINY")", read_part_resolution)), "f: \"TINY\" (expected MEDIA_RES"},
      {message(reading(R"({"numTokens":0})", read_part_resolution)), "f.numTokens: 0 is out of"},
      {message(reading(R"("huge")", read_image_detail)), "f: \"huge\" (expected low, auto or high"},
      {message(reading(R"({"fps":0})", metadata)),
       "f.fps: 0 is out of range (expected more than 0"},
      {message(reading(R"({"fps":25})", metadata)), "f.fps: 25 is out of range"},
      {message(reading(R"({"startOffset":"1"})", metadata)), "f.startOffset: \"1\" (expected sec"},
      {message(reading(R"({"endOffset":"-1s"})", metadata)), "f.endOffset: \"-1s\" (expected"},
      {message(reading(R"({"startOffset":"2s","endOffset":"2s"})", metadata)),
       "f.endOffset: 2s is not behind the start at 2s"},
      {message(reading(R"({"max_soft_tokens":100})", read_media_kwargs)),
       "f.max_soft_tokens: 100 (expected 70, 140, 280, 560 or 1120)"},
      {message(reading(R"({"fps":1,"num_frames":8})", read_media_kwargs)),
       "f.num_frames: does not go together with fps"},
      {message(reading(R"({"num_frames":0})", read_media_kwargs)), "f.num_frames: 0 is out of"},
      {message(reading(R"({"sound":"yes"})", read_media_kwargs)), "f.sound: expected true or"},
      {message(reading(R"([])", read_media_kwargs)), "f: expected an object"}};
  for (const auto& [told, expected] : rows) EXPECT_THAT(told, HasSubstr(expected));
}

TEST(MediaSettings, WhatAPartSaysItselfWins) {
  Part picture, film, asked_film, sound, text;
  picture.kind = Kind::Image;
  film.kind = asked_film.kind = Kind::Video;
  sound.kind = Kind::Audio;
  picture.settings.budget = 70;
  asked_film.settings.fps = 2.0;
  asked_film.settings.sound = false;
  Message message;
  message.parts = {picture, film, sound, text};
  ToolResult result;
  result.media = {asked_film};
  message.results = {result};
  std::vector<Message> messages = {message};
  MediaSettings defaults;
  defaults.budget = 140;
  defaults.n_frames = 4;
  defaults.sound = true;
  add_media_defaults(messages, {.image = 560, .frame = {}}, defaults);

  const auto& parts = messages[0].parts;
  EXPECT_EQ(parts[0].settings.budget, 70);
  EXPECT_FALSE(parts[0].settings.n_frames);
  EXPECT_EQ(parts[1].settings.budget, 140);
  EXPECT_EQ(parts[1].settings.n_frames, 4);
  EXPECT_EQ(parts[1].settings.sound, true);
  EXPECT_FALSE(parts[2].settings.budget);
  EXPECT_FALSE(parts[3].settings.budget);
  const auto& seen = messages[0].results[0].media[0].settings;
  EXPECT_EQ(seen.fps, 2.0);
  EXPECT_FALSE(seen.n_frames);
  EXPECT_EQ(seen.sound, false);
}

}  // namespace
}  // namespace fourfold
