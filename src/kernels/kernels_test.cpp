// Every table that this CPU can run against the scalar definition: the same bits.
#include "kernels/table.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <random>
#include <vector>

#include "kernels/dispatch.h"
#include "kernels/half.h"
#include "kernels/tables.h"
#include "tensor/blocks.h"
#include "tensor/interleaved_rows.h"
#include "tensor/test_vectors.h"

namespace fourfold {

extern const Kernels kVnniOfAvx512Kernels;  // avx2/vnni_of_avx512.cpp

namespace {

std::vector<float> random_floats(int n, std::uint32_t seed, float scale = 1.0f) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal(0.0f, scale);
  std::vector<float> values(static_cast<std::size_t>(n));
  for (float& v : values) v = normal(random);
  return values;
}

// Bit equality, NaN and signed zero included.
void expect_same_bits(const std::vector<float>& a, const std::vector<float>& b) {
  ASSERT_EQ(a.size(), b.size());
  for (std::size_t i = 0; i < a.size(); ++i) {
    ASSERT_EQ(std::memcmp(&a[i], &b[i], 4), 0) << "at " << i << ": " << a[i] << " and " << b[i];
  }
}

class Tables : public testing::TestWithParam<const Kernels*> {
 protected:
  const Kernels& table = *GetParam();
  const Kernels& ref = kScalarKernels;
};

constexpr int kLengths[] = {0, 1, 7, 8, 15, 16, 17, 31, 64, 100, 256, 1000, 1536};

TEST_P(Tables, ReduceInOneOrder) {
  for (const int n : kLengths) {
    const auto a = random_floats(n, 1);
    const auto b = random_floats(n, 2);
    expect_same_bits({table.dot(a.data(), b.data(), n)}, {ref.dot(a.data(), b.data(), n)});
    auto x = random_floats(n, 3, 4.0f);
    auto y = x;
    expect_same_bits({table.exp_sum(x.data(), n, 1.5f)}, {ref.exp_sum(y.data(), n, 1.5f)});
    expect_same_bits(x, y);
  }
}

TEST_P(Tables, MapElements) {
  for (const int n : kLengths) {
    const auto a = random_floats(n, 4, 3.0f);
    const auto b = random_floats(n, 5);
    const auto compare = [&](auto run) {
      auto x = a;
      auto y = a;
      run(table, x.data());
      run(ref, y.data());
      expect_same_bits(x, y);
    };
    compare([&](const Kernels& k, float* x) { k.rms_norm(x, b.data(), n, 1e-6f, x); });
    compare([&](const Kernels& k, float* x) { k.rms_norm(x, nullptr, n, 1e-6f, x); });
    compare([&](const Kernels& k, float* x) { k.add(x, b.data(), n); });
    compare([&](const Kernels& k, float* x) { k.add_scaled(x, b.data(), 0.37f, n); });
    compare([&](const Kernels& k, float* x) { k.scale(x, 1.0f / 3.0f, n); });
    compare([&](const Kernels& k, float* x) { k.multiply(a.data(), b.data(), n, x); });
    compare([&](const Kernels& k, float* x) { k.gelu_multiply(a.data(), b.data(), n, x); });
    compare([&](const Kernels& k, float* x) { k.sigmoid_multiply(a.data(), b.data(), n, x); });
    compare([&](const Kernels& k, float* x) { k.sigmoid_multiply(a.data(), a.data(), n, x); });
    compare([&](const Kernels& k, float* x) { k.softcap(x, n, 30.0f); });
    compare([&](const Kernels& k, float* x) { k.clamp(x, -1.25f, 2.5f, n, x); });
  }
}

TEST_P(Tables, RotatePairsAtAnyDistance) {
  for (const int n_pairs : {0, 1, 16, 64, 128}) {
    const auto cos = random_floats(n_pairs, 6);
    const auto sin = random_floats(n_pairs, 7);
    auto x = random_floats(512, 8);
    auto y = x;
    table.rope(x.data(), cos.data(), sin.data(), n_pairs, 256);
    ref.rope(y.data(), cos.data(), sin.data(), n_pairs, 256);
    expect_same_bits(x, y);
  }
}

TEST_P(Tables, ConvertHalfFloats) {
  std::vector<std::uint16_t> all(65536);
  for (int i = 0; i < 65536; ++i) all[static_cast<std::size_t>(i)] = static_cast<std::uint16_t>(i);
  std::vector<float> x(65536), y(65536);
  table.f32_from_bf16(all.data(), 65536, x.data());
  ref.f32_from_bf16(all.data(), 65536, y.data());
  expect_same_bits(x, y);
  table.f32_from_f16(all.data(), 65535, x.data());
  ref.f32_from_f16(all.data(), 65535, y.data());
  for (int i = 0; i < 65535; ++i) {
    const auto k = static_cast<std::size_t>(i);
    if (std::isnan(y[k])) {
      ASSERT_TRUE(std::isnan(x[k]));
    } else {
      ASSERT_EQ(x[k], y[k]) << i;
      ASSERT_EQ(f16_to_f32(all[k]), y[k]);
    }
  }
  const auto values = random_floats(5001, 9, 1000.0f);
  std::vector<std::uint16_t> a(values.size()), b(values.size());
  table.f16_from_f32(values.data(), 5001, a.data());
  ref.f16_from_f32(values.data(), 5001, b.data());
  EXPECT_EQ(a, b);
  table.bf16_from_f32(values.data(), 5001, a.data());
  ref.bf16_from_f32(values.data(), 5001, b.data());
  EXPECT_EQ(a, b);
  const float special[] = {NAN, -NAN, INFINITY, -INFINITY, 3.4e38f, -3.4e38f, 1e-40f, -0.0f};
  table.bf16_from_f32(special, 8, a.data());
  ref.bf16_from_f32(special, 8, b.data());
  for (std::size_t i = 0; i < 8; ++i) EXPECT_EQ(a[i], f32_to_bf16(special[i])) << special[i];
  ref.bf16_from_f32(values.data(), 5001, b.data());
  for (std::size_t i = 0; i < values.size(); ++i) {
    ASSERT_EQ(b[i], f32_to_bf16(values[i]));
    ASSERT_EQ(float_to_half(values[i]), f32_to_f16(values[i]));
  }
}

// Activations of n values in the plain or the fine form.
struct Quantized {
  std::vector<std::int8_t> q, q_fine;
  std::vector<float> scales;
  std::vector<std::int32_t> sums;

