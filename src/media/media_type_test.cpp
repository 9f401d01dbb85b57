#include "media/media_type.h"

#include <gtest/gtest.h>

#include <string>

namespace fourfold {
namespace {

using namespace std::string_literals;
using Kind = MediaKind;

struct Row {
  std::string bytes;
  MediaKind kind;
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
    testing::Values(Row{"\x89PNG\r\n\x1a\n and so on"s, Kind::Image, "image/png"},
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
                    Row{"\0\0\0\x1c"
                        "ftypmif1\0\0\0\0mif1avif"s,
                        Kind::Image, "image/avif"},
                    Row{"\0\0\0\x14"
                        "ftypmif1\0\0\0\0mif1avif"s,
                        Kind::Image, "image/heic"},
                    Row{"RIFF\x24\0\0\0WAVEfmt "s, Kind::Audio, "audio/wav"},
                    Row{"ID3\x04"s, Kind::Audio, "audio/mpeg"},
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

}  // namespace
}  // namespace fourfold
