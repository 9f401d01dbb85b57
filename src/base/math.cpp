#include "base/math.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>

namespace fourfold::math {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

// ln 2 in two parts; the first has 32 bits, so that its product with an exponent is exact.
constexpr double kLn2High = 0x1.62e42fee00000p-1;
constexpr double kLn2Low = 0x1.a39ef35793c76p-33;

// An unevaluated sum of two doubles, |low| at most half an ulp of high.
struct Double2 {
  double high;
  double low;
};

// a + b exactly, in any order of magnitudes.
Double2 two_sum(double a, double b) {
  const double sum = a + b;
  const double from_b = sum - a;
  return {sum, (a - (sum - from_b)) + (b - from_b)};
}

// The same for |a| >= |b|.
Double2 fast_two_sum(double a, double b) {
  const double sum = a + b;
  return {sum, b - (sum - a)};
}

Double2 two_product(double a, double b) {
  const double product = a * b;
  return {product, std::fma(a, b, -product)};
}

Double2 multiply(Double2 a, Double2 b) {
  const auto p = two_product(a.high, b.high);
  return fast_two_sum(p.high, p.low + (a.high * b.low + a.low * b.high));
}

Double2 add(Double2 a, Double2 b) {
  const auto s = two_sum(a.high, b.high);
  return fast_two_sum(s.high, s.low + (a.low + b.low));
}

Double2 divide(Double2 a, Double2 b) {
  const double quotient = a.high / b.high;
  const auto back = two_product(quotient, b.high);
  const double rest = (a.high - back.high) - back.low + a.low - quotient * b.low;
  return fast_two_sum(quotient, rest / b.high);
}

// The nearest integer, half to even: adding 1.5 · 2^52 leaves no room for a fraction.
double round_to_integer(double x) { return (x + 0x1.8p52) - 0x1.8p52; }

double power_of_two(std::int64_t exponent) {
  return std::bit_cast<double>(static_cast<std::uint64_t>(exponent + 1023) << 52);
}

// c[0] + c[1]·x + … by Horner's rule, without a loop that would keep callers from vectorising.
template <int n, int first = 0>
constexpr double polynomial(const double (&c)[n], double x) {
  if constexpr (first == n - 1) {
    return c[first];
  } else {
    return c[first] + x * polynomial<n, first + 1>(c, x);
  }
}

constexpr double factorial(int n) { return n < 2 ? 1.0 : n * factorial(n - 1); }

// fraction · 2^exponent, the exponent a whole number.
struct Scaled {
  double fraction;
  double exponent;
};

// e^(x + low) for |low| far below |x|.
inline Scaled exp_scaled(double x, double low) {
  // (e^r − 1 − r) / r² for |r| <= ln(2) / 2, Taylor.
  constexpr double kTail[] = {1 / factorial(2),  1 / factorial(3),  1 / factorial(4),
                              1 / factorial(5),  1 / factorial(6),  1 / factorial(7),
                              1 / factorial(8),  1 / factorial(9),  1 / factorial(10),
                              1 / factorial(11), 1 / factorial(12), 1 / factorial(13)};
  const double k = round_to_integer(x * 0x1.71547652b82fep+0);  // / ln 2
  const double r = (x - k * kLn2High) - (k * kLn2Low - low);
  return {1.0 + (r + r * r * polynomial(kTail, r)), k};
}

double exp_of_sum(double x, double low) {
  if (std::isnan(x)) return x;
  if (x > 709.79) return kInfinity;
  if (x < -745.14) return 0.0;
  const Scaled power = exp_scaled(x, low);
  // In two steps, since 2^exponent alone may leave the range of f64.
  const auto exponent = static_cast<std::int64_t>(power.exponent);
  return power.fraction * power_of_two(exponent / 2) * power_of_two(exponent - exponent / 2);
}

// The same for |x| <= 708 without branches and conversions, so that loops vectorise.
inline double exp_moderate(double x) {
  const Scaled power = exp_scaled(x, 0.0);
  // As in round_to_integer, the low bits of the sum hold the exponent.
  const auto bits = std::bit_cast<std::uint64_t>(power.exponent + 0x1.8p52);
  return power.fraction * std::bit_cast<double>((bits + 1023) << 52);
}

// x = m · 2^exponent with m in [sqrt(1/2), sqrt(2)).
struct Split {
  double m;
  double exponent;
};

Split split(double x) {
  double exponent = 0.0;
  if (x < std::numeric_limits<double>::min()) {  // subnormal
    x *= 0x1p54;
    exponent = -54.0;
  }
  constexpr std::uint64_t kSqrtHalf = 0x3FE6A09E667F3BCD;
  const auto bits = std::bit_cast<std::uint64_t>(x);
  const auto steps = static_cast<std::int64_t>(bits - kSqrtHalf) >> 52;
  const auto m = std::bit_cast<double>(bits - (static_cast<std::uint64_t>(steps) << 52));
  return {m, exponent + static_cast<double>(steps)};
}

// ln x to about 65 bits, x positive and finite.
Double2 log_double2(double x) {
  const auto [m, exponent] = split(x);
  // ln m = 2 atanh s = 2s · (1 + s²/3 + s⁴ · (1/5 + s²/7 + …)), s = (m − 1) / (m + 1).
  constexpr double kTail[] = {1.0 / 5,  1.0 / 7,  1.0 / 9,  1.0 / 11, 1.0 / 13,
                              1.0 / 15, 1.0 / 17, 1.0 / 19, 1.0 / 21};
  const Double2 s = divide({m - 1.0, 0.0}, two_sum(m, 1.0));
  const Double2 z = multiply(s, s);
  const Double2 third = divide(z, {3.0, 0.0});
  Double2 series = add(third, {z.high * z.high * polynomial(kTail, z.high), 0.0});
  series = add({1.0, 0.0}, series);
  const Double2 log_m = multiply({2.0 * s.high, 2.0 * s.low}, series);
  // The rest of ln 2 behind its two parts is below 2^-86 and does not count.
  const Double2 log_power = add({exponent * kLn2High, 0.0}, two_product(exponent, kLn2Low));
  return add(log_power, log_m);
}

// x − quadrant · π/2, with |high + low| <= π/4 and a little.
struct Reduced {
  std::int64_t quadrant;
  Double2 r;
};

// The parts of π/2 have 33 bits, so products with quadrants below 2^20 are exact; together they
// hold 152 bits, enough for arguments next to a multiple of π/2.
Reduced reduce(double x) {
  const double n = round_to_integer(x * 0x1.45f306dc9c883p-1);  // · 2/π
  const auto first = two_sum(x - n * 0x1.921fb54400000p+0, -n * 0x1.0b4611a600000p-34);
  const auto second = two_sum(first.high, -n * 0x1.3198a2e000000p-69);
  const double low = first.low + (second.low - n * 0x1.b839a252049c1p-104);
  return {static_cast<std::int64_t>(n), fast_two_sum(second.high, low)};
}

double sin_reduced(Double2 r) {
  constexpr double kTail[] = {-1 / factorial(3),  1 / factorial(5),   -1 / factorial(7),
                              1 / factorial(9),   -1 / factorial(11), 1 / factorial(13),
                              -1 / factorial(15), 1 / factorial(17)};
  const double z = r.high * r.high;
  return r.high + (z * r.high * polynomial(kTail, z) + r.low * (1.0 - 0.5 * z));
}

double cos_reduced(Double2 r) {
  constexpr double kTail[] = {1 / factorial(4),   -1 / factorial(6), 1 / factorial(8),
                              -1 / factorial(10), 1 / factorial(12), -1 / factorial(14),
                              1 / factorial(16),  -1 / factorial(18)};
  const double z = r.high * r.high;
  const auto head = fast_two_sum(1.0, -0.5 * z);
  return head.high + (head.low + (z * z * polynomial(kTail, z) - r.high * r.low));
}

// sin(x + quarter_turns · π/2)
double sin_shifted(double x, int quarter_turns) {
  if (!(std::fabs(x) <= 0x1p20)) return kNan;
  const auto [quadrant, r] = reduce(x);
  const auto q = quadrant + quarter_turns;
  const double value = q & 1 ? cos_reduced(r) : sin_reduced(r);
  return q & 2 ? -value : value;
}

}  // namespace

