#include "kernels/ops.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <random>
#include <vector>

#include "kernels/dispatch.h"
#include "kernels/tables.h"
#include "tensor/blocks.h"
#include "tensor/interleaved_rows.h"

namespace fourfold {
namespace {

std::vector<float> random_floats(std::int64_t n, std::uint32_t seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal;
  std::vector<float> values(static_cast<std::size_t>(n));
  for (float& v : values) v = normal(random);
  return values;
}

// Random blocks whose f16 scales are small and finite.
std::vector<std::byte> random_blocks(DType type, std::int64_t n_values, std::uint32_t seed) {
  std::mt19937 random(seed);
  std::vector<std::byte> bytes(static_cast<std::size_t>(size_bytes(type, n_values)));
  if (!traits(type).quantised()) {
    for (std::int64_t i = 0; i < n_values; ++i) {
      const float value = std::normal_distribution<float>()(random);
      const auto half = type == DType::BF16 ? f32_to_bf16(value) : f32_to_f16(value);
      if (type == DType::F32) {
        std::memcpy(bytes.data() + 4 * i, &value, 4);
      } else {
        std::memcpy(bytes.data() + 2 * i, &half, 2);
      }
    }
    return bytes;
  }
  for (auto& b : bytes) b = static_cast<std::byte>(random() & 255);
  const auto calm = [&](std::size_t offset) {
    for (std::size_t b = offset + 1; b < bytes.size();
         b += static_cast<std::size_t>(traits(type).block_bytes)) {
      bytes[b] &= std::byte{0x1f};
    }
  };
  switch (type) {
    case DType::Q6_K: calm(208); break;
    case DType::Q4_K:
    case DType::Q5_K:
      calm(0);
      calm(2);
      break;
    case DType::Q2_K:
      calm(80);
      calm(82);
      break;
    case DType::Q3_K: calm(108); break;
    case DType::MXFP4:  // the scale is an exponent
      for (std::size_t b = 0; b < bytes.size(); b += 17) {
        bytes[b] = (bytes[b] & std::byte{7}) | std::byte{120};
      }
      break;
    default:
      calm(0);
      calm(2);
      break;
  }
  return bytes;
}

MatView view(std::vector<float>& data, std::int64_t n_rows, std::int64_t n_cols) {
  return {data.data(), n_rows, n_cols, n_cols};
}

class Matmul : public testing::TestWithParam<DType> {};

TEST_P(Matmul, StaysNearTheProductInF64) {
  const DType type = GetParam();
  constexpr int kRows = 21;  // not a multiple of the panel
  constexpr int kCols = 1280;
  constexpr int kTokens = 5;
  const auto bytes = random_blocks(type, kRows * kCols, 1);
  Matrix w{.dtype = type, .data = bytes.data(), .n_rows = kRows, .n_cols = kCols};
  std::vector<float> plain(kRows * kCols);
  dequantize(type, bytes.data(), kRows * kCols, plain.data());
  auto x = random_floats(kTokens * kCols, 2);
  ThreadPool pool(2);
  struct Form {
    bool exact, fine;
    double tolerance;
  };
  for (const auto& [exact, fine, tolerance] :
       {Form{true, false, 2e-6}, Form{false, true, 2e-4}, Form{false, false, 2e-2}}) {
    w.fine = fine;
    Ops ops(*usable_kernels().front(), pool, exact);
    Activations a;
    a.set(view(x, kTokens, kCols));
    std::vector<float> out(kTokens * kRows);
    ops.matmul(w, a, view(out, kTokens, kRows));
    for (int t = 0; t < kTokens; ++t) {
      for (int r = 0; r < kRows; ++r) {
        double sum = 0.0, size = 0.0;
        for (int i = 0; i < kCols; ++i) {
          const double term = double{plain[static_cast<std::size_t>(r * kCols + i)]} *
                              x[static_cast<std::size_t>(t * kCols + i)];
          sum += term;
          size += term * term;
        }
        const double limit = tolerance * std::sqrt(size) + 1e-6;
        EXPECT_NEAR(out[static_cast<std::size_t>(t * kRows + r)], sum, limit)
            << "token " << t << " row " << r << ", tolerance " << tolerance;
      }
    }
  }
}

TEST_P(Matmul, ClampsAsIfItWereDoneBesideIt) {
  const DType type = GetParam();
  constexpr int kRows = 53;  // two panels, one, and a part
  constexpr int kCols = 1280;
  const Clip in{.low = -0.5f, .high = 0.75f};
  const auto bytes = random_blocks(type, kRows * kCols, 1);
  Matrix w{.dtype = type, .data = bytes.data(), .n_rows = kRows, .n_cols = kCols};
  const auto clamped = [](std::vector<float> values, const Clip& clip) {
    for (float& v : values) v = std::clamp(v, clip.low, clip.high);
    return values;
  };
  ThreadPool pool(2);
  for (const bool exact : {false, true}) {
    Ops ops(*usable_kernels().front(), pool, exact);
    for (const int n_tokens : {1, 5}) {
      for (const float scale : {1.0f, 0.5f}) {
        w.scale = scale;
        auto x = random_floats(n_tokens * kCols, 2);
        const bool integers = !exact && traits(type).quantised();
        auto x_within = integers ? clamped(x, in) : x;
        const auto multiply = [&](std::vector<float>& rows, const Clip& rows_clip,
                                  const Clip& sums_clip) {
          Activations a;
          a.set(view(rows, n_tokens, kCols), rows_clip);
          std::vector<float> sums(static_cast<std::size_t>(n_tokens * kRows));
          ops.matmul(w, a, view(sums, n_tokens, kRows), sums_clip);
          return sums;
        };
        const auto sums = multiply(x_within, {}, {});
        const auto [least, most] = std::minmax_element(sums.begin(), sums.end());
        const Clip out{.low = 0.5f * *least, .high = 0.5f * *most};
        EXPECT_NE(sums, clamped(sums, out));
        EXPECT_EQ(multiply(x, in, out), clamped(sums, out))
            << "exact " << exact << ", tokens " << n_tokens << ", scale " << scale;
      }
    }
  }
}

// w times n_tokens rows of x, at most `step` of them at a time.
std::vector<float> multiply_in_steps(Ops& ops, const Matrix& w, std::vector<float>& x, int n_tokens,
                                     int step) {
  const auto n_cols = static_cast<int>(w.n_cols), n_rows = static_cast<int>(w.n_rows);
  Activations a;
  std::vector<float> out(static_cast<std::size_t>(n_tokens * n_rows));
  for (int t = 0; t < n_tokens; t += step) {
    const int n = std::min(step, n_tokens - t);
    a.set(view(x, n_tokens, n_cols).rows(t, n));
    ops.matmul(w, a, view(out, n_tokens, n_rows).rows(t, n));
  }
  return out;
}

TEST_P(Matmul, GivesTheSameBitsForAnyThreadsRowsAndTable) {
  const DType type = GetParam();
  constexpr int kRows = 40;
  constexpr int kCols = 512;
  constexpr int kTokens = 11;
  const auto bytes = random_blocks(type, kRows * kCols, 3);
  Matrix w{.dtype = type, .data = bytes.data(), .n_rows = kRows, .n_cols = kCols};
  auto x = random_floats(kTokens * kCols, 4);
  for (const auto& [exact, fine] : {std::pair{true, false}, {false, false}, {false, true}}) {
    w.fine = fine;
    ThreadPool one(1);
    Ops reference(kScalarKernels, one, exact);
    Activations all;
    all.set(view(x, kTokens, kCols));
    std::vector<float> expected(kTokens * kRows);
    reference.matmul(w, all, view(expected, kTokens, kRows));
    for (const Kernels* table : usable_kernels()) {
      for (const int n_threads : {1, 3}) {
        for (const int step : {1, 4, 11}) {
          ThreadPool pool(n_threads);
          Ops ops(*table, pool, exact);
          const auto out = multiply_in_steps(ops, w, x, kTokens, step);
          ASSERT_EQ(std::memcmp(out.data(), expected.data(), out.size() * 4), 0)
              << table->name << ", " << n_threads << " threads, " << step << " rows at a time";
        }
      }
    }
  }
}

// So many rows, k and tokens that threads take units of several panels, unpack them in stretches
// and meet the tokens in tiles, with a rest of each.
TEST(MatmulUnits, GiveTheBitsOfTokensOneByOne) {
  constexpr int kRows = 16 * 35 + 5;
  constexpr int kCols = 2048 + 512;
  constexpr int kTokens = 2 * 24 + 7;
  struct Form {
    DType type;
    bool fine, pairs;
  };
  for (const auto& [type, fine, pairs] :
       {Form{DType::Q4_0, false, false}, {DType::Q6_K, true, false}, {DType::Q8_0, false, true}}) {
    auto bytes = random_blocks(type, kRows * kCols, 8);
    for (std::size_t b = 0; pairs && b < bytes.size(); b += 68) {
      std::copy_n(&bytes[b], 2, &bytes[b + 34]);
    }
    Matrix w{.dtype = type,
             .data = bytes.data(),
             .n_rows = kRows,
             .n_cols = kCols,
             .fine = fine,
             .pairs = pairs};
    std::vector<std::byte> memory(static_cast<std::size_t>(InterleavedMatrix::size_bytes(w)));
    InterleavedMatrix interleaved(w, memory.data());
    for (int i = 0; i < interleaved.n_panels(); ++i) interleaved.fill_next();
    auto x = random_floats(kTokens * kCols, 9);
    const auto multiply = [&](const Kernels& table, int n_threads, int step) {
      ThreadPool pool(n_threads);
      Ops ops(table, pool, false);
      return multiply_in_steps(ops, w, x, kTokens, step);
    };
    const auto expected = multiply(kScalarKernels, 1, 1);
    for (const Kernels* table : usable_kernels()) {
      for (const InterleavedMatrix* layout :
           {static_cast<InterleavedMatrix*>(nullptr), &interleaved}) {
        w.interleaved = layout;
        for (const auto& [n_threads, step] : {std::pair{1, kTokens}, {3, kTokens}, {3, 1}}) {
          EXPECT_EQ(multiply(*table, n_threads, step), expected)
              << table->name << ", " << name(type) << ", " << n_threads << " threads, " << step
              << " tokens at a time, " << (layout ? "interleaved" : "as in the file");
        }
      }
    }
  }
}

// A feed-forward of F hidden values, whose last product has columns for whole blocks.
struct FeedForward {
  static constexpr int kOut = 96;

