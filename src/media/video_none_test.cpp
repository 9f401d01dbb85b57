// A build without libav says what to install.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "media/sound.h"
#include "media/video.h"

namespace fourfold {
namespace {

using testing::HasSubstr;

TEST(NoVideo, SaysWhatToInstall) {
  EXPECT_THAT(missing_video_library(), HasSubstr("apt-get install libavformat-dev"));
  const std::byte bytes[] = {std::byte{1}, std::byte{2}};
  const auto video = VideoReader::open(bytes, {});
  ASSERT_FALSE(video.ok());
  EXPECT_EQ(video.error().code, Code::Unimplemented);
  EXPECT_THAT(video.error().message, HasSubstr("libavformat-dev"));
}

TEST(NoVideo, M4aSaysSoToo) {
  const std::string_view text(
      "\0\0\0\x18"
      "ftypM4A \0\0\0\0",
      16);
  const auto sound =
      SoundReader::open({reinterpret_cast<const std::byte*>(text.data()), text.size()}, {});
  ASSERT_FALSE(sound.ok());
  EXPECT_EQ(sound.error().code, Code::Unimplemented);
  EXPECT_THAT(sound.error().message, HasSubstr("m4a: "));
  EXPECT_THAT(sound.error().message, HasSubstr("libavformat-dev"));
}

}  // namespace
}  // namespace fourfold
