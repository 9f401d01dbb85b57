#include "base/huge_memory.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>

namespace fourfold {
namespace {

TEST(HugeMemory, IsAlignedZeroedAndWritable) {
  constexpr std::size_t kSize = (3u << 20) + 5;
  const HugeMemory memory(kSize);
  ASSERT_NE(memory.data(), nullptr);
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(memory.data()) % (2u << 20), 0u);
  EXPECT_TRUE(std::all_of(memory.data(), memory.data() + kSize,
                          [](std::byte b) { return b == std::byte{0}; }));
  std::fill_n(memory.data(), kSize, std::byte{7});
  EXPECT_EQ(memory.data()[kSize - 1], std::byte{7});
}

TEST(HugeMemory, TakesNothingUntilItIsWritten) {
  const HugeMemory memory(std::uint64_t{1} << 40);  // more than any test machine has
  ASSERT_NE(memory.data(), nullptr);
  memory.data()[std::uint64_t{1} << 39] = std::byte{1};
}

TEST(HugeMemory, IsNullWhereThereIsNoSuchSpace) {
  EXPECT_EQ(HugeMemory(0).data(), nullptr);
  EXPECT_EQ(HugeMemory(std::uint64_t{1} << 62).data(), nullptr);
  EXPECT_EQ(HugeMemory(UINT64_MAX).data(), nullptr);
}

}  // namespace
}  // namespace fourfold
