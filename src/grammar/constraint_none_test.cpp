#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "grammar/constraint.h"
#include "tokenizer/golden_tokenizers.h"

namespace fourfold {
namespace {

TEST(ConstraintFactory, ABuildWithoutRustRefusesByName) {
  ConstraintFactory factory(small_tokenizer());
  EXPECT_FALSE(ConstraintFactory::is_available());
  const auto constraint = factory.any_json();
  ASSERT_FALSE(constraint.ok());
  EXPECT_EQ(constraint.error().code, Code::Unimplemented);
  EXPECT_THAT(constraint.error().message, testing::HasSubstr("rustc-web"));
}

}  // namespace
}  // namespace fourfold