  FeedForward(int n_hidden, int n_columns)
      : n_cols(n_columns),
        width((n_hidden + 31) / 32 * 32),
        gate_bytes(random_blocks(DType::Q8_0, n_hidden * n_cols, 1)),
        up_bytes(random_blocks(DType::Q4_0, n_hidden * n_cols, 2)),
        down_bytes(random_blocks(DType::Q8_0, kOut * width, 3)),
        gate{.dtype = DType::Q8_0, .data = gate_bytes.data(), .n_rows = n_hidden, .n_cols = n_cols},
        up{.dtype = DType::Q4_0, .data = up_bytes.data(), .n_rows = n_hidden, .n_cols = n_cols},
        down{.dtype = DType::Q8_0, .data = down_bytes.data(), .n_rows = kOut, .n_cols = width} {
    product = {.gate = &gate, .up = &up};
  }

  std::vector<float> step_by_step(Ops& ops, std::vector<float> x, int n_tokens) const {
    std::vector<float> gates(static_cast<std::size_t>(n_tokens * width)), ups(gates);
    std::vector<float> out(static_cast<std::size_t>(n_tokens * kOut));
    Activations in, hidden;
    in.set(view(x, n_tokens, n_cols));
    MatView gate_view{gates.data(), n_tokens, gate.n_rows, width};
    MatView up_view{ups.data(), n_tokens, up.n_rows, width};
    ops.matmul(gate, in, gate_view, product.gate_clip);
    ops.matmul(up, in, up_view, product.up_clip);
    ops.gelu_multiply(gate_view, up_view, gate_view);
    hidden.set(view(gates, n_tokens, width), product.clip);
    ops.matmul(down, hidden, view(out, n_tokens, kOut));
    return out;
  }

