#include "api/media.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/base64.h"

namespace fourfold {
namespace {

using testing::HasSubstr;
using namespace std::string_literals;
using Kind = Part::Kind;

const std::string kPng = "\x89PNG\r\n\x1a\n and so on"s;
const std::string kWav = "RIFF\x24\0\0\0WAVEfmt "s;

TEST(MediaPart, KeepsBytesAndPlace) {
  const auto part = media_part_of_base64(to_base64(kPng), "a.data", Kind::Image);
  ASSERT_TRUE(part.ok()) << part.error().message;
  EXPECT_EQ(part->kind, Kind::Image);
  EXPECT_EQ(part->bytes, kPng);
  EXPECT_EQ(part->where, "a.data");
  const auto by_url = media_part_of_url("data:image/jpeg;base64," + to_base64(kPng), "b");
  ASSERT_TRUE(by_url.ok());
  EXPECT_EQ(by_url->text, "image/png");
}

TEST(MediaPart, IsRefusedWithItsPath) {
  const std::pair<Result<Part>, const char*> rows[] = {
      {media_part_of_base64("http://x/a.png", "p"), "p: character 4"},
      {media_part_of_base64(to_base64("hello"), "p", Kind::Image), "p: no image that we know"},
      {media_part_of_base64(to_base64(kWav), "p", Kind::Image), "p: the bytes are audio/wav"},
      {media_part_of_url("http://x/a.png", "p"), "p: URLs and paths are not fetched"},
      {media_part_of_url("file:///etc/passwd", "p"), "--fetch-urls"},
      {media_part_of_url("data:image/png", "p"), "p: expected a comma"}};
  for (const auto& [part, message] : rows) {
    ASSERT_FALSE(part.ok());
    EXPECT_EQ(part.error().code, Code::InvalidArgument);
    EXPECT_THAT(part.error().message, HasSubstr(message));
    EXPECT_EQ(part.error().detail->field, "p");
  }
}

}  // namespace
}  // namespace fourfold
