#include "base/math.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>
#include <vector>

namespace fourfold {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr int kSamples = 200000;

// Distance in units of the last place of the exact value.
double ulps(double value, long double exact) {
  if (static_cast<double>(exact) == value) return 0.0;
  const int exponent = std::max(std::ilogb(static_cast<double>(exact)), -1022);
  return static_cast<double>(std::fabs(value - exact) / std::ldexp(1.0L, exponent - 52));
}

// The largest error over random arguments.
template <class Ours, class Exact>
double worst_error(double lowest, double highest, Ours ours, Exact exact) {
  std::mt19937_64 random(7);
  std::uniform_real_distribution<double> argument(lowest, highest);
  double worst = 0.0;
  for (int i = 0; i < kSamples; ++i) {
    const double x = argument(random);
    worst = std::max(worst, ulps(ours(x), exact(static_cast<long double>(x))));
  }
  return worst;
}

struct Range {
  double lowest;
  double highest;
};

TEST(MathExp, StaysWithinTwoUlps) {
  const auto exact = [](long double x) { return std::exp(x); };
  for (const auto [lowest, highest] : {Range{-708, 709.7}, Range{-1, 1}, Range{-1e-5, 1e-5}}) {
    EXPECT_LT(worst_error(lowest, highest, math::exp, exact), 2.0) << lowest;
  }
  EXPECT_LT(worst_error(-745, -708, math::exp, exact), 2.0) << "subnormal results";
}

TEST(MathExp, HandlesEdges) {
  EXPECT_EQ(math::exp(0.0), 1.0);
  EXPECT_EQ(math::exp(-0.0), 1.0);
  EXPECT_EQ(math::exp(1000.0), kInfinity);
  EXPECT_EQ(math::exp(kInfinity), kInfinity);
  EXPECT_EQ(math::exp(-1000.0), 0.0);
  EXPECT_EQ(math::exp(-kInfinity), 0.0);
  EXPECT_TRUE(std::isnan(math::exp(kNan)));
  EXPECT_LT(ulps(math::exp(709.782712893384), std::exp(709.782712893384L)), 2.0);
}

TEST(MathLog, StaysWithinTwoUlps) {
  const auto exact = [](long double x) { return std::log(x); };
  for (const auto [lowest, highest] :
       {Range{0, 1}, Range{0.7, 1.42}, Range{0.999, 1.001}, Range{1, 1e6}, Range{1e300, 1.7e308},
        Range{0, 1e-300}, Range{0, 2e-308}}) {
    EXPECT_LT(worst_error(lowest, highest, math::log, exact), 2.0) << highest;
  }
}

TEST(MathLog, HandlesEdges) {
  EXPECT_EQ(math::log(1.0), 0.0);
  EXPECT_EQ(math::log(0.0), -kInfinity);
  EXPECT_EQ(math::log(kInfinity), kInfinity);
  EXPECT_TRUE(std::isnan(math::log(-1.0)));
  EXPECT_TRUE(std::isnan(math::log(kNan)));
}

TEST(MathSinCos, StayWithinTwoUlps) {
  const auto exact_sin = [](long double x) { return std::sin(x); };
  const auto exact_cos = [](long double x) { return std::cos(x); };
  for (const auto [lowest, highest] :
       {Range{-0.8, 0.8}, Range{-10, 10}, Range{0, 262144}, Range{-1048576, 1048576}}) {
    EXPECT_LT(worst_error(lowest, highest, math::sin, exact_sin), 2.0) << highest;
    EXPECT_LT(worst_error(lowest, highest, math::cos, exact_cos), 2.0) << highest;
  }
}

TEST(MathSinCos, StayWithinTwoUlpsNextToMultiplesOfAQuarterTurn) {
  // There the result is tiny, and all its bits come from the low bits of π. The C library has
  // them in f64; long double functions on some machines do not.
  const long double half_pi = std::acos(-1.0L) / 2;
  double worst = 0.0;
  for (int n = 1; n < 160000; n += 7) {
    const auto x = static_cast<double>(n * half_pi);
    worst =
        std::max(worst, n % 2 ? ulps(math::cos(x), std::cos(x)) : ulps(math::sin(x), std::sin(x)));
  }
  EXPECT_LT(worst, 2.0);
}

TEST(MathSinCos, KnowHardArguments) {
  // Computed with 300 bits.
  EXPECT_DOUBLE_EQ(math::sin(262143.0), 0x1.960a26db13c6ep-1);
  EXPECT_DOUBLE_EQ(math::cos(262143.0), -0x1.37e403cff462dp-1);
  EXPECT_DOUBLE_EQ(math::sin(262144.0), -0x1.58809c5ce39b6p-4);
  EXPECT_DOUBLE_EQ(math::cos(262144.0), -0x1.fe2f9378c3909p-1);
  // The f64 numbers closest to a multiple of π/2: 29 and 232 times.
  EXPECT_DOUBLE_EQ(math::cos(0x1.6c6cbc45dc8dep+5), -0x1.6d61b58c99c43p-61);
  EXPECT_DOUBLE_EQ(math::sin(0x1.6c6cbc45dc8dep+8), 0x1.6d61b58c99c43p-58);
}

TEST(MathSinCos, HandleEdges) {
  EXPECT_EQ(math::sin(0.0), 0.0);
  EXPECT_TRUE(std::signbit(math::sin(-0.0)));
  EXPECT_EQ(math::cos(0.0), 1.0);
  EXPECT_EQ(math::sin(1e-300), 1e-300);
  for (const double x : {kNan, kInfinity, -kInfinity, 1e9}) {
    EXPECT_TRUE(std::isnan(math::sin(x))) << x;
    EXPECT_TRUE(std::isnan(math::cos(x))) << x;
  }
}

TEST(MathPow, StaysWithinTwoUlps) {
  for (const double y : {-1.0, -0.00390625, -0.7, 0.5, 3.0, 42.0, 130.0, -200.0}) {
    const double worst = worst_error(
        0.1, 100.0, [y](double x) { return math::pow(x, y); },
        [y](long double x) { return std::pow(x, static_cast<long double>(y)); });
    EXPECT_LT(worst, 2.0) << "exponent " << y;
  }
}

TEST(MathPow, StaysWithinTwoUlpsForRotationFrequencies) {
  for (const double base : {1e4, 1e6}) {
    for (int i = 0; i < 256; ++i) {
      const double y = -i / 256.0;
      const auto exact = std::pow(static_cast<long double>(base), static_cast<long double>(y));
      EXPECT_LT(ulps(math::pow(base, y), exact), 2.0) << base << " " << y;
    }
  }
}

TEST(MathPow, HandlesEdges) {
  EXPECT_EQ(math::pow(10.0, 0.0), 1.0);
  EXPECT_EQ(math::pow(kNan, 0.0), 1.0);
  EXPECT_EQ(math::pow(1.0, kInfinity), 1.0);
  EXPECT_EQ(math::pow(2.0, 10.0), 1024.0);
  EXPECT_EQ(math::pow(2.0, -1074.0), 0x1p-1074);
  EXPECT_EQ(math::pow(2.0, 2000.0), kInfinity);
  EXPECT_EQ(math::pow(2.0, -2000.0), 0.0);
  EXPECT_EQ(math::pow(0.0, 2.0), 0.0);
  EXPECT_EQ(math::pow(0.0, -2.0), kInfinity);
  EXPECT_EQ(math::pow(kInfinity, -1.0), 0.0);
  EXPECT_EQ(math::pow(0.5, kInfinity), 0.0);
  EXPECT_EQ(math::pow(0.5, -kInfinity), kInfinity);
  EXPECT_TRUE(std::isnan(math::pow(-2.0, 2.0)));
  EXPECT_TRUE(std::isnan(math::pow(2.0, kNan)));
}

TEST(MathSumExp, AddsPowersOfE) {
  std::mt19937_64 random(7);
  std::uniform_real_distribution<float> argument(-30.0f, 5.0f);
  for (const std::size_t n : {0, 1, 15, 16, 17, 1000}) {
    std::vector<float> x(n);
    long double exact = 0.0L;
    for (float& value : x) {
      value = argument(random);
      exact += std::exp((static_cast<long double>(value) - 5.0L) / 0.7L);
    }
    EXPECT_NEAR(math::sum_exp(x, 5.0f, 1 / 0.7), static_cast<double>(exact), 1e-13 * n) << n;
  }
}

TEST(MathSumExp, TakesForbiddenValues) {
  const std::vector<float> x = {1.0f, -std::numeric_limits<float>::infinity(), -1e30f, 1.0f};
  EXPECT_EQ(math::sum_exp(x, 1.0f, 1.0), 2.0);
}

}  // namespace
}  // namespace fourfold
