// The golden clips as they stand in a prompt: stamps, markers and counts of the reference.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "base/json.h"
#include "base/mapped_file.h"
#include "engine/media_look.h"

namespace fourfold {
namespace {

const std::string kGolden = std::string(FOURFOLD_SOURCE_DIR) + "/tests/golden/video/";

std::string spelled(const std::vector<MediaPiece>& pieces) {
  std::string text;
  for (const auto& piece : pieces) {
    text +=
        piece.rows ? fmt::format("<|image><|video|>*{}<image|>", piece.rows->n_rows) : piece.text;
  }
  return text;
}

TEST(FilmLayout, IsThatOfTheReference) {
  if (!missing_video_library().empty()) GTEST_SKIP() << missing_video_library();
  const auto text = read_text_file(kGolden + "case.json");
  ASSERT_TRUE(text.ok());
  const auto cases = parse_json(*text).value();
  MemoryGate gate(std::uint64_t{1} << 30);
  const MediaLooker looker({.hears = true, .text_width = 8}, gate);
  int n_requests = 0;
  for (const auto& clip : cases["clips"]) {
    const auto path = kGolden + clip["file"].get<std::string>();
    const auto file = read_text_file(path);
    ASSERT_TRUE(file.ok());
    for (const auto& request : clip["requests"]) {
      SCOPED_TRACE(path);
      Part part;
      part.kind = Part::Kind::Video;
      part.bytes = SharedBytes(*file);
      if (request["request"].is_object()) {
        part.settings.n_frames = request["request"]["num_frames"].get<int>();
      }
      const auto look = looker.film(part, {}, {.context = 8192});
      ASSERT_TRUE(look.ok()) << look.error().message;
      EXPECT_EQ(spelled(look->pieces), request["prompt"].get<std::string>());
      EXPECT_EQ(look->seen.frames, static_cast<std::int64_t>(request["frame_indices"].size()));
      EXPECT_EQ(look->seen.rule, FrameRule::Uniform);
      EXPECT_EQ(look->seen.sound_s, 0.0);
      EXPECT_DOUBLE_EQ(look->seen.from_s, 0.0);
      EXPECT_NEAR(look->seen.to_s, clip["duration"].get<double>(), 1e-9);
      ++n_requests;
    }
  }
  EXPECT_EQ(n_requests, 7);
}

}  // namespace
}  // namespace fourfold
