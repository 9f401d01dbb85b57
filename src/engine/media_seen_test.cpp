#include "engine/media_seen.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace fourfold {
namespace {

using Kind = Part::Kind;

MediaSeen picture() {
  MediaSeen seen;
  seen.kind = Kind::Image;
  seen.where = "messages[0].content[0]";
  seen.tokens.image = 266;
  seen.budget = 280;
  seen.size = {1920, 1080};
  seen.seen_size = {1056, 576};
  return seen;
}

MediaSeen film() {
  MediaSeen seen;
  seen.kind = Kind::Video;
  seen.tokens.video = 8000;
  seen.tokens.audio = 123;
  seen.frames = 110;
  seen.rule = FrameRule::Shots;
  seen.shots = 57;
  seen.to_s = seen.duration_s = 600.04;
  seen.largest_gap_s = 11.25;
  seen.sound_s = 580;
  seen.windows = 3;
  return seen;
}

TEST(MediaSeen, IsOnePhraseEach) {
  EXPECT_EQ(describe(picture()), "image: 1920x1080 seen as 1056x576, 266 tokens");
  EXPECT_EQ(describe(film()),
            "video: 110 frames (shots, 57 shots) of 600 s, at most 11.3 s apart, 580 s of sound, "
            "in 3 windows, 8123 tokens");
  MediaSeen sound;
  sound.kind = Kind::Audio;
  sound.from_s = 1.5;
  sound.to_s = 10;
  sound.duration_s = 12;
  sound.sound_s = 6;
  sound.tokens.audio = 152;
  EXPECT_EQ(describe(sound), "audio: from 1.5 to 10 s of 12 s, 6 s of it heard, 152 tokens");
  MediaSeen frame;
  frame.kind = Kind::Video;
  frame.frames = 1;
  frame.to_s = frame.duration_s = 0.04;
  frame.notes = {"one; frame"};
  EXPECT_EQ(describe(frame), "video: 1 frame (uniform) of 0 s, 0 tokens, one, frame");
}

TEST(MediaSeen, FitsAHeaderTogether) {
  auto one = picture();
  one.notes = {"größe\r\nx"};
  EXPECT_EQ(describe({one, picture()}, 1024),
            "image: 1920x1080 seen as 1056x576, 266 tokens, gr????e??x; "
            "image: 1920x1080 seen as 1056x576, 266 tokens");
  const auto cut = describe(std::vector<MediaSeen>(50, picture()), 1024);
  EXPECT_EQ(cut.size(), 1024u);
  EXPECT_THAT(cut, testing::EndsWith("..."));
  EXPECT_EQ(describe(std::vector<MediaSeen>(), 1024), "");
}

TEST(MediaSeen, IsToldAsJson) {
  EXPECT_EQ(to_json_text(media_json(std::vector{picture()})),
            R"([{"kind":"image","where":"messages[0].content[0]","tokens":266,"budget":280,)"
            R"("size":[1920,1080],"seen_size":[1056,576],"notes":[],)"
            R"("seen":"image: 1920x1080 seen as 1056x576, 266 tokens"}])");
  const auto json = media_json(film());
  EXPECT_EQ(to_json_text(*json.find("rule")), R"("shots")");
  EXPECT_EQ(to_json_text(*json.find("duration_s")), "600.04");
  EXPECT_EQ(to_json_text(*json.find("windows")), "3");
  EXPECT_EQ(to_json_text(*json.find("tokens")), "8123");
}

}  // namespace
}  // namespace fourfold
