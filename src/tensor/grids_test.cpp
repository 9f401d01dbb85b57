#include "tensor/grids.h"

#include <gtest/gtest.h>

#include <cstddef>
#include <span>

#include "tensor/test_vectors.h"

namespace fourfold {
namespace {

template <class T>
std::uint32_t crc_of(const T& grid) {
  return crc32(std::as_bytes(std::span(&grid, 1)));
}

TEST(Grids, HaveThePublishedChecksums) {
  EXPECT_EQ(crc_of(grids().iq2_xxs), 0x9924ff02u);
  EXPECT_EQ(crc_of(grids().iq2_xs), 0xfa1e1bfdu);
  EXPECT_EQ(crc_of(grids().iq2_s), 0x25ae5bf1u);
  EXPECT_EQ(crc_of(grids().iq3_xxs), 0x07ba9ed0u);
  EXPECT_EQ(crc_of(grids().iq3_s), 0xf576e4f3u);
  EXPECT_EQ(crc_of(grids().iq1), 0xb85e6ccfu);
}

}  // namespace
}  // namespace fourfold