  Quantized(const Kernels& kernels, const std::vector<float>& x, bool fine, bool pairs = false)
      : q(x.size()), q_fine(fine ? x.size() : 0), scales(x.size() / 32), sums(x.size() / 16) {
    if (pairs) {
      kernels.quantize_pairs(x.data(), static_cast<int>(x.size()), q.data(), scales.data(),
                             sums.data());
      return;
    }
    kernels.quantize(x.data(), static_cast<int>(x.size()), q.data(), fine ? q_fine.data() : nullptr,
                     scales.data(), sums.data());
  }
  QuantView view(int k) const {
    return {
        q.data(), q_fine.empty() ? nullptr : q_fine.data(), scales.data(), sums.data(), k, k / 32,
        k / 16};
  }
};

TEST_P(Tables, QuantizeActivations) {
  for (const auto& [fine, pairs] : {std::pair{false, false}, {true, false}, {false, true}}) {
    for (const int n : {0, 32, 64, 576, 1536}) {
      if (pairs && n % 64 != 0) continue;
      auto x = random_floats(n, 10, 2.0f);
      if (n > 32) std::fill(x.begin(), x.begin() + (pairs ? 64 : 32), 0.0f);
      const Quantized ours(table, x, fine, pairs);
      const Quantized expected(ref, x, fine, pairs);
      EXPECT_EQ(ours.q, expected.q);
      EXPECT_EQ(ours.q_fine, expected.q_fine);
      EXPECT_EQ(ours.sums, expected.sums);
      expect_same_bits(ours.scales, expected.scales);
      for (std::size_t i = 0; i < x.size(); ++i) {
        ASSERT_GE(ours.q[i], -127);
        const int value = fine ? kFineSteps * ours.q[i] + ours.q_fine[i] : ours.q[i];
        const float step = ours.scales[i / 32];
        ASSERT_NEAR(static_cast<float>(value) * step, x[i], 0.51f * step);
        ASSERT_TRUE(!pairs || step == ours.scales[i / 64 * 2]);
      }
    }
  }
}

TEST_P(Tables, KeepValuesInQ8Blocks) {
  const auto x = random_floats(512, 11);
  std::vector<std::uint8_t> a(512 / 32 * 34), b(a.size());
  table.q8_0_from_f32(x.data(), 512, a.data());
  ref.q8_0_from_f32(x.data(), 512, b.data());
  EXPECT_EQ(a, b);
  std::vector<float> y(512), z(512);
  table.f32_from_q8_0(a.data(), 512, y.data());
  ref.f32_from_q8_0(a.data(), 512, z.data());
  expect_same_bits(y, z);
  for (std::size_t i = 0; i < 512; ++i) EXPECT_NEAR(y[i], x[i], 0.02f);
}

TEST_P(Tables, MultiplyAndTurnLanes) {
  const auto x = random_floats(16 * 21, 13);
  const auto factors = random_floats(16, 14);
  auto a = x, b = x;
  table.multiply_lanes(a.data(), factors.data(), 48);
  ref.multiply_lanes(b.data(), factors.data(), 48);
  expect_same_bits(a, b);
  EXPECT_EQ(a[17], x[17] * factors[1]);
  table.transpose(x.data(), 21, a.data(), 18);
  ref.transpose(x.data(), 21, b.data(), 18);
  expect_same_bits(a, b);
  EXPECT_EQ(a[3 * 18 + 15], x[15 * 21 + 3]);
}

double squared_error_of_q8_0(const Kernels& table, const std::vector<float>& x,
                             const std::vector<std::uint8_t>& blocks) {
  std::vector<float> y(x.size());
  table.f32_from_q8_0(blocks.data(), static_cast<int>(x.size()), y.data());
  double sum = 0.0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    sum += (double{y[i]} - double{x[i]}) * (double{y[i]} - double{x[i]});
  }
  return sum;
}

