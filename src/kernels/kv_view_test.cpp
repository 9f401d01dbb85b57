#include "kernels/kv_view.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <vector>

#include "kernels/tables.h"

namespace fourfold {
namespace {

struct Cache {
  KvLayout layout;
  std::vector<std::vector<std::byte>> memory;
  std::vector<std::byte*> pointers;
  KvView view;

  Cache(KvLayout l, int n_blocks, bool ring) : layout(l) {
    for (int b = 0; b < n_blocks; ++b) {
      memory.emplace_back(static_cast<std::size_t>(layout.block_bytes()));
      pointers.push_back(memory.back().data());
    }
    view = {.layout = layout, .blocks = pointers.data(), .n_blocks = n_blocks, .ring = ring};
  }
};

std::vector<float> values(int n, std::uint32_t seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal;
  std::vector<float> v(static_cast<std::size_t>(n));
  for (float& x : v) x = normal(random);
  return v;
}

TEST(KvView, GivesBackWhatWasStoredRoundedToItsType) {
  const double tolerance[] = {0.0, 0.01, 0.002, 0.02};
  for (const auto type : {KvType::F32, KvType::BF16, KvType::F16, KvType::Q8_0}) {
    for (const int channels : {8, 64, 256}) {
      Cache cache({.type = type, .n_heads = 2, .channels = channels}, 2, false);
      const auto k = values(2 * channels, 1);
      const auto v = values(2 * channels, 2);
      store_kv(kScalarKernels, cache.view, 64 + 5, k.data(), v.data());
      std::vector<float> k_out(static_cast<std::size_t>(kKeyBlock * channels));
      std::vector<float> v_out(k_out.size());
      for (int head = 0; head < 2; ++head) {
        load_kv(kScalarKernels, cache.view, head, 1, 5, 6, k_out.data(), v_out.data());
        for (int c = 0; c < channels; ++c) {
          const auto from = static_cast<std::size_t>(head * channels + c);
          const auto to = static_cast<std::size_t>(5 * channels + c);
          const double limit = tolerance[static_cast<int>(type)] * (1.0 + std::abs(k[from]));
          EXPECT_NEAR(k_out[to], k[from], limit);
          EXPECT_NEAR(v_out[to], v[from], tolerance[static_cast<int>(type)] * 4.0);
        }
      }
    }
  }
}

// What attention multiplies in bf16 must never become subnormal (table.h).
TEST(KvView, ABf16CacheKeepsNoTinyValues) {
  Cache cache({.type = KvType::BF16, .n_heads = 1, .channels = 32}, 1, false);
  std::vector<float> row(32, 0x1p-50f);
  row[3] = 0x1p-51f;
  row[4] = -1e-40f;
  store_kv(kScalarKernels, cache.view, 0, row.data(), row.data());
  std::vector<float> k(kKeyBlock * 32), v(kKeyBlock * 32);
  load_kv(kScalarKernels, cache.view, 0, 0, 0, 1, k.data(), v.data());
  for (std::size_t c = 0; c < 32; ++c) {
    EXPECT_EQ(k[c], c == 3 || c == 4 ? 0.0f : 0x1p-50f) << c;
    EXPECT_EQ(v[c], k[c]) << c;
  }
}

// Both ways to read a block give the same numbers, folded keys in their parts.
TEST(KvView, ReadsABlockInBf16AsInF32) {
  for (const auto type : {KvType::BF16, KvType::Q8_0}) {
    for (const int n_folded_pairs : {0, 32, 64}) {
      constexpr int kChannels = 128;
      Cache cache(
          {.type = type, .n_heads = 2, .channels = kChannels, .n_folded_pairs = n_folded_pairs}, 1,
          false);
      for (int t = 3; t < 9; ++t) {
        const auto seed = static_cast<std::uint32_t>(t);
        store_kv(kScalarKernels, cache.view, t, values(2 * kChannels, seed).data(),
                 values(2 * kChannels, 100 + seed).data());
      }
      std::vector<float> k(kKeyBlock * kChannels), v(k.size());
      load_kv(kScalarKernels, cache.view, 1, 0, 3, 9, k.data(), v.data());
      std::vector<std::uint16_t> k_memory(k.size()), v_memory(k.size());
      Bf16Block block{.k_memory = k_memory.data(), .v_memory = v_memory.data()};
      block.read_keys(kScalarKernels, cache.view, 1, 0, 3, 9);
      block.read_values(kScalarKernels, cache.view, 1, 0, 3, 9);
      const auto rounded = [](float x) {
        std::uint16_t bits = 0;
        kScalarKernels.bf16_for_dots(&x, 1, &bits);
        return bits;
      };
      for (int j = 3; j < 9; ++j) {
        const float* k_row = k.data() + j * kChannels;
        for (int p = 0; p < block.n_parts; ++p) {
          const KeyPart& part = block.parts[p];
          for (int c = 0; c < part.channels; ++c) {
            ASSERT_EQ(part.rows[j * part.stride + c], rounded(*k_row++)) << name(type) << " " << p;
          }
        }
        ASSERT_EQ(k_row, k.data() + (j + 1) * kChannels);
        for (int c = 0; c < kChannels; ++c) {
          const auto at = static_cast<std::size_t>(j * kChannels + c);
          ASSERT_EQ(block.v[at], rounded(v[at]));
        }
      }
    }
  }
}

TEST(KvView, ARingPutsAPositionWhereItsPredecessorLay) {
  Cache cache({.type = KvType::F32, .n_heads = 1, .channels = 8}, 3, true);
  EXPECT_EQ(cache.view.block(0), cache.view.block(3));
  EXPECT_NE(cache.view.block(1), cache.view.block(3));
}

TEST(KvView, TheFoldedFormReadsUnrotatedKeysFromTheValues) {
  constexpr int kChannels = 64;
  constexpr int kPairs = 8;
  const KvLayout folded{
      .type = KvType::F32, .n_heads = 1, .channels = kChannels, .n_folded_pairs = kPairs};
  Cache cache(folded, 1, false);
  EXPECT_EQ(folded.token_bytes(), 4 * (kChannels + 2 * kPairs));
  const auto k = values(kChannels, 3);
  const auto v = values(kChannels, 4);
  store_kv(kScalarKernels, cache.view, 0, k.data(), v.data());
  std::vector<float> k_out(kKeyBlock * kChannels), v_out(kKeyBlock * kChannels);
  load_kv(kScalarKernels, cache.view, 0, 0, 0, 1, k_out.data(), v_out.data());
  for (int c = 0; c < kChannels; ++c) {
    const bool rotated = c % (kChannels / 2) < kPairs;
    const auto i = static_cast<std::size_t>(c);
    EXPECT_EQ(k_out[i], rotated ? k[i] : v[i]) << c;
    EXPECT_EQ(v_out[i], v[i]);
  }
}

TEST(KvView, NamesItsTypes) {
  for (const auto type : {KvType::F32, KvType::BF16, KvType::F16, KvType::Q8_0}) {
    EXPECT_EQ(kv_type_from_name(name(type)), type);
  }
  EXPECT_FALSE(kv_type_from_name("q4_0").has_value());
  EXPECT_EQ(kv_bytes(KvType::Q8_0, 256), 272);
  EXPECT_EQ(kv_bytes(KvType::BF16, 256), 512);
}

}  // namespace
}  // namespace fourfold
