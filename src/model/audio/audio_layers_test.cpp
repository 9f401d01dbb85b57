// The parts of the audio tower alone, on weights made here, against plain loops in f64.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <random>

#include "kernels/dispatch.h"
#include "media/log_mel.h"
#include "model/audio/conformer.h"
#include "model/audio/subsampling.h"

namespace fourfold {
namespace {

std::vector<float> random_floats(std::size_t n, std::uint32_t seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal;
  std::vector<float> values(n);
  for (float& v : values) v = normal(random);
  return values;
}

struct Parts {
  ThreadPool pool{2};
  Ops ops{*usable_kernels().front(), pool, true};
  AudioWeights w;

  const float* keep(std::vector<float> values) {
    return w.vectors.emplace_back(std::move(values)).data();
  }
};

// --- the convolutions ---

class Convolutions : public testing::Test, protected Parts {
 protected:
  Convolutions() {
    w.conv0 = random_floats(9 * kConv0Channels, 1);
    w.conv1 = random_floats(std::size_t{kConv1Channels} * 9 * kConv0Channels, 2);
    w.conv0_norm = keep(random_floats(kConv0Channels, 3));
    w.conv1_norm = keep(random_floats(kConv1Channels, 4));
  }

  std::vector<float> run(std::vector<float> mel) {
    Subsampling subsampling(w, 1e-6f, ops);
    std::vector<float> out;
    const auto n_rows = static_cast<std::int64_t>(mel.size()) / kMelBins;
    subsampling.push({mel.data(), n_rows, kMelBins, kMelBins}, nullptr, out);
    subsampling.finish(nullptr, out);
    return out;
  }

  // [time][frequency][channel]; what lies outside is zero.
  struct Image {
    int n_times, n_columns, n_channels;
    std::vector<double> values;

    double& at(int t, int f, int c) {
      return values[static_cast<std::size_t>((t * n_columns + f) * n_channels + c)];
    }
    double padded(int t, int f, int c) {
      return t < 0 || f < 0 || t >= n_times || f >= n_columns ? 0.0 : at(t, f, c);
    }
  };

  // kernel(out, time, frequency, in)
  template <class Kernel>
  static Image convolve(Image in, int n_channels, const float* norm, Kernel kernel) {
    Image out{(in.n_times + 1) / 2, in.n_columns / 2, n_channels, {}};
    out.values.resize(static_cast<std::size_t>(out.n_times * out.n_columns * n_channels));
    for (int t = 0; t < out.n_times; ++t) {
      for (int f = 0; f < out.n_columns; ++f) {
        double sum = 0.0, squares = 0.0;
        for (int c = 0; c < n_channels; ++c) {
          double& value = out.at(t, f, c);
          for (int i = 0; i < 9; ++i) {
            for (int from = 0; from < in.n_channels; ++from) {
              value += kernel(c, i / 3, i % 3, from) *
                       in.padded(2 * t - 1 + i / 3, 2 * f - 1 + i % 3, from);
            }
          }
          sum += value;
          squares += value * value;
        }
        const double mean = sum / n_channels;
        const double scale = 1.0 / std::sqrt(squares / n_channels - mean * mean + 1e-6);
        for (int c = 0; c < n_channels; ++c) {
          out.at(t, f, c) = std::max(0.0, (out.at(t, f, c) - mean) * scale * norm[c]);
        }
      }
    }
    return out;
  }

  // [T][32 frequencies][32 channels]: the order of the flattened rows.
  std::vector<double> reference(const std::vector<float>& mel) {
    Image image{static_cast<int>(mel.size()) / kMelBins, kMelBins, 1, {mel.begin(), mel.end()}};
    image = convolve(image, kConv0Channels, w.conv0_norm, [&](int out, int t, int f, int) {
      return double{w.conv0[static_cast<std::size_t>((3 * t + f) * kConv0Channels + out)]};
    });
    image = convolve(image, kConv1Channels, w.conv1_norm, [&](int out, int t, int f, int in) {
      return double{
          w.conv1[static_cast<std::size_t>(((out * 3 + t) * 3 + f) * kConv0Channels + in)]};
    });
    return image.values;
  }