TEST_P(Tables, FitQ8Blocks) {
  constexpr int kValues = 8192;
  // Normal scales, those that f16 holds with few bits, none and some that are zero.
  for (const float size : {1.0f, 2e-5f, 1e-7f, 1e-9f, 0.0f}) {
    for (const bool pairs : {false, true}) {
      const auto x = random_floats(kValues, 12, size);
      std::vector<std::uint8_t> fitted(kValues / 32 * 34), expected(fitted), plain(fitted);
      table.fit_q8_0(x.data(), kValues, pairs, fitted.data());
      ref.fit_q8_0(x.data(), kValues, pairs, expected.data());
      EXPECT_EQ(fitted, expected) << size;
      for (std::size_t i = 0; pairs && i < fitted.size(); i += 68) {
        ASSERT_TRUE(std::equal(&fitted[i], &fitted[i + 2], &fitted[i + 34])) << i;
      }
      table.q8_0_from_f32(x.data(), kValues, plain.data());
      const double most = size < 1.0f ? 1.0 : pairs ? 1.15 : 0.9;
      EXPECT_LE(squared_error_of_q8_0(table, x, fitted),
                most * squared_error_of_q8_0(table, x, plain))
          << size << ", pairs " << pairs;
    }
  }
}

TEST_P(Tables, MultiplyMatricesInF32) {
  for (const int k : {1, 8, 16, 100, 256}) {
    for (const int n_rows : {1, 3, 4, 9}) {
      for (const int n_tokens : {1, 2, 5, 8}) {
        const auto w = random_floats(n_rows * k, 12);
        const auto x = random_floats(n_tokens * k, 13);
        std::vector<float> out(static_cast<std::size_t>(n_rows * n_tokens)), expected(out.size());
        table.matmul_f32(w.data(), k, n_rows, x.data(), k, n_tokens, k, out.data(), n_rows);
        ref.matmul_f32(w.data(), k, n_rows, x.data(), k, n_tokens, k, expected.data(), n_rows);
        expect_same_bits(out, expected);

        std::vector<std::uint16_t> short_w(w.size());
        ref.bf16_from_f32(w.data(), n_rows * k, short_w.data());
        table.matmul_bf16(short_w.data(), k, n_rows, x.data(), k, n_tokens, k, out.data(), n_rows);
        ref.matmul_bf16(short_w.data(), k, n_rows, x.data(), k, n_tokens, k, expected.data(),
                        n_rows);
        expect_same_bits(out, expected);
      }
    }
  }
}

struct PanelCase {
  int k;
  int group;
  bool offsets;
};

