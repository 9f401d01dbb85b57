#include "media/exif.h"

#include <gtest/gtest.h>

#include "media/test_pictures.h"

namespace fourfold {
namespace {

int orientation_of(const std::string& exif) { return read_exif_orientation(to_bytes(exif)); }

TEST(ExifOrientation, IsReadInBothByteOrders) {
  EXPECT_EQ(orientation_of(exif_with_orientation(6)), 6);
  EXPECT_EQ(orientation_of(std::string("Exif\0\0", 6) + exif_with_orientation(3)), 3);
  const std::string big = std::string("MM\0*", 4) + u32_be(8) + u16_be(1) + u16_be(0x112) +
                          u16_be(3) + u32_be(1) + u16_be(8) + u16_be(0) + u32_be(0);
  EXPECT_EQ(orientation_of(big), 8);
}

TEST(ExifOrientation, IsFoundBehindOtherEntries) {
  const std::string other = u16_le(0x10f) + u16_le(2) + u32_le(4) + "abc" + std::string(1, '\0');
  const std::string entry = u16_le(0x112) + u16_le(4) + u32_le(1) + u32_le(5);
  // The directory need not follow the header.
  EXPECT_EQ(orientation_of(std::string("II*\0", 4) + u32_le(12) + "pad!" + u16_le(2) + other +
                           entry + u32_le(0)),
            5);
}

TEST(ExifOrientation, IsUprightWhereTheDataSaysNothing) {
  for (const int value : {0, 9, 255, 65535})
    EXPECT_EQ(orientation_of(exif_with_orientation(value)), 1);
  EXPECT_EQ(orientation_of(exif_with_orientation(6, 2)), 1);     // text
  EXPECT_EQ(orientation_of(exif_with_orientation(6, 3, 2)), 1);  // two values
  EXPECT_EQ(orientation_of(""), 1);
  EXPECT_EQ(orientation_of("IM*"), 1);
  const std::string whole = exif_with_orientation(6);
  for (std::size_t n = 0; n < 19; ++n) EXPECT_EQ(orientation_of(whole.substr(0, n)), 1) << n;
  std::string far = whole;
  far.replace(4, 4, "\xff\xff\xff\xff");
  EXPECT_EQ(orientation_of(far), 1);
}

}  // namespace
}  // namespace fourfold