  void expect_reference(const std::vector<float>& mel, const std::string& what) {
    const auto rows = run(mel);
    const auto expected = reference(mel);
    ASSERT_EQ(rows.size(), expected.size()) << what;
    for (std::size_t i = 0; i < rows.size(); ++i) {
      ASSERT_NEAR(rows[i], expected[i], 2e-4) << what << ", value " << i;
    }
  }
};

TEST_F(Convolutions, PadWithZerosOnAllSides) {
  for (int n_frames = 1; n_frames <= 9; ++n_frames) {
    const auto n = static_cast<std::size_t>(n_frames * kMelBins);
    expect_reference(random_floats(n, static_cast<std::uint32_t>(n_frames)),
                     fmt::format("{} frames", n_frames));
    for (const int frame : {0, n_frames - 1}) {
      std::vector<float> impulse(n);
      impulse[static_cast<std::size_t>(frame * kMelBins + 77)] = 3.0f;
      expect_reference(impulse, fmt::format("impulse in frame {} of {}", frame, n_frames));
    }
  }
}

// --- a layer ---

constexpr int kWidth = 8;
constexpr int kHeads = 2;
constexpr int kChannels = kWidth / kHeads;
constexpr int kTokens = 30;
constexpr double kEps = 1e-6;

using Row = std::vector<double>;

Row normed(const Row& x) {
  double squares = 0.0;
  for (const double v : x) squares += v * v;
  Row y = x;
  for (double& v : y) v /= std::sqrt(squares / static_cast<double>(x.size()) + kEps);
  return y;
}
double silu(double x) { return x / (1.0 + std::exp(-x)); }

// One layer whose parts add nothing until a test gives them weights.
class Layer : public testing::Test, protected Parts {
 protected:
  Layer() : layer(w.layers.emplace_back()) {
    config.width = config.ffn_width = kWidth;
    config.n_heads = kHeads;
    config.n_layers = 1;
    const float* ones = keep(std::vector<float>(kWidth, 1.0f));
    layer.first = layer.second = {.pre_norm = ones,
                                  .up = matrix(zeros(kWidth)),
                                  .down = matrix(zeros(kWidth)),
                                  .post_norm = ones};
    layer.pre_attn_norm = layer.post_attn_norm = ones;
    layer.q = layer.k = layer.v = layer.post = matrix(zeros(kWidth));
    layer.q_scale.assign(kChannels, 0.5f);  // 1 / sqrt(4): per_dim_scale is 0
    layer.relative.assign(13 * kWidth, 0.0f);
    layer.pre_conv_norm = layer.conv_norm = layer.out_norm = ones;
    layer.conv_start = matrix(zeros(2 * kWidth));
    layer.taps.assign(kDepthwiseTaps * kWidth, 0.0f);
    layer.conv_end = matrix(zeros(kWidth));
  }

  static std::vector<float> zeros(int n_rows) {
    return std::vector<float>(static_cast<std::size_t>(n_rows * kWidth), 0.0f);
  }
  // Ones on the diagonal, further rows `below`.
  static std::vector<float> identity(int n_rows = kWidth, float below = 0.0f) {
    auto values = zeros(n_rows);
    for (int i = 0; i < n_rows; ++i) {
      for (int j = 0; j < kWidth; ++j) {
        values[static_cast<std::size_t>(i * kWidth + j)] =
            i >= kWidth ? below : static_cast<float>(i == j);
      }
    }
    return values;
  }
  ClippedLinear matrix(std::vector<float> values) {
    const auto n_rows = static_cast<std::int64_t>(values.size()) / kWidth;
    ClippedLinear linear;
    linear.weight = {.dtype = DType::F32,
                     .data = reinterpret_cast<const std::byte*>(keep(std::move(values))),
                     .n_rows = n_rows,
                     .n_cols = kWidth};
    return linear;
  }

  std::vector<float> run(std::vector<float> rows) {
    Conformer conformer(w, config, ops);
    conformer.forward({rows.data(), kTokens, kWidth, kWidth}, nullptr);
    return rows;
  }

  void set_attention() {
    layer.q = matrix(random_floats(kWidth * kWidth, 11));
    layer.k = matrix(random_floats(kWidth * kWidth, 12));
    layer.v = matrix(random_floats(kWidth * kWidth, 13));
    layer.post = matrix(identity());
  }
  void set_convolution(float gate_weight, int tap) {
    layer.conv_start = matrix(identity(2 * kWidth, gate_weight));
    std::fill_n(layer.taps.begin() + tap * kWidth, kWidth, 1.0f);
    layer.conv_end = matrix(identity());
  }

  static Row row_of(const std::vector<float>& rows, int t) {
    return Row(rows.begin() + t * kWidth, rows.begin() + (t + 1) * kWidth);
  }
  static Row product(const ClippedLinear& m, const Row& row) {
    const auto* weights = reinterpret_cast<const float*>(m.weight.data);
    Row y;
    for (int i = 0; i < kWidth; ++i) {
      y.push_back(std::inner_product(row.begin(), row.end(), weights + i * kWidth, 0.0));
    }
    return y;
  }
  static void expect_row(const std::vector<float>& rows, int t, const Row& expected) {
    for (int i = 0; i < kWidth; ++i) {
      EXPECT_NEAR(rows[static_cast<std::size_t>(t * kWidth + i)],
                  expected[static_cast<std::size_t>(i)], 1e-5)
          << "token " << t;
    }
  }
  static Row sum(Row a, const Row& b) {
    for (std::size_t i = 0; i < a.size(); ++i) a[i] += b[i];
    return a;
  }