TEST_P(Tables, MultiplyPanelsOfIntegers) {
  std::mt19937 random(14);
  for (const auto& [k, group, offsets] :
       {PanelCase{32, 32, false}, PanelCase{64, 16, false}, PanelCase{256, 32, true},
        PanelCase{512, 16, true}, PanelCase{64, 64, false}, PanelCase{320, 64, false}}) {
    std::vector<std::int8_t> rows(static_cast<std::size_t>(2 * kPanelRows * k));
    for (auto& q : rows) q = static_cast<std::int8_t>(random() % 256 - 128);
    const bool pairs = group == 64;
    const int n_scales = k / std::min(group, 32) * kPanelRows;
    auto w_scales = random_floats(2 * n_scales, 15, 0.1f);
    for (int i = 0; pairs && i < 2 * n_scales; i += 2 * kPanelRows) {
      std::copy_n(w_scales.begin() + i, kPanelRows, w_scales.begin() + i + kPanelRows);
    }
    const auto w_offsets = random_floats(2 * n_scales, 16, 0.1f);
    for (const auto& [n_tokens, fine] : {std::pair{1, false},
                                         {3, true},
                                         {4, false},
                                         {8, true},
                                         {13, false},
                                         {13, true},
                                         {1, true}}) {
      if (fine && pairs) continue;  // only the plain form is for pairs
      const Quantized x(ref, random_floats(n_tokens * k, 17), fine, pairs);
      const QuantView view = x.view(k);
      const int n = n_tokens;
      const auto run = [&](const Kernels& kernels, bool together, bool starts) {
        std::vector<std::uint8_t> q(rows.size());
        PanelView panels[2];
        for (int p = 0; p < 2; ++p) {
          panels[p] = {.q = q.data() + p * kPanelRows * k,
                       .scales = w_scales.data() + p * n_scales,
                       .offsets = offsets ? w_offsets.data() + p * n_scales : nullptr,
                       .k = k,
                       .group = group,
                       .zero = kernels.panel_zero,
                       .starts = starts};
          kernels.pack_panel(rows.data() + p * kPanelRows * k, k, k, q.data() + p * kPanelRows * k);
        }
        const int stride = 2 * kPanelRows + 3;  // what lies between belongs to others
        auto sums = random_floats(n * stride, 18);
        const PanelSums acc[2] = {{sums.data(), stride}, {sums.data() + kPanelRows, stride}};
        if (together) {
          kernels.matmul_two_panels(panels, view, n, acc);
        } else {
          for (int p = 0; p < 2; ++p) kernels.matmul_panel(panels[p], view, n, acc[p]);
        }
        return sums;
      };
      for (const bool starts : {false, true}) {
        const auto expected = run(ref, false, starts);
        expect_same_bits(run(table, false, starts), expected);
        expect_same_bits(run(table, true, starts), expected);
      }
    }
  }
}

struct PackedType {
  DType type;
  Packer Kernels::*packer;
  std::vector<int> halves = {0};  // bytes of a block where an f16 lies
};
const PackedType kPackedTypes[] = {
    {DType::Q4_0, &Kernels::q4_0},         {DType::Q5_0, &Kernels::q5_0},
    {DType::Q8_0, &Kernels::q8_0},         {DType::Q4_K, &Kernels::q4_k, {0, 2}},
    {DType::Q5_K, &Kernels::q5_k, {0, 2}}, {DType::Q6_K, &Kernels::q6_k, {208}},
    {DType::IQ4_NL, &Kernels::iq4_nl},     {DType::IQ4_XS, &Kernels::iq4_xs},
    {DType::MXFP4, &Kernels::mxfp4, {}},
};

// Blocks of random bits, or of ones, which are the largest unsigned weights. Scales are finite.
std::vector<std::byte> make_blocks(const PackedType& packed, int n_values, bool largest) {
  std::mt19937 random(31);
  std::vector<std::byte> bytes(static_cast<std::size_t>(size_bytes(packed.type, n_values)));
  for (auto& b : bytes) b = static_cast<std::byte>(largest ? 255 : random() & 255);
  const auto block_bytes = static_cast<std::size_t>(traits(packed.type).block_bytes);
  for (std::size_t block = 0; block < bytes.size(); block += block_bytes) {
    for (const int half : packed.halves) {
      bytes[block + static_cast<std::size_t>(half) + 1] &= std::byte{0xbb};
    }
    if (packed.type == DType::MXFP4) {  // from the least on, and not too large for f32
      bytes[block] = static_cast<std::byte>(block / block_bytes % 200);
    }
  }
  return bytes;
}