double exp(double x) { return exp_of_sum(x, 0.0); }

double log(double x) {
  if (std::isnan(x) || x < 0.0) return kNan;
  if (x == 0.0) return -kInfinity;
  if (x == kInfinity) return x;
  const auto [m, exponent] = split(x);
  // ln(1 + f) = f − f²/2 + s · (f²/2 + 2s²/3 + 2s⁴/5 + …), s = f / (2 + f).
  constexpr double kTail[] = {2.0 / 3,  2.0 / 5,  2.0 / 7,  2.0 / 9,  2.0 / 11, 2.0 / 13,
                              2.0 / 15, 2.0 / 17, 2.0 / 19, 2.0 / 21, 2.0 / 23};
  const double f = m - 1.0;
  const double s = f / (2.0 + f);
  const double z = s * s;
  const double half_square = 0.5 * f * f;
  const double rest = s * (half_square + z * polynomial(kTail, z)) + exponent * kLn2Low;
  return exponent * kLn2High - ((half_square - rest) - f);
}

double sin(double x) { return x == 0.0 ? x : sin_shifted(x, 0); }
double cos(double x) { return sin_shifted(x, 1); }

double pow(double x, double y) {
  if (y == 0.0 || x == 1.0) return 1.0;
  if (std::isnan(x) || std::isnan(y) || x < 0.0) return kNan;
  if (x == 0.0) return y > 0.0 ? 0.0 : kInfinity;
  if (x == kInfinity) return y > 0.0 ? kInfinity : 0.0;
  // Also keeps the products below finite: |ln x| is above 2^-53.
  if (std::fabs(y) > 0x1p64) return (x > 1.0) == (y > 0.0) ? kInfinity : 0.0;
  const Double2 exponent = multiply(log_double2(x), {y, 0.0});
  return exp_of_sum(exponent.high, exponent.low);
}

double sum_exp(std::span<const float> x, float shift, double scale) {
  constexpr std::size_t kLanes = 16;
  double sums[kLanes] = {};
  const auto term = [shift, scale](float value) {
    return exp_moderate(std::max((static_cast<double>(value) - shift) * scale, -708.0));
  };
  std::size_t i = 0;
  for (; i + kLanes <= x.size(); i += kLanes) {
    for (std::size_t lane = 0; lane < kLanes; ++lane) sums[lane] += term(x[i + lane]);
  }
  for (std::size_t lane = 0; i < x.size(); ++i, ++lane) sums[lane] += term(x[i]);
  double total = 0.0;
  for (const double sum : sums) total += sum;
  return total;
}

}  // namespace fourfold::math
