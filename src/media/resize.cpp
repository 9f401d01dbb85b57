#include "media/resize.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include "base/check.h"
#include "base/checked.h"

namespace fourfold {
namespace {

constexpr int kMostPrecision = 22;
constexpr int kVector =
    8;  // taps are padded to a multiple of it, so that loops have a known length

// The filter of one axis: output i is the sum over t of input[first[i] + t] · weights[i, t].
struct Axis {
  int n_in = 0, n_out = 0;
  int n_taps = 0;                     // padded; the weights of taps that do not exist are 0
  int precision = 0;                  // weights are multiples of 2^-precision
  std::vector<int> first;             // [n_out]
  std::vector<int> n_used;            // [n_out] taps that exist
  std::vector<std::int16_t> weights;  // [n_out, n_taps]

  const std::int16_t* weights_of(int i) const {
    return weights.data() + static_cast<std::size_t>(i) * static_cast<std::size_t>(n_taps);
  }
};

// Keys with a = −0.5.
double bicubic(double x) {
  constexpr double a = -0.5;
  x = std::abs(x);
  if (x < 1.0) return ((a + 2.0) * x - (a + 3.0)) * x * x + 1.0;
  if (x < 2.0) return (((x - 5.0) * x + 8.0) * x - 4.0) * a;
  return 0.0;
}

// Taps and normalised weights of every output; rows of `weights` are n_taps long.
std::vector<double> make_taps(Axis& axis) {
  const double scale = static_cast<double>(axis.n_in) / axis.n_out;
  const double filter_scale = std::max(scale, 1.0);
  const double support = 2.0 * filter_scale;
  const auto most_taps = static_cast<std::int64_t>(std::ceil(support)) * 2 + 1;
  axis.n_taps = static_cast<int>(round_up(most_taps, kVector));
  std::vector<double> weights(static_cast<std::size_t>(axis.n_out) *
                              static_cast<std::size_t>(axis.n_taps));
  for (int i = 0; i < axis.n_out; ++i) {
    const double centre = (i + 0.5) * scale;
    const int low = std::max(0, static_cast<int>(centre - support + 0.5));
    const int high = std::min(axis.n_in, static_cast<int>(centre + support + 0.5));
    double* row =
        weights.data() + static_cast<std::size_t>(i) * static_cast<std::size_t>(axis.n_taps);
    double sum = 0.0;
    for (int j = low; j < high; ++j) {
      row[j - low] = bicubic((j - centre + 0.5) / filter_scale);
      sum += row[j - low];
    }
    for (int j = low; j < high; ++j) row[j - low] /= sum;
    axis.first.push_back(low);
    axis.n_used.push_back(high - low);
  }
  return weights;
}

Axis make_axis(int n_in, int n_out) {
  Axis axis{.n_in = n_in, .n_out = n_out};
  const auto exact = make_taps(axis);
  const double largest = *std::max_element(exact.begin(), exact.end());
  // The largest weight decides how many bits all of them get.
  const auto fits = [&](int precision) {
    return static_cast<int>(0.5 + largest * static_cast<double>(1 << precision)) < 1 << 15;
  };
  while (axis.precision < kMostPrecision && fits(axis.precision + 1)) ++axis.precision;
  const auto unit = static_cast<double>(1 << axis.precision);
  axis.weights.reserve(exact.size());
  for (const double weight : exact) {
    axis.weights.push_back(static_cast<std::int16_t>(weight * unit + (weight < 0 ? -0.5 : 0.5)));
  }
  return axis;
}

std::uint8_t to_level(int sum, int precision) {
  return static_cast<std::uint8_t>(std::clamp(sum >> precision, 0, 255));
}

template <int N>
int dot(const std::int16_t* a, const std::int16_t* b) {
  int sum = 0;
  for (int i = 0; i < N; ++i) sum += int{a[i]} * int{b[i]};
  return sum;
}

template <int N>
int dot_of_many(const std::int16_t* a, const std::int16_t* b, int n) {
  int sum = 0;
  int i = 0;
  for (; i + N <= n; i += N) sum += dot<N>(a + i, b + i);
  for (; i < n; i += kVector) sum += dot<kVector>(a + i, b + i);
  return sum;
}

// One row whose channels lie in planes; N: taps, or 0 for any number.
template <int N>
void filter_row(const Axis& axis, const std::vector<std::int16_t> (&planes)[3], std::uint8_t* out) {
  const int start = axis.precision == 0 ? 0 : 1 << (axis.precision - 1);
  for (int i = 0; i < axis.n_out; ++i) {
    const std::int16_t* weights = axis.weights_of(i);
    for (const auto& plane : planes) {
      const std::int16_t* in = plane.data() + axis.first[static_cast<std::size_t>(i)];
      const int sum = N > 0 ? dot<N>(in, weights) : dot_of_many<32>(in, weights, axis.n_taps);
      *out++ = to_level(start + sum, axis.precision);
    }
  }
}

using FilterRow = void (*)(const Axis&, const std::vector<std::int16_t> (&)[3], std::uint8_t*);

FilterRow choose_filter_row(int n_taps) {
  switch (n_taps) {
    case 8: return filter_row<8>;
    case 16: return filter_row<16>;
    case 24: return filter_row<24>;
    case 32: return filter_row<32>;
    default: return filter_row<0>;
  }
}

Picture resize_width(const Picture& source, int width) {
  const Axis axis = make_axis(source.width, width);
  const FilterRow filter = choose_filter_row(axis.n_taps);
  const auto n_in = static_cast<std::size_t>(source.width);
  std::vector<std::int16_t> planes[3];
  for (auto& plane : planes) plane.resize(n_in + static_cast<std::size_t>(axis.n_taps));

  Picture out{.width = width, .height = source.height, .rgb = {}};
  const std::size_t out_row = static_cast<std::size_t>(width) * 3;
  out.rgb.resize(out_row * static_cast<std::size_t>(source.height));
  for (std::size_t y = 0; y < static_cast<std::size_t>(source.height); ++y) {
    const std::uint8_t* in = source.rgb.data() + y * n_in * 3;
    for (std::size_t x = 0; x < n_in; ++x) {
      planes[0][x] = in[3 * x];
      planes[1][x] = in[3 * x + 1];
      planes[2][x] = in[3 * x + 2];
    }
    filter(axis, planes, out.rgb.data() + y * out_row);
  }
  return out;
}

constexpr std::size_t kStrip = 64;  // bytes of a row that are summed at once

// N bytes of one output row; `in` is the first tap's row.
template <std::size_t N>
void filter_strip(const std::uint8_t* in, std::size_t stride, const std::int16_t* weights,
                  int n_taps, int precision, std::uint8_t* out) {
  int sums[N];
  for (std::size_t i = 0; i < N; ++i) sums[i] = precision == 0 ? 0 : 1 << (precision - 1);
  for (int t = 0; t < n_taps; ++t, in += stride) {
    const std::int16_t weight = weights[t];
    for (std::size_t i = 0; i < N; ++i) sums[i] += std::int16_t{in[i]} * int{weight};
  }
  for (std::size_t i = 0; i < N; ++i) out[i] = to_level(sums[i], precision);
}

Picture resize_height(const Picture& source, int height) {
  const Axis axis = make_axis(source.height, height);
  Picture out{.width = source.width, .height = height, .rgb = {}};
  const std::size_t stride = static_cast<std::size_t>(source.width) * 3;
  out.rgb.resize(stride * static_cast<std::size_t>(height));
  for (int y = 0; y < height; ++y) {
    const auto first = static_cast<std::size_t>(axis.first[static_cast<std::size_t>(y)]);
    const int n_taps = axis.n_used[static_cast<std::size_t>(y)];
    const std::uint8_t* in = source.rgb.data() + first * stride;
    std::uint8_t* to = out.rgb.data() + static_cast<std::size_t>(y) * stride;
    std::size_t x = 0;
    for (; x + kStrip <= stride; x += kStrip) {
      filter_strip<kStrip>(in + x, stride, axis.weights_of(y), n_taps, axis.precision, to + x);
    }
    for (; x < stride; ++x) {
      filter_strip<1>(in + x, stride, axis.weights_of(y), n_taps, axis.precision, to + x);
    }
  }
  return out;
}

}  // namespace

Status check_budget(std::int64_t budget) {
  if (std::find(kSoftTokenBudgets.begin(), kSoftTokenBudgets.end(), budget) ==
      kSoftTokenBudgets.end()) {
    return invalid_argument("{} soft tokens (expected 70, 140, 280, 560 or 1120)", budget);
  }
  return {};
}

Result<PictureSize> target_size(PictureSize source, int budget) {
  TRY(check_budget(budget));
  CHECK(source.width > 0 && source.height > 0);
  // In doubles and in this order: exact arithmetic gives other sizes where the ratio of the picture
  // is that of a size that fills the budget.
  const double width = source.width, height = source.height;
  const double target_pixels = 256.0 * 9.0 * budget;
  const double factor = std::sqrt(target_pixels / (height * width));
  const auto multiple = [](double side) {
    return kSoftTokenPixels * static_cast<int>(std::floor(side / kSoftTokenPixels));
  };
  PictureSize target{.width = multiple(factor * width), .height = multiple(factor * height)};
  // A strip: one row, or one column, of soft tokens.
  const int longest = kSoftTokenPixels * budget;
  if (target.height == 0) {
    target.height = kSoftTokenPixels;
    target.width = std::min(kSoftTokenPixels * (source.width / source.height), longest);
  } else if (target.width == 0) {
    target.width = kSoftTokenPixels;
    target.height = std::min(kSoftTokenPixels * (source.height / source.width), longest);
  }
  return target;
}

Picture resize(const Picture& source, PictureSize target) {
  CHECK(source.width > 0 && source.height > 0 && target.width > 0 && target.height > 0);
  if (source.size() == target) return source;
  if (source.width == target.width) return resize_height(source, target.height);
  if (source.height == target.height) return resize_width(source, target.width);
  return resize_height(resize_width(source, target.width), target.height);
}

}  // namespace fourfold