// A panel and its weights, unpacked by the definition or packed by a table.
struct Panel {
  std::vector<std::uint8_t> q;
  std::vector<float> scales, offsets;
  int k, group, zero;

  Panel(DType type, int n_columns)
      : q(static_cast<std::size_t>(kPanelRows * n_columns)),
        scales(q.size() / static_cast<std::size_t>(traits(type).group)),
        offsets(traits(type).has_min ? scales.size() : 0),
        k(n_columns),
        group(traits(type).group),
        zero(0) {}
  PanelOut out() { return {q.data(), scales.data(), offsets.empty() ? nullptr : offsets.data()}; }
  PanelView view() const {
    return {q.data(), scales.data(), offsets.empty() ? nullptr : offsets.data(), k, group, zero};
  }
};

Panel unpack_panel(DType type, const std::vector<std::byte>& blocks, int k) {
  Panel panel(type, k);
  std::vector<std::int8_t> rows(panel.q.size());
  const auto n_groups = panel.scales.size() / kPanelRows;
  std::vector<float> scales(n_groups), offsets(n_groups);
  for (std::size_t r = 0; r < kPanelRows; ++r) {
    unpack_blocks(type, blocks.data() + static_cast<std::int64_t>(r) * size_bytes(type, k),
                  k / traits(type).block, rows.data() + r * static_cast<std::size_t>(k),
                  scales.data(), offsets.data());
    for (std::size_t g = 0; g < n_groups; ++g) {
      panel.scales[g * kPanelRows + r] = scales[g];
      if (traits(type).has_min) panel.offsets[g * kPanelRows + r] = offsets[g];
    }
  }
  kScalarKernels.pack_panel(rows.data(), k, k, panel.q.data());
  return panel;
}

TEST_P(Tables, PackBlocksAsTheyAreDefined) {
  constexpr int kTokens = 5;
  for (const PackedType& packed : kPackedTypes) {
    SCOPED_TRACE(name(packed.type));
    const int n_columns =
        traits(packed.type).block == 32 ? 96 : 512;  // also a block without a pair
    const Packer& packer = table.*packed.packer;
    if (!packer.pack) continue;
    for (const bool largest : {false, true}) {
      const auto blocks = make_blocks(packed, kPanelRows * n_columns, largest);
      const Panel expected = unpack_panel(packed.type, blocks, n_columns);
      Panel panel(packed.type, n_columns);
      packer.pack(reinterpret_cast<const std::uint8_t*>(blocks.data()),
                  size_bytes(packed.type, n_columns), n_columns, panel.out());
      panel.zero = packer.zero;
      expect_same_bits(panel.scales, expected.scales);
      expect_same_bits(panel.offsets, expected.offsets);
      for (const bool fine : {false, true}) {
        auto values = random_floats(kTokens * n_columns, 32);
        if (largest) std::fill(values.begin(), values.end(), 1.0f);
        const Quantized x(ref, values, fine);
        std::vector<float> acc(kTokens * kPanelRows), expected_acc(acc.size());
        table.matmul_panel(panel.view(), x.view(n_columns), kTokens, {acc.data(), kPanelRows});
        ref.matmul_panel(expected.view(), x.view(n_columns), kTokens,
                         {expected_acc.data(), kPanelRows});
        expect_same_bits(acc, expected_acc);
        if (!packer.dot) continue;
        acc.assign(kPanelRows, 0.0f);
        expected_acc.resize(kPanelRows);
        packer.dot(reinterpret_cast<const std::uint8_t*>(blocks.data()),
                   size_bytes(packed.type, n_columns), n_columns, x.view(n_columns), acc.data());
        expect_same_bits(acc, expected_acc);
      }
    }
  }
}

