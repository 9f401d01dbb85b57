#include "kernels/full_attention.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>
#include <tuple>
#include <vector>

#include "kernels/dispatch.h"
#include "kernels/tables.h"

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
      attention.put(first, rows.view(rows.q).rows(first, n), rows.view(rows.k).rows(first, n),
                    rows.view(rows.v).rows(first, n));
    }
    for (std::int64_t first = 0; first < rows.n; first += run.stretch) {
      const std::int64_t n = std::min(run.stretch, rows.n - first);
      attention.attend(first, rows.view(out).rows(first, n));
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

// A running softmax over stretches of scores, as a table makes it.
struct RunningSoftmax {
  std::vector<float> max = std::vector<float>(kPanelRows, -INFINITY);
  std::vector<float> sum = std::vector<float>(kPanelRows);
  std::vector<float> correction = std::vector<float>(kPanelRows);
  std::vector<std::uint8_t> panel;  // [n_keys, 16] in the table's order
  std::vector<int> weights;         // [n_keys, 16]
  std::vector<float> scales;

  void add(const Kernels& kernels, const std::vector<float>& scores, int n_visible) {
    const int n_keys = static_cast<int>(scores.size()) / kPanelRows;
    panel.assign(scores.size(), 0);
    scales.assign(static_cast<std::size_t>(n_keys / kActivationBlock * kPanelRows), 0.0f);
    kernels.softmax_panel({.scores = scores.data(),
                           .n_keys = n_keys,
                           .n_visible = n_visible,
                           .max = max.data(),
                           .sum = sum.data(),
                           .correction = correction.data(),
                           .panel = panel.data(),
                           .scales = scales.data()});
    read_panel(kernels, n_keys);
  }

  // Σ weights · q of every query.
  std::vector<float> multiply(const Kernels& kernels, const std::vector<std::int8_t>& q) const {
    const auto n = static_cast<std::int64_t>(q.size());
    const std::vector<float> ones(panel.size() / kActivationBlock, 1.0f);
    std::vector<std::int32_t> sums(q.size() / kSumBlock);
    for (std::size_t key = 0; key < q.size(); ++key) sums[key / kSumBlock] += q[key];
    std::vector<float> out(kPanelRows);
    kernels.matmul_panel({.q = panel.data(),
                          .scales = ones.data(),
                          .offsets = nullptr,
                          .k = static_cast<int>(n),
                          .group = kActivationBlock,
                          .zero = weights_zero(kernels.panel_zero),
                          .starts = true,
                          .bytes = true},
                         {.q = q.data(),
                          .q_fine = nullptr,
                          .scales = ones.data(),
                          .sums = sums.data(),
                          .q_stride = n,
                          .scale_stride = n / kActivationBlock,
                          .sum_stride = n / kSumBlock},
                         1, {.first = out.data(), .stride = kPanelRows});
    return out;
  }

  // The order of a panel's bytes is the table's own: one key at a time tells its weights.
  void read_panel(const Kernels& kernels, int n_keys) {
    weights.clear();
    for (int key = 0; key < n_keys; ++key) {
      std::vector<std::int8_t> q(static_cast<std::size_t>(n_keys));
      q[static_cast<std::size_t>(key)] = 1;
      for (const float weight : multiply(kernels, q)) weights.push_back(static_cast<int>(weight));
    }
  }
};

TEST(SoftmaxPanel, HasTheSameBitsInEveryTable) {
  struct Stretch {
    int n_keys, n_visible;
    float spread;
  };
  for (const Kernels* kernels : usable_kernels()) {
    RunningSoftmax expected, made;
    std::uint32_t seed = 1;
    for (const auto& [n_keys, n_visible, spread] :
         {Stretch{64, 64, 1.0f}, {32, 17, 10.0f}, {96, 65, 1000.0f}, {32, 1, 1.0f}}) {
      std::mt19937 random(seed++);
      std::normal_distribution<float> normal(0.0f, spread);
      std::vector<float> scores(static_cast<std::size_t>(n_keys * kPanelRows));
      for (float& score : scores) score = normal(random);
      expected.add(kScalarKernels, scores, n_visible);
      made.add(*kernels, scores, n_visible);
      EXPECT_EQ(made.weights, expected.weights) << kernels->name << ", spread " << spread;
      EXPECT_EQ(made.scales, expected.scales) << kernels->name << ", spread " << spread;
      EXPECT_EQ(made.max, expected.max) << kernels->name;
      EXPECT_EQ(made.sum, expected.sum) << kernels->name;
      EXPECT_EQ(made.correction, expected.correction) << kernels->name;
      for (int key = 0; key < n_keys; ++key) {
        const int weight = expected.weights[static_cast<std::size_t>(key * kPanelRows)];
        EXPECT_GE(weight, 0);
        EXPECT_TRUE(key < n_visible || weight == 0) << key;
      }
    }
    EXPECT_EQ(*std::ranges::max_element(expected.weights), 255);  // the largest of a group
  }
}

// 16 bits hold no two products of such weights.
TEST(SoftmaxPanel, MultipliesTheLargestWeights) {
  constexpr int kKeys = 32;
  for (const Kernels* kernels : usable_kernels()) {
    RunningSoftmax softmax;
    softmax.add(*kernels, std::vector<float>(kKeys * kPanelRows), kKeys);
    EXPECT_EQ(softmax.multiply(*kernels, std::vector<std::int8_t>(kKeys, 127)),
              std::vector<float>(kPanelRows, 255.0f * 127 * kKeys))
        << kernels->name;
  }
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
