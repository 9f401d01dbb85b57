#include "tensor/quantize.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "tensor/blocks.h"
#include "tensor/test_vectors.h"

namespace fourfold {
namespace {

constexpr std::size_t kRows = 8;
constexpr std::size_t kColumns = 512;

// formats.md 2.5, encoding input
std::vector<float> encode_input() {
  TestVectorGenerator generator(12345);
  std::vector<float> x(kRows * kColumns);
  for (auto& value : x) {
    float sum = 0.0f;
    for (int i = 0; i < 4; ++i) sum += static_cast<float>(generator.next() >> 16) / 65536.0f;
    value = (sum - 2.0f) / 16.0f;
  }
  for (std::size_t j = 0; j < kColumns; ++j) {
    x[4 * kColumns + j] = 0.0f;
    x[5 * kColumns + j] = 0.5f;
    x[7 * kColumns + j] = -std::fabs(x[7 * kColumns + j]);
  }
  x[6 * kColumns] = 100.0f;
  return x;
}

std::vector<std::byte> encode(DType type, const std::vector<float>& x) {
  std::vector<std::byte> bytes(
      static_cast<std::size_t>(size_bytes(type, static_cast<std::int64_t>(x.size()))));
  const auto status = quantize(type, x, bytes);
  EXPECT_TRUE(status.ok());
  return bytes;
}

double relative_rms_error(DType type, std::vector<float> x) {
  x.resize(4 * kColumns);
  std::vector<float> y(x.size());
  dequantize(type, encode(type, x).data(), static_cast<std::int64_t>(x.size()), y.data());
  double error = 0.0;
  double power = 0.0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    error += std::pow(static_cast<double>(x[i]) - y[i], 2);
    power += std::pow(static_cast<double>(x[i]), 2);
  }
  return std::sqrt(error / power);
}

TEST(Quantize, TestInputIsThePublishedOne) { EXPECT_EQ(crc32(encode_input()), 0x0bee83a5u); }

struct EncodeCase {
  DType type;
  std::uint32_t crc;
  double rms;
};

void PrintTo(const EncodeCase& c, std::ostream* out) { *out << name(c.type); }

class EncodeBlocks : public testing::TestWithParam<EncodeCase> {};

TEST_P(EncodeBlocks, GivesThePublishedBytes) {
  const auto& c = GetParam();
  EXPECT_EQ(crc32(encode(c.type, encode_input())), c.crc);
}

TEST_P(EncodeBlocks, LosesAsMuchAsPublished) {
  const auto& c = GetParam();
  EXPECT_NEAR(relative_rms_error(c.type, encode_input()), c.rms, 1e-6);
}

INSTANTIATE_TEST_SUITE_P(Types, EncodeBlocks,
                         testing::Values(EncodeCase{DType::Q4_0, 0xac2dacb2, 0.083736},
                                         EncodeCase{DType::Q8_0, 0xd6f07570, 0.005155},
                                         EncodeCase{DType::F16, 0x37efd70c, 0.000210},
                                         EncodeCase{DType::BF16, 0xc5a29bc9, 0.001635}),
                         [](const auto& param) { return std::string(name(param.param.type)); });

TEST(Quantize, KeepsF32AsItIs) {
  const auto x = encode_input();
  std::vector<float> y(x.size());
  dequantize(DType::F32, encode(DType::F32, x).data(), static_cast<std::int64_t>(x.size()),
             y.data());
  EXPECT_EQ(x, y);
}

TEST(Quantize, TinyValuesBecomeZero) {
  for (const DType type : {DType::Q4_0, DType::Q8_0}) {
    std::vector<float> x(32, std::numeric_limits<float>::denorm_min());
    std::vector<float> y(32, 1.0f);
    dequantize(type, encode(type, x).data(), 32, y.data());
    for (const float value : y) EXPECT_EQ(value, 0.0f) << name(type);
  }
}

TEST(Quantize, RefusesWhatABlockCannotHold) {
  const float bad[] = {1e30f, std::numeric_limits<float>::infinity(),
                       std::numeric_limits<float>::quiet_NaN()};
  for (const DType type : {DType::Q4_0, DType::Q8_0}) {
    for (const float value : bad) {
      std::vector<float> x(64, 1.0f);
      x[40] = value;
      std::vector<std::byte> bytes(static_cast<std::size_t>(size_bytes(type, 64)));
      const auto status = quantize(type, x, bytes);
      ASSERT_FALSE(status.ok()) << name(type) << " " << value;
      EXPECT_EQ(status.error().code, Code::InvalidArgument);
      EXPECT_NE(status.error().message.find("values 32 to 63"), std::string::npos)
          << status.error().message;
    }
  }
}

TEST(Quantize, SaysWhichTypesItCannotEncode) {
  std::vector<float> x(256, 1.0f);
  std::vector<std::byte> bytes(static_cast<std::size_t>(size_bytes(DType::IQ2_S, 256)));
  const auto status = quantize(DType::IQ2_S, x, bytes);
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error().code, Code::Unimplemented);
}

}  // namespace
}  // namespace fourfold
