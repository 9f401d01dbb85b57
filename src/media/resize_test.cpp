#include "media/resize.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>

#include "media/test_arrays.h"

namespace fourfold {
namespace {

using testing::HasSubstr;

// ---- the size rule ----

TEST(TargetSize, IsThatOfTheReference) {
  const TestArrays golden(golden_path("vision/preprocess/expected.safetensors"));
  const auto table = golden.ints("size_table");
  ASSERT_EQ(table.size(), 2089u * 6);
  for (std::size_t i = 0; i < table.size(); i += 6) {
    const PictureSize source = {.width = table[i], .height = table[i + 1]};
    const auto target = target_size(source, table[i + 2]);
    ASSERT_TRUE(target.ok()) << target.error().message;
    ASSERT_EQ(target->width, table[i + 3]) << source.width << " × " << source.height;
    ASSERT_EQ(target->height, table[i + 4]) << source.width << " × " << source.height;
    ASSERT_EQ(soft_tokens(*target), table[i + 5]);
  }
}

struct Row {
  PictureSize source;
  int budget;
  PictureSize target;
};

class TargetSizes : public testing::TestWithParam<Row> {};

TEST_P(TargetSizes, FillTheBudget) {
  const auto target = target_size(GetParam().source, GetParam().budget);
  ASSERT_TRUE(target.ok());
  EXPECT_EQ(target->width, GetParam().target.width);
  EXPECT_EQ(target->height, GetParam().target.height);
}

INSTANTIATE_TEST_SUITE_P(
    Anchors, TargetSizes,
    testing::Values(Row{{5, 5}, 70, {384, 384}}, Row{{5, 5}, 1120, {1584, 1584}},
                    Row{{640, 480}, 280, {912, 672}}, Row{{4000, 3000}, 1120, {1824, 1344}},
                    Row{{1920, 1080}, 140, {720, 384}}, Row{{900, 3}, 280, {13440, 48}},
                    Row{{900, 3}, 1120, {27792, 48}}, Row{{3, 900}, 70, {48, 3360}},
                    Row{{65535, 1}, 1120, {53760, 48}}, Row{{1, 65535}, 70, {48, 3360}},
                    Row{{4844, 1730}, 70, {624, 192}}));  // exact arithmetic would give 672 × 240

TEST(TargetSize, StaysInTheBudgetForEverySource) {
  std::mt19937_64 random(7);
  for (int i = 0; i < 20'000; ++i) {
    const auto side = [&] { return 1 + static_cast<int>(random() % (i % 2 ? 65'535 : 300)); };
    const PictureSize source = {.width = side(), .height = side()};
    for (const int budget : kSoftTokenBudgets) {
      const auto target = target_size(source, budget);
      ASSERT_TRUE(target.ok());
      ASSERT_GT(target->width, 0);
      ASSERT_GT(target->height, 0);
      ASSERT_EQ(target->width % 48, 0);
      ASSERT_EQ(target->height % 48, 0);
      ASSERT_LE(soft_tokens(*target), budget);
    }
  }
}

TEST(TargetSize, TakesFiveBudgetsOnly) {
  for (const int budget : {0, 1, 69, 71, 256, 1121, -70}) {
    const auto target = target_size({.width = 10, .height = 10}, budget);
    ASSERT_FALSE(target.ok());
    EXPECT_EQ(target.error().code, Code::InvalidArgument);
    EXPECT_THAT(target.error().message, HasSubstr("expected 70, 140, 280, 560 or 1120"));
    EXPECT_FALSE(check_budget(budget).ok());
  }
  for (const int budget : kSoftTokenBudgets) EXPECT_TRUE(check_budget(budget).ok());
}

// ---- the filter ----

Picture noise(int width, int height, std::uint64_t seed) {
  Picture picture{.width = width, .height = height, .rgb = {}};
  std::mt19937_64 random(seed);
  // Extremes make the filter overshoot.
  for (int i = 0; i < width * height * 3; ++i) {
    const auto bits = random();
    picture.rgb.push_back(bits & 256 ? (bits & 512 ? 255 : 0) : static_cast<std::uint8_t>(bits));
  }
  return picture;
}

double kernel(double x) {
  x = std::abs(x);
  if (x < 1) return (1.5 * x - 2.5) * x * x + 1;
  return x < 2 ? (((x - 5) * x + 8) * x - 4) * -0.5 : 0;
}

// One line of one channel, by the definition.
std::vector<int> filter_line(const std::vector<int>& in, int n_out) {
  const int n_in = static_cast<int>(in.size());
  if (n_in == n_out) return in;
  const double scale = static_cast<double>(n_in) / n_out, stretch = std::max(scale, 1.0);
  std::vector<std::vector<double>> weights;
  std::vector<int> firsts;
  double largest = 0;
  for (int i = 0; i < n_out; ++i) {
    const double centre = (i + 0.5) * scale;
    const int low = std::max(0, static_cast<int>(centre - 2 * stretch + 0.5));
    const int high = std::min(n_in, static_cast<int>(centre + 2 * stretch + 0.5));
    std::vector<double> row;
    double sum = 0;
    for (int j = low; j < high; ++j) row.push_back(kernel((j - centre + 0.5) / stretch));
    for (const double weight : row) sum += weight;
    for (double& weight : row) largest = std::max(largest, weight /= sum);
    weights.push_back(row);
    firsts.push_back(low);
  }
  int precision = 0;
  while (precision < 22 && static_cast<int>(0.5 + largest * std::ldexp(1, precision + 1)) < 32768) {
    ++precision;
  }
  std::vector<int> out;
  for (std::size_t i = 0; i < weights.size(); ++i) {
    int sum = 1 << (precision - 1);
    for (std::size_t t = 0; t < weights[i].size(); ++t) {
      const double weight = weights[i][t] * std::ldexp(1, precision);
      sum += static_cast<int>(weight + (weight < 0 ? -0.5 : 0.5)) *
             in[static_cast<std::size_t>(firsts[i]) + t];
    }
    out.push_back(std::clamp(sum >> precision, 0, 255));
  }
  return out;
}

Picture filter_columns(const Picture& in, int n_out) {  // of width
  Picture out{.width = n_out, .height = in.height, .rgb = {}};
  out.rgb.resize(static_cast<std::size_t>(n_out * in.height * 3));
  for (int y = 0; y < in.height; ++y) {
    for (int c = 0; c < 3; ++c) {
      std::vector<int> line;
      for (int x = 0; x < in.width; ++x) {
        line.push_back(in.rgb[static_cast<std::size_t>((y * in.width + x) * 3 + c)]);
      }
      line = filter_line(line, n_out);
      for (int x = 0; x < n_out; ++x) {
        out.rgb[static_cast<std::size_t>((y * n_out + x) * 3 + c)] =
            static_cast<std::uint8_t>(line[static_cast<std::size_t>(x)]);
      }
    }
  }
  return out;
}

Picture transposed(const Picture& in) {
  Picture out{.width = in.height, .height = in.width, .rgb = {}};
  for (int x = 0; x < in.width; ++x) {
    for (int y = 0; y < in.height; ++y) {
      const auto* pixel = in.rgb.data() + (y * in.width + x) * 3;
      out.rgb.insert(out.rgb.end(), pixel, pixel + 3);
    }
  }
  return out;
}

TEST(Resize, EqualsItsDefinition) {
  // From one tap to hundreds, at every padded length of the loops.
  const std::pair<PictureSize, PictureSize> rows[] = {
      {{1, 1}, {48, 48}},   {{2, 3}, {96, 144}},   {{7, 5}, {48, 48}},    {{50, 47}, {48, 48}},
      {{97, 60}, {48, 96}}, {{200, 9}, {48, 48}},  {{300, 4}, {48, 48}},  {{400, 4}, {48, 48}},
      {{9, 700}, {48, 48}}, {{3000, 2}, {48, 48}}, {{64, 40}, {64, 48}},  {{40, 64}, {48, 64}},
      {{5, 5}, {480, 48}},  {{48, 1}, {336, 48}},  {{513, 33}, {144, 96}}};
  std::uint64_t seed = 1;
  for (const auto& [from, to] : rows) {
    const Picture source = noise(from.width, from.height, ++seed);
    const Picture expected =
        transposed(filter_columns(transposed(filter_columns(source, to.width)), to.height));
    const Picture got = resize(source, to);
    ASSERT_EQ(got.size(), to);
    EXPECT_EQ(got.rgb, expected.rgb) << from.width << " × " << from.height;
  }
}

TEST(Resize, KeepsAConstantPicture) {
  for (const int level : {0, 1, 127, 254, 255}) {
    Picture flat{.width = 130, .height = 71, .rgb = {}};
    flat.rgb.assign(130 * 71 * 3, static_cast<std::uint8_t>(level));
    for (const PictureSize target : {PictureSize{48, 48}, PictureSize{480, 336}}) {
      const Picture resized = resize(flat, target);
      EXPECT_TRUE(std::all_of(resized.rgb.begin(), resized.rgb.end(),
                              [&](int value) { return value == level; }));
    }
  }
}

TEST(Resize, DoesNothingAtTheRightSize) {
  const Picture source = noise(96, 48, 3);
  EXPECT_EQ(resize(source, {.width = 96, .height = 48}).rgb, source.rgb);
}

}  // namespace
}  // namespace fourfold
