#include "base/checksum.h"

#include <gtest/gtest.h>

#include <set>
#include <vector>

namespace fourfold {
namespace {

TEST(Checksum, ChangesWithEveryBitAndLength) {
  std::set<std::uint64_t> seen;
  std::size_t n = 0;
  for (const std::size_t size : {0, 1, 7, 8, 31, 32, 33, 100}) {
    std::vector<std::byte> bytes(size);
    seen.insert(checksum64(bytes));
    ++n;
    for (std::size_t bit = 0; bit < 8 * size; ++bit) {
      bytes[bit / 8] ^= std::byte{1} << (bit % 8);
      seen.insert(checksum64(bytes));
      ++n;
      bytes[bit / 8] ^= std::byte{1} << (bit % 8);
    }
  }
  EXPECT_EQ(seen.size(), n);
}

TEST(Checksum, KeepsItsValueBecauseFilesHaveIt) {
  std::vector<std::byte> bytes;
  for (int i = 0; i < 70; ++i) bytes.push_back(static_cast<std::byte>(i));
  EXPECT_EQ(checksum64(bytes), 0x746b2c6cc80556beu);
}

}  // namespace
}  // namespace fourfold
