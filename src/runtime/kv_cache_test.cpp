#include "runtime/kv_cache.h"

#include <gtest/gtest.h>

#include <vector>

#include "kernels/tables.h"

namespace fourfold {
namespace {

constexpr int kWindow = 100;
constexpr int kChunk = 29;  // a ring of 128 rows

// One ring layer, one global layer, one layer that shares.
std::shared_ptr<const KvPlan> small_plan() {
  KvPlan plan;
  plan.window = kWindow;
  plan.chunk = kChunk;
  const KvLayout layout{.type = KvType::F32, .n_heads = 1, .channels = 8};
  plan.layers = {{.owns = true, .ring = true, .layout = layout},
                 {.owns = true, .ring = false, .layout = layout},
                 {.owns = false, .ring = true, .layout = layout}};
  return std::make_shared<const KvPlan>(plan);
}

// Appends tokens whose K and V are their position plus `offset`.
void append(KvCache& cache, int n, float offset = 0.0f) {
  while (n > 0) {
    const int step = std::min(n, kChunk);
    ASSERT_TRUE(cache.make_room(step).ok());
    for (int i = 0; i < step; ++i) {
      const std::int64_t position = cache.length() + i;
      const std::vector<float> row(8, static_cast<float>(position) + offset);
      store_kv(kScalarKernels, cache.views()[0], position, row.data(), row.data());
      store_kv(kScalarKernels, cache.views()[1], position, row.data(), row.data());
    }
    cache.advance(step);
    n -= step;
  }
}

float key_at(const KvCache& cache, int layer, std::int64_t position) {
  std::vector<float> k(kKeyBlock * 8), v(kKeyBlock * 8);
  const int row = static_cast<int>(position % kKeyBlock);
  load_kv(kScalarKernels, cache.views()[static_cast<std::size_t>(layer)], 0, position / kKeyBlock,
          row, row + 1, k.data(), v.data());
  return k[static_cast<std::size_t>(row) * 8];
}

void expect_window(const KvCache& cache, float offset_from, std::int64_t changed_from) {
  for (std::int64_t p = std::max<std::int64_t>(0, cache.length() - kWindow); p < cache.length();
       ++p) {
    const float expected = static_cast<float>(p) + (p >= changed_from ? offset_from : 0.0f);
    ASSERT_EQ(key_at(cache, 0, p), expected) << "ring, position " << p;
  }
  for (std::int64_t p = 0; p < cache.length(); ++p) {
    const float expected = static_cast<float>(p) + (p >= changed_from ? offset_from : 0.0f);
    ASSERT_EQ(key_at(cache, 1, p), expected) << "global, position " << p;
  }
}

TEST(KvPlan, CountsWhatTheCacheAllocates) {
  const auto plan = small_plan();
  EXPECT_EQ(plan->ring_rows(), 128);
  for (const int n : {1, 64, 65, 128, 500}) {
    KvCache cache(plan);
    append(cache, n);
    EXPECT_EQ(cache.size_bytes(), plan->bytes(n)) << n;
  }
  EXPECT_EQ(plan->bytes_per_token_within_window(), 2 * 64);
  EXPECT_EQ(plan->bytes_per_token_beyond_window(), 64);
}

TEST(KvCache, TakesNoMemoryBeforeItsFirstToken) {
  EXPECT_EQ(KvCache(small_plan()).size_bytes(), 0);
}

TEST(KvCache, KeepsTheWindowInARingAndAllInTheGlobalLayer) {
  KvCache cache(small_plan());
  for (int i = 0; i < 40; ++i) {
    append(cache, 11);
    expect_window(cache, 0.0f, 1 << 20);
  }
}

TEST(KvCache, ForksShareMemoryUntilTheyDiffer) {
  KvCache cache(small_plan());
  append(cache, 300);
  KvCache other = cache.fork();
  append(other, 50, 0.5f);
  append(cache, 70);
  expect_window(cache, 0.0f, 1 << 20);
  expect_window(other, 0.5f, 300);
}

TEST(KvCache, RewindsWithinTheSlackAndNoFurther) {
  KvCache cache(small_plan());
  append(cache, 300);
  EXPECT_EQ(cache.lowest_rewind(), 300 - 128 + kWindow - 1);
  ASSERT_TRUE(cache.rewind(cache.lowest_rewind()).ok());
  const std::int64_t length = cache.length();
  append(cache, 20, 0.5f);
  expect_window(cache, 0.5f, length);

  const auto status = cache.rewind(100);
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error().code, Code::FailedPrecondition);
  EXPECT_NE(status.error().message.find("100"), std::string::npos);
  EXPECT_FALSE(cache.rewind(5000).ok());
  EXPECT_FALSE(cache.rewind(-1).ok());
}

TEST(KvCache, RewindsToItsBeginningAtAnyTime) {
  KvCache cache(small_plan());
  append(cache, 300);
  ASSERT_TRUE(cache.rewind(0).ok());
  EXPECT_EQ(cache.size_bytes(), 0);
  append(cache, 10, 0.5f);
  expect_window(cache, 0.5f, 0);
}

TEST(KvCache, GoesBackFurtherFromASnapshot) {
  KvCache cache(small_plan());
  append(cache, 150);
  const KvCache snapshot = cache.fork();
  append(cache, 400);
  cache = snapshot.fork();
  EXPECT_EQ(cache.length(), 150);
  append(cache, 60, 0.5f);
  expect_window(cache, 0.5f, 150);
}

TEST(KvCache, GrowsItsRingsForAPictureLargerThanTheChunk) {
  for (const int before : {0, 10, 128, 300}) {
    KvCache cache(small_plan());
    append(cache, before);
    ASSERT_TRUE(cache.make_room(200).ok());
    for (std::int64_t p = before; p < before + 200; ++p) {
      const std::vector<float> row(8, static_cast<float>(p));
      store_kv(kScalarKernels, cache.views()[0], p, row.data(), row.data());
      store_kv(kScalarKernels, cache.views()[1], p, row.data(), row.data());
    }
    for (std::int64_t p = std::max(0, before - kWindow + 1); p < before + 200; ++p) {
      ASSERT_EQ(key_at(cache, 0, p), static_cast<float>(p)) << "before " << before;
    }
    cache.advance(200);
    append(cache, 100);
    expect_window(cache, 0.0f, 1 << 20);
  }
}

TEST(KvCache, DoesNotGoBackToWhatItsRingsLostBeforeTheyGrew) {
  KvCache cache(small_plan());
  append(cache, 300);  // the ring of 128 rows has 172 … 299, in whole blocks 192 … 299
  ASSERT_TRUE(cache.make_room(200).ok());
  EXPECT_EQ(cache.lowest_rewind(), 192 + kWindow - 1);
}

TEST(KvCache, CountsTheBytesOfAllThatShareACounter) {
  const auto usage = std::make_shared<KvUsage>(0);
  {
    KvCache cache(small_plan(), usage);
    EXPECT_EQ(cache.room_bytes(150), small_plan()->bytes(150));
    append(cache, 150);
    EXPECT_EQ(*usage, cache.size_bytes());
    KvCache other = cache.fork();
    EXPECT_EQ(*usage, cache.size_bytes());
    const std::int64_t before = *usage, needed = other.room_bytes(20);
    append(other, 20, 0.5f);
    EXPECT_EQ(*usage, before + needed);
    std::unordered_set<const void*> seen;
    EXPECT_EQ(cache.size_bytes(seen) + other.size_bytes(seen), *usage);
    cache = KvCache(small_plan());
    EXPECT_EQ(*usage, other.size_bytes());
  }
  EXPECT_EQ(*usage, 0);
}

TEST(KvCache, ComesBackFromItsPages) {
  for (const int n : {0, 1, 64, 100, 300}) {
    KvCache cache(small_plan());
    append(cache, n);
    ASSERT_TRUE(cache.rewind(std::min(n, 290)).ok());
    const auto pages = cache.pages();
    std::size_t next = 0;
    auto back = KvCache::restore(small_plan(), nullptr, cache.extent(),
                                 [&](std::span<std::byte> out) -> Status {
                                   EXPECT_EQ(out.size(), pages[next].size());
                                   std::ranges::copy(pages[next++], out.begin());
                                   return {};
                                 });
    ASSERT_TRUE(back.ok()) << back.error().message;
    EXPECT_EQ(next, pages.size());
    EXPECT_EQ(back->length(), cache.length());
    EXPECT_EQ(back->lowest_rewind(), cache.lowest_rewind());
    expect_window(*back, 0.0f, 1 << 20);
    append(*back, 200);
    expect_window(*back, 0.0f, 1 << 20);
  }
}

TEST(KvCache, RefusesExtentsThatCannotBe) {
  const auto restored = [](KvCache::Extent extent) {
    return KvCache::restore(small_plan(), nullptr, extent,
                            [](std::span<std::byte>) -> Status { return {}; })
        .ok();
  };
  EXPECT_TRUE(restored({.length = 10, .written = 10, .ring_blocks = 2}));
  EXPECT_FALSE(restored({.length = -1, .written = 10, .ring_blocks = 2}));
  EXPECT_FALSE(restored({.length = 11, .written = 10, .ring_blocks = 2}));
  EXPECT_FALSE(restored({.length = 10, .written = 10, .ring_blocks = 1}));
  EXPECT_FALSE(restored({.length = 10, .written = 10, .ring_blocks = 1 << 30}));
  EXPECT_FALSE(restored({.length = 10, .written = 10, .ring_blocks = 2, .ring_start = 3}));
}

}  // namespace
}  // namespace fourfold
