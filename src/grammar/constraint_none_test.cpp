#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "grammar/constraint.h"

namespace fourfold {
namespace {

TEST(ConstraintFactory, ABuildWithoutRustRefusesByName) {
  const auto tokenizer = Tokenizer::open(std::string(FOURFOLD_SOURCE_DIR) +
                                         "/tests/golden/tokenizer/tokenizer-small.json");
  ASSERT_TRUE(tokenizer.ok());
  ConstraintFactory factory(*tokenizer);
  EXPECT_FALSE(ConstraintFactory::is_available());
  const auto constraint = factory.any_json();
  ASSERT_FALSE(constraint.ok());
  EXPECT_EQ(constraint.error().code, Code::Unimplemented);
  EXPECT_THAT(constraint.error().message, testing::HasSubstr("rustc-web"));
}

}  // namespace
}  // namespace fourfold
