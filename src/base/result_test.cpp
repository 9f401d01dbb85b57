#include "base/result.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>

namespace fourfold {
namespace {

Result<int> parse_digit(char c) {
  if (c < '0' || c > '9') return invalid_argument("\"{}\" is not a digit", c);
  return c - '0';
}

Result<int> sum_digits(const std::string& text) {
  int sum = 0;
  for (const char c : text) sum += TRY(parse_digit(c));
  return sum;
}

Status check_digits(const std::string& text) {
  for (const char c : text) TRY_IN(text, parse_digit(c));
  return {};
}

Result<std::unique_ptr<int>> make_box(int value) { return std::make_unique<int>(value); }

Result<int> unbox(int value) {
  const auto box = TRY(make_box(value));
  return *box;
}

TEST(Result, HoldsAValueOrAnError) {
  const auto good = parse_digit('7');
  ASSERT_TRUE(good.ok());
  EXPECT_EQ(*good, 7);

  const auto bad = parse_digit('x');
  ASSERT_FALSE(bad.ok());
  EXPECT_EQ(bad.error().code, Code::InvalidArgument);
  EXPECT_EQ(bad.error().message, "\"x\" is not a digit");
}

TEST(Result, TryUnwrapsOrReturnsTheError) {
  EXPECT_EQ(*sum_digits("123"), 6);
  EXPECT_EQ(sum_digits("1y3").error().message, "\"y\" is not a digit");
}

TEST(Result, TryInPutsContextInFront) {
  EXPECT_TRUE(check_digits("42").ok());
  EXPECT_EQ(check_digits("4z").error().message, "4z: \"z\" is not a digit");
}

TEST(Result, CarriesValuesThatOnlyMove) { EXPECT_EQ(*unbox(5), 5); }

TEST(Result, CodesHaveTheirRpcNames) {
  EXPECT_EQ(code_name(Code::InvalidArgument), "INVALID_ARGUMENT");
  EXPECT_EQ(code_name(Code::Unauthenticated), "UNAUTHENTICATED");
  EXPECT_EQ(code_name(internal_error("x").code), "INTERNAL");
  EXPECT_EQ(code_name(data_loss("x").code), "DATA_LOSS");
  EXPECT_EQ(code_name(not_found("x").code), "NOT_FOUND");
  EXPECT_EQ(code_name(resource_exhausted("x").code), "RESOURCE_EXHAUSTED");
}

}  // namespace
}  // namespace fourfold