TEST_P(Tables, InterleavedBlocksAreTheSameWeights) {
  for (const PackedType& packed : kPackedTypes) {
    SCOPED_TRACE(name(packed.type));
    const int k = traits(packed.type).block == 32 ? 96 : 512;
    const Packer& packer = table.*packed.packer;
    if (!packer.pack) continue;
    const auto blocks = make_blocks(packed, kPanelRows * k, false);
    std::vector<std::byte> panel(blocks.size());
    const std::int64_t row_bytes = size_bytes(packed.type, k);
    interleave_rows(packed.type, blocks.data(), row_bytes, row_bytes, panel.data());
    const auto* in_file = reinterpret_cast<const std::uint8_t*>(blocks.data());
    const auto* interleaved = reinterpret_cast<const std::uint8_t*>(panel.data());
    Panel expected(packed.type, k), actual(packed.type, k);
    packer.pack(in_file, row_bytes, k, expected.out());
    packer.pack_interleaved(interleaved, k, actual.out());
    EXPECT_EQ(actual.q, expected.q);
    expect_same_bits(actual.scales, expected.scales);
    expect_same_bits(actual.offsets, expected.offsets);
    if (!packer.dot) continue;
    for (const bool fine : {false, true}) {
      const Quantized x(ref, random_floats(k, 33), fine);
      std::vector<float> acc = random_floats(kPanelRows, 34), expected_acc = acc;
      packer.dot(in_file, row_bytes, k, x.view(k), expected_acc.data());
      packer.dot_interleaved(interleaved, k, x.view(k), acc.data());
      expect_same_bits(acc, expected_acc);
    }
  }
}

TEST_P(Tables, AttendToTheVisibleKeysOnly) {
  for (const int channels : {8, 24, 128, 512}) {
    constexpr int kQueries = 7;
    const int first[kQueries] = {0, 0, 0, 0, 5, 10, 63};
    const int last[kQueries] = {64, 64, 64, 64, 60, 10, 64};
    const auto q = random_floats(kQueries * channels, 21, 0.5f);
    auto k = random_floats(kKeyBlock * channels, 22, 0.5f);
    const auto v = random_floats(kKeyBlock * channels, 23);
    const auto run = [&](const Kernels& kernels) {
      std::vector<float> state = random_floats(kQueries * (channels + 2), 24);
      kernels.attend_block({.q = q.data(),
                            .k = k.data(),
                            .v = v.data(),
                            .n_queries = kQueries,
                            .channels = channels,
                            .first = first,
                            .last = last,
                            .max = state.data(),
                            .sum = state.data() + kQueries,
                            .out = state.data() + 2 * kQueries});
      return state;
    };
    expect_same_bits(run(table), run(ref));
  }
}

std::vector<std::uint16_t> random_bf16(int n, std::uint32_t seed, float scale) {
  const auto values = random_floats(n, seed, scale);
  std::vector<std::uint16_t> rounded(values.size());
  kScalarKernels.bf16_for_dots(values.data(), n, rounded.data());
  return rounded;
}

TEST_P(Tables, RoundFactorsOfBf16Dots) {
  std::vector<float> values = {NAN,      INFINITY, -INFINITY, 0.0f,      -0.0f,     1e-45f,
                               0x1p-51f, 0x1p-50f, -0x1p-50f, -0x1p-51f, 0x1p-127f, 1.00390625f};
  const auto more = random_floats(45, 31, 1e-15f);
  values.insert(values.end(), more.begin(), more.end());
  const int n = static_cast<int>(values.size());
  std::vector<std::uint16_t> a(values.size()), b(values.size());
  table.bf16_for_dots(values.data(), n, a.data());
  ref.bf16_for_dots(values.data(), n, b.data());
  EXPECT_EQ(a, b);
  for (std::size_t i = 0; i < values.size(); ++i) {
    const bool is_tiny = std::fabs(values[i]) < kLeastFactor;
    EXPECT_EQ(b[i], is_tiny ? 0 : f32_to_bf16(values[i])) << values[i];
  }
}

