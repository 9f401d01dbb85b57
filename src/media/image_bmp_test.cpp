// BMP files of every form, made byte by byte.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "media/picture.h"
#include "media/test_pictures.h"

namespace fourfold {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using namespace std::string_literals;

std::vector<std::uint8_t> pixels_of(const std::string& file) {
  const auto decoded = decode_picture(to_bytes(file), {});
  EXPECT_TRUE(decoded.ok()) << decoded.error().message;
  if (!decoded.ok()) return {};
  EXPECT_EQ(decoded->format, "bmp");
  return decoded->picture.rgb;
}

std::string error_of(const std::string& file, Code code = Code::InvalidArgument) {
  const auto decoded = decode_picture(to_bytes(file), {});
  EXPECT_FALSE(decoded.ok());
  if (decoded.ok()) return "";
  EXPECT_EQ(decoded.error().code, code) << decoded.error().message;
  return decoded.error().message;
}

const std::string kTwoColours = "\x01\x02\x03\0\x04\x05\x06\0"s;  // blue, green, red, nothing

TEST(Bmp, ReadsPalettes) {
  EXPECT_THAT(pixels_of(bmp_file({.width = 3,
                                  .height = 1,
                                  .bits = 1,
                                  .after_header = kTwoColours,
                                  .rows = "\xa0\0\0\0"s})),
              ElementsAre(6, 5, 4, 3, 2, 1, 6, 5, 4));
  // The offset of the rows cuts the palette; colours that it lacks are black.
  EXPECT_THAT(pixels_of(bmp_file({.width = 3,
                                  .height = 1,
                                  .bits = 4,
                                  .after_header = kTwoColours,
                                  .rows = "\x10\x20\0\0"s})),
              ElementsAre(6, 5, 4, 3, 2, 1, 0, 0, 0));
  EXPECT_THAT(pixels_of(bmp_file({.width = 2,
                                  .height = 1,
                                  .bits = 8,
                                  .n_colours = 1,
                                  .after_header = kTwoColours,
                                  .rows = "\0\x01\0\0"s})),
              ElementsAre(3, 2, 1, 0, 0, 0));
}

TEST(Bmp, ReadsRowsInBothOrders) {
  const std::string rows = "\x01\x02\x03\0\x04\x05\x06\0"s;
  EXPECT_THAT(pixels_of(bmp_file({.width = 1, .height = 2, .rows = rows})),
              ElementsAre(6, 5, 4, 3, 2, 1));
  EXPECT_THAT(pixels_of(bmp_file({.width = 1, .height = -2, .rows = rows})),
              ElementsAre(3, 2, 1, 6, 5, 4));
}

TEST(Bmp, ReadsSixteenAndThirtyTwoBits) {
  // 5 bits each: blue 31, green 16, red 1.
  EXPECT_THAT(pixels_of(bmp_file({.bits = 16, .rows = u16_le(31 | 16 << 5 | 1 << 10) + "\0\0"s})),
              ElementsAre(8, 131, 255));
  const std::string masks = u32_le(0xf800) + u32_le(0x7e0) + u32_le(0x1f);
  EXPECT_THAT(pixels_of(bmp_file({.bits = 16,
                                  .compression = 3,
                                  .after_header = masks,
                                  .rows = u16_le(0x1f | 63 << 5) + "\0\0"s})),
              ElementsAre(0, 255, 255));
  // The fourth byte is no alpha.
  EXPECT_THAT(pixels_of(bmp_file({.bits = 32, .rows = "\x01\x02\x03\0"s})), ElementsAre(3, 2, 1));
  const std::string red_last = u32_le(0xff) + u32_le(0xff00) + u32_le(0xff0000);
  EXPECT_THAT(
      pixels_of(bmp_file(
          {.bits = 32, .compression = 3, .after_header = red_last, .rows = "\x01\x02\x03\x7f"s})),
      ElementsAre(1, 2, 3));
}

TEST(Bmp, ReadsTheOldestHeader) {
  const std::string file = "BM" + u32_le(0) + u32_le(0) + u32_le(32) + u32_le(12) + u16_le(2) +
                           u16_le(1) + u16_le(1) + u16_le(1) + "\x01\x02\x03\x04\x05\x06" +
                           "\x40\0\0\0"s;
  EXPECT_THAT(pixels_of(file), ElementsAre(3, 2, 1, 6, 5, 4));
}

TEST(Bmp, MayLackTheFillOfItsLastRow) {
  EXPECT_THAT(pixels_of(bmp_file({.rows = "\x01\x02\x03"})), ElementsAre(3, 2, 1));
  EXPECT_THAT(error_of(bmp_file({.rows = "\x01\x02"})),
              HasSubstr("cut short: 2 bytes of pixels (expected 3)"));
}

TEST(Bmp, RefusesByName) {
  const auto unsupported = [](std::uint32_t compression) {
    return error_of(bmp_file({.bits = 8, .compression = compression, .rows = "abcdef"}),
                    Code::Unimplemented);
  };
  EXPECT_THAT(unsupported(1), HasSubstr("run-length coding"));
  EXPECT_THAT(unsupported(2), HasSubstr("run-length coding"));
  EXPECT_THAT(unsupported(4), HasSubstr("an embedded JPEG file"));
  EXPECT_THAT(unsupported(5), HasSubstr("an embedded PNG file"));
}

TEST(Bmp, RefusesSizesThatDoNotFit) {
  EXPECT_THAT(error_of(bmp_file({.width = -1, .rows = "abcd"})), HasSubstr("-1 × 1 pixels"));
  EXPECT_THAT(error_of(bmp_file({.width = 0, .rows = "abcd"})), HasSubstr("0 × 1 pixels"));
  EXPECT_THAT(error_of(bmp_file({.height = 0, .rows = "abcd"})), HasSubstr("1 × 0 pixels"));
  EXPECT_THAT(
      error_of(bmp_file({.height = std::numeric_limits<std::int32_t>::min(), .rows = "abcd"})),
      HasSubstr("a height of -2147483648"));
  EXPECT_THAT(error_of(bmp_file({.width = 0x7fffffff, .height = 0x7fffffff, .rows = "abcd"})),
              HasSubstr("cut short: 4 bytes of pixels"));
  EXPECT_THAT(error_of(bmp_file({.rows = "abcd", .offset = 0xffffffff})),
              HasSubstr("cut short: 0 bytes of pixels"));
}

TEST(Bmp, RefusesDamagedHeaders) {
  EXPECT_THAT(error_of(bmp_file({.bits = 7, .rows = "abcd"})), HasSubstr("7 bits for a pixel"));
  EXPECT_THAT(error_of(bmp_file({.bits = 8, .compression = 9, .rows = "abcd"})),
              HasSubstr("unknown compression 9"));
  EXPECT_THAT(error_of(bmp_file({.bits = 24, .compression = 3, .rows = std::string(16, 'a')})),
              HasSubstr("colour masks for 24 bits"));
  for (const std::uint32_t mask : {0u, 5u, 0x10000u}) {
    const std::string masks = u32_le(mask) + u32_le(0x7e0) + u32_le(0x1f);
    EXPECT_THAT(
        error_of(bmp_file({.bits = 16, .compression = 3, .after_header = masks, .rows = "abcd"})),
        HasSubstr("colour mask"));
  }
  std::string file = bmp_file({.rows = "abcd"});
  file[14] = 16;
  EXPECT_THAT(error_of(file), HasSubstr("a header of 16 bytes (expected 12, or 40 to 124)"));
  EXPECT_THAT(error_of(bmp_file({}).substr(0, 30)), HasSubstr("cut short in its headers"));
  EXPECT_THAT(error_of(bmp_file({.bits = 32, .compression = 3})),
              HasSubstr("cut short in its headers"));
}

}  // namespace
}  // namespace fourfold