  std::vector<float> at_once(Ops& ops, std::vector<float> x, int n_tokens,
                             Activations& hidden) const {
    std::vector<float> out(static_cast<std::size_t>(n_tokens * kOut));
    Activations in;
    in.set(view(x, n_tokens, n_cols));
    EXPECT_TRUE(ops.gates_integers(product));
    ops.gated_matmul(product, in, hidden);
    ops.matmul(down, hidden, view(out, n_tokens, kOut));
    return out;
  }

  int n_cols, width;
  std::vector<std::byte> gate_bytes, up_bytes, down_bytes;
  Matrix gate, up, down;
  GatedProduct product;
};

TEST(GatedMatmul, GivesTheBitsOfItsStepsOneByOne) {
  // 53: one panel and a part in the last block. Rows of 2144 are unpacked in two stretches.
  for (const auto& [n_hidden, n_cols] :
       {std::pair{32, 96}, {53, 96}, {208, 96}, {600, 96}, {1100, 96}, {53, 2144}, {600, 2144}}) {
    FeedForward feed_forward(n_hidden, n_cols);
    for (const auto& [clips, fine] : {std::pair{false, false}, {true, false}, {true, true}}) {
      feed_forward.product.fine = feed_forward.down.fine = fine;
      if (clips) {
        feed_forward.product.gate_clip = {.low = -1.0f, .high = 2.0f};
        feed_forward.product.up_clip = {.low = -3.0f, .high = 1.5f};
        feed_forward.product.clip = {.low = -0.1f, .high = 1.25f};
      }
      Activations hidden;  // kept, as a model does
      for (const int n_tokens : {37, 1, 5}) {
        const auto x = random_floats(n_tokens * n_cols, 4);
        ThreadPool one(1);
        Ops steps(*usable_kernels().front(), one, false);
        const auto expected = feed_forward.step_by_step(steps, x, n_tokens);
        for (const int n_threads : {1, 3}) {
          ThreadPool pool(n_threads);
          for (const Kernels* kernels : usable_kernels()) {
            Ops ops(*kernels, pool, false);
            EXPECT_EQ(feed_forward.at_once(ops, x, n_tokens, hidden), expected)
                << kernels->name << ", " << n_hidden << " of " << n_cols << ", " << n_tokens
                << " tokens";
          }
        }
      }
    }
  }
}

TEST(GatedMatmul, IsForProductsOfIntegersOnly) {
  FeedForward feed_forward(64, 96);
  ThreadPool pool(1);
  EXPECT_FALSE(Ops(*usable_kernels().front(), pool, true).gates_integers(feed_forward.product));
  Ops ops(*usable_kernels().front(), pool, false);
  EXPECT_TRUE(ops.gates_integers(feed_forward.product));
  feed_forward.up.scale = 0.5f;
  EXPECT_FALSE(ops.gates_integers(feed_forward.product));
  feed_forward.up.scale = 1.0f;
  feed_forward.gate.dtype = DType::BF16;
  EXPECT_FALSE(ops.gates_integers(feed_forward.product));
}

TEST(MatmulGroup, GivesTheBitsOfProductsOneByOne) {
  constexpr int kCols = 512;
  constexpr int kTokens = 7;
  struct Part {
    DType type;
    int n_rows, first_token, n_tokens;
    bool fine;
    float scale;
  };
  constexpr Part kParts[] = {
      {DType::Q4_0, 40, 0, 7, false, 1.0f}, {DType::Q6_K, 21, 2, 3, true, 1.0f},
      {DType::BF16, 33, 0, 7, false, 1.0f}, {DType::Q8_0, 64, 3, 1, false, 0.5f},
      {DType::Q4_0, 16, 6, 0, false, 1.0f}, {DType::Q4_K, 96, 6, 1, true, 1.0f}};
  auto x = random_floats(kTokens * kCols, 5);
  std::vector<std::vector<std::byte>> bytes;
  std::vector<Matrix> weights;
  for (const Part& part : kParts) {
    bytes.push_back(random_blocks(part.type, std::int64_t{part.n_rows} * kCols, 6));
    weights.push_back({part.type, bytes.back().data(), part.n_rows, kCols, part.scale, part.fine});
  }
  for (const bool exact : {false, true}) {
    for (const int n_threads : {1, 3}) {
      ThreadPool pool(n_threads);
      Ops ops(*usable_kernels().front(), pool, exact);
      OpTimes times;
      ops.set_times(&times);
      std::vector<std::vector<float>> outs;
      std::vector<Product> products;
      for (std::size_t i = 0; i < weights.size(); ++i) {
        const Part& part = kParts[i];
        outs.emplace_back(static_cast<std::size_t>(part.n_tokens * part.n_rows));
        products.push_back(
            {&weights[i], view(outs[i], part.n_tokens, part.n_rows), part.first_token});
      }
      Activations a;
      a.set(view(x, kTokens, kCols));
      ops.matmul_group(products, a);
      for (std::size_t i = 0; i < weights.size(); ++i) {
        const Part& part = kParts[i];
        std::vector<float> alone(outs[i].size());
        Activations rows;
        rows.set(view(x, kTokens, kCols).rows(part.first_token, part.n_tokens));
        ops.set_times(nullptr);
        ops.matmul(weights[i], rows, view(alone, part.n_tokens, part.n_rows));
        EXPECT_EQ(outs[i], alone) << "product " << i << ", exact " << exact << ", " << n_threads
                                  << " threads";
        const auto time = times.products.find(weights[i].data);
        ASSERT_EQ(time != times.products.end(), part.n_tokens > 0);
        if (part.n_tokens == 0) continue;
        EXPECT_EQ(time->second.calls, 1);
        EXPECT_GT(time->second.seconds, 0.0);
        EXPECT_EQ(time->second.macs, 1.0 * part.n_rows * kCols * part.n_tokens);
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Types, Matmul,
                         testing::Values(DType::F32, DType::BF16, DType::F16, DType::Q4_0,
                                         DType::Q4_1, DType::Q5_0, DType::Q5_1, DType::Q8_0,
                                         DType::Q2_K, DType::Q3_K, DType::Q4_K, DType::Q5_K,
                                         DType::Q6_K, DType::IQ4_NL, DType::IQ4_XS, DType::MXFP4),
                         [](const auto& param) { return std::string(name(param.param)); });

// Attention in f64, straight from the definition.
std::vector<double> attend_f64(const std::vector<float>& q, const std::vector<float>& k,
                               const std::vector<float>& v, int channels, int first, int last) {
  std::vector<double> scores;
  double max = -1e300, sum = 0.0;
  for (int j = first; j < last; ++j) {
    double s = 0.0;
    for (int c = 0; c < channels; ++c) {
      s += double{q[static_cast<std::size_t>(c)]} * k[static_cast<std::size_t>(j * channels + c)];
    }
    scores.push_back(s);
    max = std::max(max, s);
  }
  std::vector<double> out(static_cast<std::size_t>(channels));
  for (double& s : scores) sum += s = std::exp(s - max);
  for (int j = first; j < last; ++j) {
    for (int c = 0; c < channels; ++c) {
      out[static_cast<std::size_t>(c)] += scores[static_cast<std::size_t>(j - first)] / sum *
                                          v[static_cast<std::size_t>(j * channels + c)];
    }
  }
  return out;
}

struct AttendCase {
  const char* name;
  KvType type;
  int n_folded_pairs;
  bool exact;
  double tolerance;
};

class Attend : public testing::TestWithParam<AttendCase> {};

TEST_P(Attend, MatchesTheDefinitionAcrossBlocksAndSpans) {
  constexpr int kChannels = 128;
  constexpr int kTokens = 1400;  // three spans
  constexpr int kHeads = 6;
  constexpr int kKvHeads = 2;
  const AttendCase& tested = GetParam();
  const KvLayout layout{.type = tested.type,
                        .n_heads = kKvHeads,
                        .channels = kChannels,
                        .n_folded_pairs = tested.n_folded_pairs};
  std::vector<std::vector<std::byte>> memory;
  std::vector<std::byte*> pointers;
  for (int b = 0; b <= kTokens / kKeyBlock; ++b) {
    memory.emplace_back(static_cast<std::size_t>(layout.block_bytes()));
    pointers.push_back(memory.back().data());
  }
  const KvView kv{layout, pointers.data(), static_cast<std::int64_t>(pointers.size()), false};
  std::vector<std::vector<float>> k(kKvHeads), v(kKvHeads);
  for (int t = 0; t < kTokens; ++t) {
    const auto kt = random_floats(kKvHeads * kChannels, static_cast<std::uint32_t>(2 * t));
    const auto vt = random_floats(kKvHeads * kChannels, static_cast<std::uint32_t>(2 * t + 1));
    store_kv(kScalarKernels, kv, t, kt.data(), vt.data());
    std::vector<float> k_block(kKeyBlock * kChannels), v_block(kKeyBlock * kChannels);
    for (int h = 0; h < kKvHeads; ++h) {  // as the cache rounded them
      const int j = t % kKeyBlock;
      load_kv(kScalarKernels, kv, h, t / kKeyBlock, j, j + 1, k_block.data(), v_block.data());
      const auto row = [j](const std::vector<float>& block) {
        return block.begin() + j * kChannels;
      };
      k[h].insert(k[h].end(), row(k_block), row(k_block) + kChannels);
      v[h].insert(v[h].end(), row(v_block), row(v_block) + kChannels);
    }
  }
  const std::vector<AttentionRow> rows = {{&kv, 0, 1},      {&kv, 0, 64},      {&kv, 10, 700},
                                          {&kv, 600, 1400}, {&kv, 1023, 1024}, {&kv, 0, 1400}};
  const auto n_rows = static_cast<std::int64_t>(rows.size());
  auto q = random_floats(n_rows * kHeads * kChannels, 99);
  for (float& x : q) x *= 0.25f;
  std::vector<float> first_result;
  for (const Kernels* table : usable_kernels()) {
    for (const int n_threads : {1, 2, 3, 16}) {  // many threads split the spans
      ThreadPool pool(n_threads);
      Ops ops(*table, pool, tested.exact);
      std::vector<float> out(q.size());
      ops.attend(rows, view(q, n_rows, kHeads * kChannels), kHeads,
                 view(out, n_rows, kHeads * kChannels));
      for (std::size_t r = 0; first_result.empty() && r < rows.size(); ++r) {
        for (int h = 0; h < kHeads; ++h) {
          const auto at =
              static_cast<std::ptrdiff_t>((r * kHeads + static_cast<std::size_t>(h)) * kChannels);
          const std::vector<float> qh(q.begin() + at, q.begin() + at + kChannels);
          const int kv_head = h / (kHeads / kKvHeads);
          const auto expected =
              attend_f64(qh, k[kv_head], v[kv_head], kChannels, static_cast<int>(rows[r].first_key),
                         static_cast<int>(rows[r].last_key));
          for (int c = 0; c < kChannels; ++c) {
            ASSERT_NEAR(out[static_cast<std::size_t>(at + c)],
                        expected[static_cast<std::size_t>(c)], tested.tolerance)
                << "row " << r << " head " << h;
          }
        }
      }
      if (first_result.empty()) first_result = out;
      EXPECT_EQ(std::memcmp(out.data(), first_result.data(), out.size() * 4), 0)
          << table->name << ", " << n_threads << " threads";
      // A row alone gives the bits it gives in company.
      std::vector<float> alone(kHeads * kChannels);
      ops.attend(std::span(rows).subspan(2, 1), view(q, n_rows, kHeads * kChannels).rows(2, 1),
                 kHeads, view(alone, 1, kHeads * kChannels));
      EXPECT_EQ(std::memcmp(alone.data(), out.data() + 2 * kHeads * kChannels, alone.size() * 4),
                0);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Caches, Attend,
                         testing::Values(AttendCase{"F32", KvType::F32, 0, false, 2e-5},
                                         AttendCase{"Exact", KvType::BF16, 0, true, 2e-5},
                                         AttendCase{"BF16", KvType::BF16, 0, false, 0.02},
                                         AttendCase{"Folded", KvType::BF16, 32, false, 0.02},
                                         AttendCase{"FoldedF32", KvType::F16, 32, false, 2e-5},
                                         AttendCase{"Q8", KvType::Q8_0, 0, false, 0.02},
                                         AttendCase{"FoldedQ8", KvType::Q8_0, 32, false, 0.02}),
                         [](const auto& param) { return std::string(param.param.name); });

}  // namespace
}  // namespace fourfold