TEST_P(Tables, ScoreKeysInBf16) {
  for (const int channels : {32, 96, 256, 512}) {
    for (const int n_queries : {1, 2, 3, 7, 8, 12}) {
      const auto q = random_bf16(n_queries * channels, 41, 1.0f);
      const auto k = random_bf16(kKeyBlock * channels, 42, 1.0f);
      ScoreKeys keys{.q = q.data(),
                     .n_queries = n_queries,
                     .channels = channels,
                     .parts = {{k.data(), channels, channels}},
                     .n_parts = 1,
                     .first = 0,
                     .last = kKeyBlock,
                     .scores = nullptr,
                     .score_stride = kSpan,
                     .next = nullptr};
      // In two parts that lie apart, as a folded cache has them.
      ScoreKeys apart = keys;
      const int some = channels / 64 * 32;
      if (some > 0) {
        apart.n_parts = 2;
        apart.parts[0].channels = some;
        apart.parts[1] = {k.data() + some, channels, channels - some};
      }
      for (const auto& [first, last] : {std::pair{0, 64}, {5, 6}, {31, 50}, {63, 64}}) {
        std::vector<float> scores(static_cast<std::size_t>(n_queries * kSpan));
        std::vector<float> expected(scores.size());
        keys.first = apart.first = first;
        keys.last = apart.last = last;
        keys.scores = expected.data();
        ref.score_keys(keys);
        apart.scores = scores.data();
        apart.next = first == 0 ? k.data() : nullptr;  // changes nothing
        table.score_keys(apart);
        for (int i = 0; i < n_queries; ++i) {
          for (int j = first; j < last; ++j) {
            const auto at = static_cast<std::size_t>(i * kSpan + j);
            ASSERT_EQ(scores[at], expected[at]) << channels << ": query " << i << ", key " << j;
          }
        }
      }
    }
  }
}

TEST_P(Tables, WeighAWholeSpanAtOnce) {
  for (const auto& [first, last] : {std::pair{0, 512}, {0, 1}, {17, 18}, {100, 333}, {511, 512}}) {
    auto scores = random_floats(kSpan, 51, 12.0f);
    auto copy = scores;
    const int n_keys = (last + 15) / 16 * 16;
    std::vector<std::uint16_t> a(kSpan, 7), b(kSpan, 7);
    std::vector<float> state(2), expected(2);
    table.softmax_span({.scores = scores.data(),
                        .first = first,
                        .last = last,
                        .n_keys = n_keys,
                        .weights = a.data(),
                        .max = &state[0],
                        .sum = &state[1]});
    ref.softmax_span({.scores = copy.data(),
                      .first = first,
                      .last = last,
                      .n_keys = n_keys,
                      .weights = b.data(),
                      .max = &expected[0],
                      .sum = &expected[1]});
    EXPECT_EQ(a, b);
    expect_same_bits(state, expected);
    for (int j = 0; j < n_keys; ++j) {
      const bool is_visible = j >= first && j < last;
      EXPECT_TRUE(is_visible || b[static_cast<std::size_t>(j)] == 0) << j;
    }
    EXPECT_GE(expected[1], 1.0f);  // the largest weighs 1
  }
}

TEST_P(Tables, WeighValuesInBf16) {
  for (const int channels : {32, 96, 256, 512}) {
    for (const int n_queries : {1, 2, 3, 7, 8, 12}) {
      auto v = random_bf16(kKeyBlock * channels, 61, 1.0f);
      for (const auto& [first, last] : {std::pair{0, 64}, {5, 6}, {30, 51}, {63, 64}, {0, 1}}) {
        auto weights = random_bf16(n_queries * kSpan, 62, 0.3f);
        for (int i = 0; i < n_queries * kSpan; ++i) {
          const int j = i % kSpan;
          if (j < first || j >= last) weights[static_cast<std::size_t>(i)] = 0;
        }
        // Slots that were never written may hold anything.
        auto holes = v;
        for (int j = 0; j < kKeyBlock; ++j) {
          if (j >= first && j < last) continue;
          std::fill_n(holes.begin() + j * channels, channels, std::uint16_t{0x7fc0});
        }
        std::vector<float> out = random_floats(n_queries * channels, 63);
        std::vector<float> expected = out;
        WeighValues values{.weights = weights.data(),
                           .weight_stride = kSpan,
                           .n_queries = n_queries,
                           .channels = channels,
                           .v = holes.data(),
                           .first = first,
                           .last = last,
                           .out = out.data(),
                           .next = first == 0 ? v.data() : nullptr};
        table.weigh_values(values);
        values.v = v.data();
        values.out = expected.data();
        ref.weigh_values(values);
        expect_same_bits(out, expected);
      }
    }
  }
}

// Those of usable_kernels(), and what other CPUs have in another form (avx2/vnni_of_avx512.cpp).
std::vector<const Kernels*> tables_to_test() {
  auto tables = usable_kernels();
#if defined(FOURFOLD_X86)
  if (__builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512vnni")) {
    tables.push_back(&kVnniOfAvx512Kernels);
  }
#endif
  return tables;
}

