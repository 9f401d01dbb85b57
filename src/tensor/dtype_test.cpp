#include "tensor/dtype.h"

#include <gtest/gtest.h>

#include <array>
#include <string>

namespace fourfold {
namespace {

std::array<DType, kDTypeCount> all_types() {
  std::array<DType, kDTypeCount> types;
  for (int i = 0; i < kDTypeCount; ++i) types[static_cast<std::size_t>(i)] = static_cast<DType>(i);
  return types;
}

struct SizeCase {
  DType type;
  int block;
  int block_bytes;
};

// formats.md 2.1
constexpr SizeCase kSizes[] = {
    {DType::F32, 1, 4},       {DType::F16, 1, 2},        {DType::BF16, 1, 2},
    {DType::Q8_0, 32, 34},    {DType::Q4_0, 32, 18},     {DType::Q4_1, 32, 20},
    {DType::Q5_0, 32, 22},    {DType::Q5_1, 32, 24},     {DType::IQ4_NL, 32, 18},
    {DType::Q2_K, 256, 84},   {DType::Q3_K, 256, 110},   {DType::Q4_K, 256, 144},
    {DType::Q5_K, 256, 176},  {DType::Q6_K, 256, 210},   {DType::IQ4_XS, 256, 136},
    {DType::IQ3_S, 256, 110}, {DType::IQ3_XXS, 256, 98}, {DType::IQ2_S, 256, 82},
    {DType::IQ2_XS, 256, 74}, {DType::IQ2_XXS, 256, 66}, {DType::IQ1_S, 256, 50},
    {DType::IQ1_M, 256, 56},  {DType::MXFP4, 32, 17},    {DType::NVFP4, 64, 36},
    {DType::TQ1_0, 256, 54},  {DType::TQ2_0, 256, 66},   {DType::Q1_0, 128, 18},
    {DType::Q2_0, 64, 18},    {DType::I64, 1, 8},        {DType::Bool, 1, 1},
};

TEST(DType, KnowsBlockSizes) {
  for (const auto& c : kSizes) {
    SCOPED_TRACE(name(c.type));
    EXPECT_EQ(traits(c.type).block, c.block);
    EXPECT_EQ(traits(c.type).block_bytes, c.block_bytes);
    EXPECT_EQ(size_bytes(c.type, 512), 512 / c.block * c.block_bytes);
  }
}

TEST(DType, GroupsAre16Or32AndDivideTheBlock) {
  int n_quantised = 0;
  for (const DType type : all_types()) {
    SCOPED_TRACE(name(type));
    const auto& t = traits(type);
    if (!t.quantised()) {
      EXPECT_EQ(t.block, 1);
      EXPECT_FALSE(t.has_min);
      continue;
    }
    ++n_quantised;
    EXPECT_TRUE(t.group == 16 || t.group == 32);
    EXPECT_EQ(t.block % t.group, 0);
  }
  EXPECT_EQ(n_quantised, 25);
}

TEST(DType, GgufNumbersGoBothWays) {
  int n_known = 0;
  for (std::uint32_t number = 0; number < 200; ++number) {
    const auto type = dtype_from_gguf(number);
    if (!type) continue;
    ++n_known;
    EXPECT_EQ(gguf_number(*type), number);
  }
  EXPECT_EQ(n_known, 33);
  EXPECT_EQ(dtype_from_gguf(12), DType::Q4_K);
  EXPECT_EQ(dtype_from_gguf(30), DType::BF16);
  EXPECT_EQ(gguf_number(DType::F8_E4M3), std::nullopt);
}

TEST(DType, RefusesRetiredAndForeignGgufNumbers) {
  for (const std::uint32_t number : {4u, 5u, 9u, 15u, 31u, 33u, 36u, 38u, 43u, 137u, ~0u}) {
    EXPECT_EQ(dtype_from_gguf(number), std::nullopt) << number;
  }
}

TEST(DType, IntegersAreNotWeights) {
  EXPECT_TRUE(is_weight_type(DType::F32));
  EXPECT_TRUE(is_weight_type(DType::BF16));
  EXPECT_TRUE(is_weight_type(DType::Q2_0));
  EXPECT_FALSE(is_weight_type(DType::I32));
  EXPECT_FALSE(is_weight_type(DType::F64));
  EXPECT_FALSE(is_weight_type(DType::F8_E4M3));
}

}  // namespace
}  // namespace fourfold
