#include "kernels/full_attention.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>
#include <tuple>
#include <vector>

#include "kernels/dispatch.h"

namespace fourfold {
namespace {

constexpr int kHeads = 2;

// Rows of queries, keys and values of one picture.
struct Rows {
  Rows(std::int64_t n_rows, int head_channels, std::uint32_t seed)
      : n(n_rows), channels(head_channels) {
    std::mt19937 random(seed);
    std::normal_distribution<float> normal;
    for (auto* values : {&q, &k, &v}) {
      values->resize(static_cast<std::size_t>(n * width()));
      for (float& x : *values) x = normal(random);
    }
  }

  std::int64_t width() const { return std::int64_t{kHeads} * channels; }
  MatView view(std::vector<float>& values) const { return {values.data(), n, width(), width()}; }

  std::int64_t n;
  int channels;
  std::vector<float> q, k, v;
};

struct Run {
  bool exact = true;
  int n_threads = 2;
  const Kernels* kernels = usable_kernels().front();
  std::int64_t stretch = 64;  // rows that are put and attended at a time
};

std::vector<float> attend(Rows& rows, const Run& run) {
  ThreadPool pool(run.n_threads);
  Ops ops(*run.kernels, pool, run.exact);
  FullAttention attention(ops);
  std::vector<float> out(rows.q.size());
  for (int picture = 0; picture < 2; ++picture) {  // the second finds the first one's memory
    attention.begin(rows.n, kHeads, rows.channels);
    for (std::int64_t first = 0; first < rows.n; first += run.stretch) {
      const std::int64_t n = std::min(run.stretch, rows.n - first);
      attention.put(first, rows.view(rows.k).rows(first, n), rows.view(rows.v).rows(first, n));
    }
    for (std::int64_t first = 0; first < rows.n; first += run.stretch) {
      const std::int64_t n = std::min(run.stretch, rows.n - first);
      attention.attend(rows.view(rows.q).rows(first, n), rows.view(out).rows(first, n));
    }
  }
  return out;
}

std::vector<double> attend_in_f64(const Rows& rows) {
  std::vector<double> out(rows.q.size());
  const auto width = static_cast<std::size_t>(rows.width());
  const auto C = static_cast<std::size_t>(rows.channels);
  const auto n = static_cast<std::size_t>(rows.n);
  for (std::size_t i = 0; i < n; ++i) {
    for (std::size_t h = 0; h < width; h += C) {
      std::vector<double> p(n);
      for (std::size_t j = 0; j < n; ++j) {
        for (std::size_t c = h; c < h + C; ++c) {
          p[j] += double{rows.q[i * width + c]} * double{rows.k[j * width + c]};
        }
      }
      const double largest = *std::ranges::max_element(p);
      double sum = 0.0;
      for (double& x : p) sum += x = std::exp(x - largest);
      for (std::size_t j = 0; j < n; ++j) {
        for (std::size_t c = h; c < h + C; ++c) {
          out[i * width + c] += p[j] / sum * double{rows.v[j * width + c]};
        }
      }
    }
  }
  return out;
}

double relative_error(const std::vector<float>& a, const std::vector<double>& b) {
  double difference = 0.0, norm = 0.0;
  for (std::size_t i = 0; i < b.size(); ++i) {
    difference += (double{a[i]} - b[i]) * (double{a[i]} - b[i]);
    norm += b[i] * b[i];
  }
  return std::sqrt(difference / norm);
}

class FullAttentions : public testing::TestWithParam<std::tuple<int, int>> {
 protected:
  Rows rows{std::get<0>(GetParam()), std::get<1>(GetParam()), 7};
};

TEST_P(FullAttentions, SeesEveryKey) {
  const auto expected = attend_in_f64(rows);
  EXPECT_LE(relative_error(attend(rows, {.exact = true}), expected), 1e-5);
  // Scores of a spread of 8 with 8 bits on both sides: some are off by a tenth.
  EXPECT_LE(relative_error(attend(rows, {.exact = false}), expected), 8e-2);
}

TEST_P(FullAttentions, HasTheSameBitsWithAnyThreadsKernelsAndStretches) {
  for (const bool exact : {true, false}) {
    const auto expected = attend(rows, {.exact = exact});
    for (const int n_threads : {1, 3}) {
      EXPECT_EQ(attend(rows, {.exact = exact, .n_threads = n_threads}), expected);
    }
    for (const std::int64_t stretch : {128, 512}) {
      EXPECT_EQ(attend(rows, {.exact = exact, .stretch = stretch}), expected);
    }
    for (const Kernels* kernels : usable_kernels()) {
      EXPECT_EQ(attend(rows, {.exact = exact, .kernels = kernels}), expected) << kernels->name;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Shapes, FullAttentions,
                         testing::Combine(testing::Values(1, 9, 32, 65, 257, 300),
                                          testing::Values(16, 64, 72)));

TEST(FullAttention, FindsTheOneKeyThatMatters) {
  Rows rows(300, 64, 8);
  for (std::int64_t i = 0; i < rows.n; ++i) {  // query i looks for key n − 1 − i
    for (std::int64_t c = 0; c < rows.width(); ++c) {
      rows.q[static_cast<std::size_t>(i * rows.width() + c)] =
          4.0f * rows.k[static_cast<std::size_t>((rows.n - 1 - i) * rows.width() + c)];
    }
  }
  for (const bool exact : {true, false}) {
    const auto out = attend(rows, {.exact = exact});
    double difference = 0.0;
    for (std::int64_t i = 0; i < rows.n; ++i) {
      for (std::int64_t c = 0; c < rows.width(); ++c) {
        const float value = rows.v[static_cast<std::size_t>((rows.n - 1 - i) * rows.width() + c)];
        difference = std::max(
            difference,
            double{std::fabs(out[static_cast<std::size_t>(i * rows.width() + c)] - value)});
      }
    }
    EXPECT_LE(difference, exact ? 1e-5 : 3e-2);
  }
}

}  // namespace
}  // namespace fourfold