INSTANTIATE_TEST_SUITE_P(Usable, Tables, testing::ValuesIn(tables_to_test()),
                         [](const auto& param) {
                           std::string name = param.param->name;  // a test's name has no hyphens
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

TEST(ScalarKernels, AgreeWithTheFormulas) {
  const auto x = random_floats(2000, 25, 5.0f);
  const std::vector<float> ones(x.size(), 1.0f);
  std::vector<float> y(x.size());
  kScalarKernels.gelu_multiply(x.data(), ones.data(), 2000, y.data());
  for (std::size_t i = 0; i < x.size(); ++i) {
    const double u = std::sqrt(2.0 / M_PI) * (x[i] + 0.044715 * std::pow(double{x[i]}, 3));
    EXPECT_NEAR(y[i], 0.5 * x[i] * (1.0 + std::tanh(u)), 2e-6 * (1.0 + std::abs(x[i])));
  }
  auto capped = x;
  kScalarKernels.softcap(capped.data(), 2000, 30.0f);
  for (std::size_t i = 0; i < x.size(); ++i) {
    EXPECT_NEAR(capped[i], 30.0 * std::tanh(x[i] / 30.0), 1e-5);
  }
  auto powers = x;
  double sum = 0.0;
  const float total = kScalarKernels.exp_sum(powers.data(), 2000, 0.0f);
  for (std::size_t i = 0; i < x.size(); ++i) {
    EXPECT_NEAR(powers[i] / std::exp(double{x[i]}), 1.0, 3e-7);
    sum += std::exp(double{x[i]});
  }
  EXPECT_NEAR(total / sum, 1.0, 1e-5);
}

// The definition itself is arithmetic that every machine rounds alike: these bits are those of any
// CPU and compiler.
TEST(ScalarKernels, GiveTheSameBitsOnEveryMachine) {
  constexpr int kCount = 512;
  const Kernels& k = kScalarKernels;
  TestVectorGenerator generator(7);
  const auto values = [&](float scale) {
    std::vector<float> x(kCount);
    for (float& v : x) v = scale * (static_cast<float>(generator.next() >> 8) * 0x1p-23f - 1.0f);
    return x;
  };
  const auto a = values(1.0f);
  const auto b = values(2.0f);
  std::vector<float> bits = {k.dot(a.data(), b.data(), kCount)};
  const auto add = [&](const std::vector<float>& x) {
    bits.insert(bits.end(), x.begin(), x.end());
  };

  auto x = values(8.0f);
  k.gelu_multiply(x.data(), a.data(), kCount, x.data());
  add(x);
  k.softcap(x.data(), kCount, 3.0f);
  add(x);
  bits.push_back(k.exp_sum(x.data(), kCount, 2.0f));
  add(x);
  k.rms_norm(x.data(), b.data(), kCount, 1e-6f, x.data());
  add(x);
  k.rope(x.data(), a.data(), b.data(), kCount / 2, kCount / 2);
  add(x);

  const std::vector<std::int8_t> rows(kPanelRows * kCount, 77);
  std::vector<std::uint8_t> panel(rows.size());
  k.pack_panel(rows.data(), kCount, kCount, panel.data());
  for (const bool fine : {false, true}) {
    const Quantized q(k, b, fine);
    std::vector<float> acc(kPanelRows);
    k.matmul_panel({panel.data(), a.data(), nullptr, kCount, 32, 0}, q.view(kCount), 1,
                   {acc.data(), kPanelRows});
    add(acc);
  }
  EXPECT_EQ(crc32(bits), 0xA42D3F55u);
}

TEST(ScalarKernels, KeepNotANumberVisible) {
  float x[2] = {NAN, 1.0f};
  kScalarKernels.softcap(x, 2, 30.0f);
  EXPECT_TRUE(std::isnan(x[0]));
  EXPECT_FALSE(std::isnan(x[1]));
}

TEST(Dispatch, RefusesWhatTheCpuLacks) {
  EXPECT_EQ(*choose_kernels("scalar"), &kScalarKernels);
  const auto unknown = choose_kernels("avx9000");
  ASSERT_FALSE(unknown.ok());
  EXPECT_EQ(unknown.error().code, Code::InvalidArgument);
  EXPECT_NE(unknown.error().message.find("scalar"), std::string::npos);
}

}  // namespace
}  // namespace fourfold
