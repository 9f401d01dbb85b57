#include "tensor/blocks.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "tensor/test_vectors.h"

namespace fourfold {
namespace {

constexpr int kBlocks = 16;

struct DecodeCase {
  DType type;
  std::vector<std::size_t> scale_bytes;  // high bytes of the f16 scales in a block
  std::uint32_t input_crc;
  std::uint32_t output_crc;
};

void PrintTo(const DecodeCase& c, std::ostream* out) { *out << name(c.type); }

// formats.md 2.5
const DecodeCase kDecodeCases[] = {
    {DType::Q4_0, {1}, 0x77a1dcfa, 0xa1051d09},    {DType::Q4_1, {1, 3}, 0x6a9d73ac, 0xc4323c08},
    {DType::Q5_0, {1}, 0x80694c29, 0x007ce29f},    {DType::Q5_1, {1, 3}, 0x22ba2253, 0xf8314771},
    {DType::Q8_0, {1}, 0x0f744f1d, 0x416bbb43},    {DType::Q2_K, {81, 83}, 0xba3883a7, 0x97f8d906},
    {DType::Q3_K, {109}, 0x725e4e35, 0x939f424e},  {DType::Q4_K, {1, 3}, 0x8ac12abd, 0xb3114fa2},
    {DType::Q5_K, {1, 3}, 0x207e5468, 0x310c7932}, {DType::Q6_K, {209}, 0x749963a2, 0xdb75c59a},
    {DType::IQ4_NL, {1}, 0x77a1dcfa, 0x43748fea},  {DType::IQ4_XS, {1}, 0x8c9ea9ab, 0xb3e39947},
    {DType::MXFP4, {}, 0x7f11a31e, 0xd5b9ac15},    {DType::NVFP4, {}, 0xa14d5177, 0x8124d57f},
    {DType::TQ1_0, {53}, 0xda308618, 0xc6073e25},  {DType::TQ2_0, {65}, 0x6596ef75, 0xd02362df},
    {DType::IQ2_XXS, {1}, 0x030a201f, 0x798932cf}, {DType::IQ2_XS, {1}, 0x4017365b, 0x5335697e},
    {DType::IQ2_S, {1}, 0x2df749f2, 0x0b6476ca},   {DType::IQ3_XXS, {1}, 0xd2a09b07, 0x186ced70},
    {DType::IQ3_S, {1}, 0x58454444, 0xa68652c5},   {DType::IQ1_S, {1}, 0x9f055727, 0xc6de458d},
    {DType::IQ1_M, {55}, 0xda0bf126, 0xbe08fdf7},
};

std::vector<std::byte> random_blocks(DType type) {
  TestVectorGenerator generator(777);
  std::vector<std::byte> bytes(static_cast<std::size_t>(kBlocks * traits(type).block_bytes));
  for (auto& byte : bytes) byte = static_cast<std::byte>(generator.next() >> 24);
  return bytes;
}

// Scales are kept finite and of moderate size.
std::vector<std::byte> decode_input(const DecodeCase& c) {
  auto bytes = random_blocks(c.type);
  const auto block_bytes = static_cast<std::size_t>(traits(c.type).block_bytes);
  for (std::size_t b = 0; b < bytes.size(); b += block_bytes) {
    for (const std::size_t k : c.scale_bytes) bytes[b + k] &= std::byte{0x3F};
    if (c.type == DType::MXFP4) {
      bytes[b] = static_cast<std::byte>(100 + std::to_integer<int>(bytes[b] & std::byte{31}));
    }
    if (c.type == DType::NVFP4) {
      for (std::size_t k = 0; k < 4; ++k) bytes[b + k] &= std::byte{0x7F};
    }
  }
  return bytes;
}

class DecodeBlocks : public testing::TestWithParam<DecodeCase> {};

TEST_P(DecodeBlocks, GivesThePublishedValues) {
  const auto& c = GetParam();
  const auto bytes = decode_input(c);
  ASSERT_EQ(crc32(bytes), c.input_crc);

  std::vector<float> values(static_cast<std::size_t>(kBlocks * traits(c.type).block));
  dequantize(c.type, bytes.data(), static_cast<std::int64_t>(values.size()), values.data());

  EXPECT_EQ(crc32(values), c.output_crc);
}

TEST_P(DecodeBlocks, IntegersScalesAndOffsetsGiveTheSameValues) {
  const auto& c = GetParam();
  const auto& t = traits(c.type);
  const auto bytes = decode_input(c);
  const auto n = static_cast<std::size_t>(kBlocks * t.block);
  const auto group = static_cast<std::size_t>(t.group);
  std::vector<std::int8_t> q(n);
  std::vector<float> scales(n / group);
  std::vector<float> offsets(t.has_min ? n / group : 0);

  unpack_blocks(c.type, bytes.data(), kBlocks, q.data(), scales.data(),
                t.has_min ? offsets.data() : nullptr);

  std::vector<float> values(n);
  for (std::size_t i = 0; i < n; ++i) {
    values[i] = scales[i / group] * static_cast<float>(q[i]);
    const double exact = static_cast<double>(scales[i / group]) * q[i];
    ASSERT_EQ(values[i], exact) << "the product must not round, value " << i;
    if (t.has_min) values[i] += offsets[i / group];
  }
  EXPECT_EQ(crc32(values), c.output_crc);
}

INSTANTIATE_TEST_SUITE_P(Types, DecodeBlocks, testing::ValuesIn(kDecodeCases),
                         [](const auto& param) { return std::string(name(param.param.type)); });

std::vector<float> decode_one(DType type, const std::vector<std::uint8_t>& block) {
  std::vector<float> values(static_cast<std::size_t>(traits(type).block));
  dequantize(type, reinterpret_cast<const std::byte*>(block.data()), traits(type).block,
             values.data());
  return values;
}

TEST(DecodeQ1_0, TakesOneSignABit) {
  std::vector<std::uint8_t> block(18, 0);
  block[1] = 0x40;  // d = 2
  block[2] = 0x05;
  block[17] = 0x80;
  auto expected = std::vector<float>(128, -2.0f);
  expected[0] = expected[2] = expected[127] = 2.0f;
  EXPECT_EQ(decode_one(DType::Q1_0, block), expected);
}

TEST(DecodeQ2_0, TakesTwoBitsAValueLowestFirst) {
  std::vector<std::uint8_t> block(18, 0x55);  // all 1: zero
  block[0] = 0x00;
  block[1] = 0x3C;  // d = 1
  block[2] = 0xE4;  // 0, 1, 2, 3
  auto expected = std::vector<float>(64, 0.0f);
  expected[0] = -1.0f;
  expected[2] = 1.0f;
  expected[3] = 2.0f;
  EXPECT_EQ(decode_one(DType::Q2_0, block), expected);
}

TEST(DecodeMxfp4, KeepsDenormalScalesAndMarksTheInvalidOne) {
  std::vector<std::uint8_t> block(17, 0x11);  // all levels 1
  block[0] = 0;
  EXPECT_EQ(decode_one(DType::MXFP4, block)[0], 0x1p-128f);
  block[0] = 1;
  EXPECT_EQ(decode_one(DType::MXFP4, block)[0], 0x1p-127f);
  block[0] = 2;
  EXPECT_EQ(decode_one(DType::MXFP4, block)[0], 0x1p-126f);
  block[0] = 254;
  EXPECT_EQ(decode_one(DType::MXFP4, block)[0], 0x1p126f);
  block[0] = 255;
  EXPECT_TRUE(std::isnan(decode_one(DType::MXFP4, block)[0]));
}

TEST(DecodeNvfp4, ReadsScalesAsUnsignedE4M3) {
  std::vector<std::uint8_t> block(36, 0x22);  // all levels 2, so value = scale
  block[0] = 0x00;
  block[1] = 0x07;  // subnormal
  block[2] = 0x7E;  // the largest
  block[3] = 0x7F;  // not a number, counts as 0
  const auto values = decode_one(DType::NVFP4, block);
  EXPECT_EQ(values[0], 0.0f);
  EXPECT_EQ(values[16], 7.0f / 512.0f);
  EXPECT_EQ(values[32], 448.0f);
  EXPECT_EQ(values[48], 0.0f);
}

TEST(Dequantize, AcceptsNothing) {
  float untouched = 3.0f;
  dequantize(DType::Q4_K, nullptr, 0, &untouched);
  dequantize(DType::F32, nullptr, 0, &untouched);
  EXPECT_EQ(untouched, 3.0f);
}

// The value of a binary16 number by its definition.
double f16_value(std::uint16_t half) {
  const int exponent = (half >> 10) & 31;
  const int mantissa = half & 1023;
  const double sign = half & 0x8000 ? -1.0 : 1.0;
  if (exponent == 31) return mantissa ? std::nan("") : sign * HUGE_VAL;
  return sign * (exponent ? std::ldexp(1024 + mantissa, exponent - 25) : std::ldexp(mantissa, -24));
}

TEST(F16, EveryNumberWidensExactlyAndComesBack) {
  for (int i = 0; i < 0x10000; ++i) {
    const auto half = static_cast<std::uint16_t>(i);
    const float wide = f16_to_f32(half);
    if (std::isnan(f16_value(half))) {
      ASSERT_TRUE(std::isnan(wide)) << i;
      ASSERT_TRUE(std::isnan(f16_to_f32(f32_to_f16(wide)))) << i;
      continue;
    }
    ASSERT_EQ(wide, f16_value(half)) << i;
    ASSERT_EQ(std::signbit(wide), (half & 0x8000) != 0) << i;
    ASSERT_EQ(f32_to_f16(wide), half) << i;
  }
}

TEST(F16, RoundsHalfToEven) {
  for (int i = 0; i < 0x7BFF; ++i) {
    const auto lower = static_cast<std::uint16_t>(i);
    const auto upper = static_cast<std::uint16_t>(i + 1);
    const auto middle = static_cast<float>((f16_value(lower) + f16_value(upper)) / 2);
    ASSERT_EQ(f32_to_f16(middle), i % 2 ? upper : lower) << i;
    ASSERT_EQ(f32_to_f16(std::nextafterf(middle, 0.0f)), lower) << i;
    ASSERT_EQ(f32_to_f16(std::nextafterf(middle, 1e9f)), upper) << i;
    ASSERT_EQ(f32_to_f16(-middle), 0x8000 | (i % 2 ? upper : lower)) << i;
  }
}

TEST(F16, OverflowsToInfinity) {
  EXPECT_EQ(f32_to_f16(65519.996f), 0x7BFF);
  EXPECT_EQ(f32_to_f16(65520.0f), 0x7C00);
  EXPECT_EQ(f32_to_f16(-1e30f), 0xFC00);
  EXPECT_EQ(f32_to_f16(std::numeric_limits<float>::infinity()), 0x7C00);
}

TEST(BF16, RoundsHalfToEvenAndKeepsNan) {
  EXPECT_EQ(f32_to_bf16(std::bit_cast<float>(0x3F808000u)), 0x3F80);
  EXPECT_EQ(f32_to_bf16(std::bit_cast<float>(0x3F818000u)), 0x3F82);
  EXPECT_EQ(f32_to_bf16(std::bit_cast<float>(0x3F808001u)), 0x3F81);
  EXPECT_EQ(f32_to_bf16(std::numeric_limits<float>::max()), 0x7F80);
  EXPECT_EQ(f32_to_bf16(std::bit_cast<float>(0xFF800001u)), 0xFFC0);
  EXPECT_EQ(bf16_to_f32(0xC040), -3.0f);
}

}  // namespace
}  // namespace fourfold