  AudioConfig config;
  ConformerWeights& layer;
  const std::vector<float> x = random_floats(kTokens * kWidth, 10);
};

TEST_F(Layer, IsItsLastNormWhenItsPartsAddNothing) {
  const auto out = run(x);
  for (int t = 0; t < kTokens; ++t) expect_row(out, t, normed(row_of(x, t)));
}

// Without a relative term the logits are 1.8946 · q·k / sqrt(C), capped at 50.
TEST_F(Layer, AttendsToTwelveKeysWithCappedLogits) {
  set_attention();
  const auto out = run(x);
  for (int t = 0; t < kTokens; ++t) {
    const Row q = product(layer.q, normed(row_of(x, t)));
    Row mixed(kWidth);
    for (int head = 0; head < kHeads; ++head) {
      double total = 0.0;
      Row values(kChannels);
      for (int s = std::max(0, t - 11); s <= t; ++s) {
        const Row k = product(layer.k, normed(row_of(x, s)));
        const Row v = product(layer.v, normed(row_of(x, s)));
        double logit = 0.0;
        for (int c = head * kChannels; c < (head + 1) * kChannels; ++c) {
          logit += q[static_cast<std::size_t>(c)] * k[static_cast<std::size_t>(c)];
        }
        logit *= 1.89463612 / std::sqrt(static_cast<double>(kChannels));
        const double weight = std::exp(50.0 * std::tanh(logit / 50.0));
        total += weight;
        for (int c = 0; c < kChannels; ++c) {
          values[static_cast<std::size_t>(c)] +=
              weight * v[static_cast<std::size_t>(head * kChannels + c)];
        }
      }
      for (int c = 0; c < kChannels; ++c) {
        mixed[static_cast<std::size_t>(head * kChannels + c)] =
            values[static_cast<std::size_t>(c)] / total;
      }
    }
    expect_row(out, t, normed(sum(row_of(x, t), normed(mixed))));
  }
}

TEST_F(Layer, OfATokenReachesElevenTokensOrTwelveBeyond) {
  set_attention();
  layer.q = matrix(zeros(kWidth));  // all keys weigh the same
  for (const int n_keys : {12, 13}) {
    config.left_keys = n_keys;
    const auto before = run(x);
    constexpr int kChanged = 5;
    auto other = x;
    other[kChanged * kWidth] += 1.0f;
    const auto after = run(other);
    for (int t = 0; t < kTokens; ++t) {
      const bool same = std::equal(before.begin() + t * kWidth, before.begin() + (t + 1) * kWidth,
                                   after.begin() + t * kWidth);
      EXPECT_EQ(same, t < kChanged || t >= kChanged + n_keys) << t << " of " << n_keys << " keys";
    }
  }
}

TEST_F(Layer, AddsTheRelativeTermByDistance) {
  set_attention();
  layer.q = matrix(identity());
  layer.k = matrix(zeros(kWidth));
  // Only the key three tokens back has a term, so large that it takes all attention.
  auto steady = x;
  for (int t = 0; t < kTokens; ++t) steady[static_cast<std::size_t>(t * kWidth)] = 2.0f;
  for (int head = 0; head < kHeads; ++head) {
    for (int t = 0; t < kTokens; ++t) {
      steady[static_cast<std::size_t>(t * kWidth + head * kChannels)] = 2.0f;
    }
    layer.relative[static_cast<std::size_t>((12 - 1 - 3) * kWidth + head * kChannels)] = 1e4f;
  }
  const auto out = run(steady);
  for (int t = 3; t < kTokens; ++t) {
    const Row v = product(layer.v, normed(row_of(steady, t - 3)));
    expect_row(out, t, normed(sum(row_of(steady, t), normed(v))));
  }
}

TEST_F(Layer, ConvolvesOverTheFourRowsBefore) {
  for (int tap = 0; tap < kDepthwiseTaps; ++tap) {
    layer.taps.assign(kDepthwiseTaps * kWidth, 0.0f);
    set_convolution(0.0f, tap);  // the gate is one half everywhere
    const auto out = run(x);
    for (int t = 0; t < kTokens; ++t) {
      const int from = t - 4 + tap;
      Row y(kWidth);
      if (from >= 0) y = normed(row_of(x, from));
      for (double& v : y) v *= 0.5;
      y = normed(y);
      for (double& v : y) v = silu(v);
      expect_row(out, t, normed(sum(row_of(x, t), y)));
    }
  }
}

TEST_F(Layer, GatesWithTheSecondHalf) {
  set_convolution(-1e30f, kDepthwiseTaps - 1);
  auto positive = x;
  for (float& v : positive) v = std::fabs(v) + 0.1f;
  const auto out = run(positive);
  for (int t = 0; t < kTokens; ++t) expect_row(out, t, normed(row_of(positive, t)));
}

TEST_F(Layer, ClampsWhatALinearTakesAndGives) {
  set_convolution(0.0f, kDepthwiseTaps - 1);
  layer.conv_end.in = {-0.1f, 0.2f};
  layer.conv_end.out = {-0.05f, 0.15f};
  const auto out = run(x);
  for (int t = 0; t < kTokens; ++t) {
    Row y = normed(row_of(x, t));
    for (double& v : y) v *= 0.5;
    y = normed(y);
    for (double& v : y) v = std::clamp(silu(v), -0.05, 0.15);
    expect_row(out, t, normed(sum(row_of(x, t), y)));
  }
}

}  // namespace
}  // namespace fourfold
