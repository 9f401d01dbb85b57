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

struct Row {
  std::string bytes;
  Kind kind;
  std::string mime;
};

class MediaTypes : public testing::TestWithParam<Row> {};

TEST_P(MediaTypes, AreToldByTheirBytes) {
  const auto type = find_media_type(GetParam().bytes);
  ASSERT_TRUE(type);
  EXPECT_EQ(type->kind, GetParam().kind);
  EXPECT_EQ(type->mime, GetParam().mime);
}

INSTANTIATE_TEST_SUITE_P(
    Rows, MediaTypes,
    testing::Values(Row{kPng, Kind::Image, "image/png"},
                    Row{"\xff\xd8\xff\xe0"s, Kind::Image, "image/jpeg"},
                    Row{"GIF89a"s, Kind::Image, "image/gif"},
                    Row{"RIFF\0\0\0\0WEBPVP8 "s, Kind::Image, "image/webp"},
                    Row{"BM\x46\0\0\0\0\0\0\0\x36\0\0\0"s + std::string(20, '\0'), Kind::Image,
                        "image/bmp"},
                    Row{"\0\0\0\x1c"
                        "ftypheic\0\0\0\0"s,
                        Kind::Image, "image/heic"},
                    Row{"\0\0\0\x1c"
                        "ftypavif\0\0\0\0"s,
                        Kind::Image, "image/avif"},
                    Row{kWav, Kind::Audio, "audio/wav"}, Row{"ID3\x04"s, Kind::Audio, "audio/mpeg"},
                    Row{"\xff\xfb\x90\x64"s, Kind::Audio, "audio/mpeg"},
                    Row{"fLaC"s, Kind::Audio, "audio/flac"}, Row{"OggS"s, Kind::Audio, "audio/ogg"},
                    Row{"\0\0\0\x1c"
                        "ftypM4A \0\0\0\0"s,
                        Kind::Audio, "audio/mp4"},
                    Row{"\0\0\0\x18"
                        "ftypisom\0\0\0\0"s,
                        Kind::Video, "video/mp4"},
                    Row{"\x1a\x45\xdf\xa3"s, Kind::Video, "video/webm"}));

TEST(MediaTypes, AreNotGuessed) {
  for (const auto& bytes : {""s, "hello"s, "BM"s, "\xff\xff\xff\xff"s, "RIFF\0\0\0\0ABCD"s,
                            "{\"a\":1}"s, "\xff\xd8"s, "%PDF-1.7"s}) {
    EXPECT_FALSE(find_media_type(bytes)) << bytes;
  }
}

TEST(DataUrl, ReadsEveryForm) {
  const std::pair<std::string, DataUrl> rows[] = {
      {"data:image/png;base64,aGk=", {"image/png", "hi"}},
      {"DATA:Image/PNG;name=a;BASE64,aGk", {"image/png", "hi"}},
      {"data:;base64,aGk%3D", {"", "hi"}},
      {"data:,a%20b", {"", "a b"}},
      {"data:text/plain;charset=utf-8,h%C3%A9", {"text/plain", "h\xc3\xa9"}}};
  for (const auto& [url, expected] : rows) {
    const auto data = parse_data_url(url);
    ASSERT_TRUE(data.ok()) << url << data.error().message;
    EXPECT_EQ(data->mime, expected.mime);
    EXPECT_EQ(data->bytes, expected.bytes);
  }
  for (const auto* url :
       {"data:image/png;base64", "data:,%4", "data:,%zz", "data:;base64,a", "x"}) {
    EXPECT_FALSE(parse_data_url(url).ok()) << url;
  }
}

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
