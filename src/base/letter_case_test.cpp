#include "base/letter_case.h"

#include <gtest/gtest.h>

namespace fourfold {
namespace {

TEST(LetterCase, FollowsPython) {
  EXPECT_EQ(to_lower("AZ az 09 ÄÉŸ ЯΩ İ Ǆ Ꭰ 𐐀 \U0001E900"),
            "az az 09 äéÿ яω i\u0307 ǆ ꭰ 𐐨 \U0001E922");
  EXPECT_EQ(to_upper("az AZ 09 äéÿ яω ß ŉ ﬃ ǆ ꭰ 𐐨"), "AZ AZ 09 ÄÉŸ ЯΩ SS ʼN FFI Ǆ Ꭰ 𐐀");
  EXPECT_EQ(to_upper("ĀāĹĺžŽ"), "ĀĀĹĹŽŽ");
  EXPECT_EQ(to_lower("ĀāĹĺžŽ"), "āāĺĺžž");
}

TEST(LetterCase, LeavesWhatHasNoneAndMalformedBytes) {
  EXPECT_EQ(to_lower("下雨 \xFF\xC3 𝟙"), "下雨 \xFF\xC3 𝟙");
  EXPECT_EQ(to_upper(""), "");
}

}  // namespace
}  // namespace fourfold
