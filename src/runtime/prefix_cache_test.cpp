#include "runtime/prefix_cache.h"

#include <gtest/gtest.h>

#include <random>

#include "runtime/fake_step_model.h"
#include "runtime/id_cache.h"

namespace fourfold {
namespace {

using Ids = std::vector<PositionKey>;

class PrefixCacheTest : public testing::Test {
 protected:
  KvCache cache_of(const Ids& ids) { return id_cache(plan_, usage_, ids); }
  void insert(const Ids& ids) { prefixes_.insert(ids, cache_of(ids)); }
  std::int64_t usable(const Ids& ids) const { return prefixes_.find(ids).usable; }

  std::shared_ptr<const KvPlan> plan_ = fake_plan();
  std::shared_ptr<KvUsage> usage_ = std::make_shared<KvUsage>(0);
  PrefixCache prefixes_;
};

TEST_F(PrefixCacheTest, IsEmptyAtFirst) {
  EXPECT_EQ(usable({1, 2, 3}), 0);
  EXPECT_FALSE(prefixes_.take(Ids{1, 2, 3}));
  EXPECT_FALSE(prefixes_.evict_oldest());
  EXPECT_EQ(usable({}), 0);
}

TEST_F(PrefixCacheTest, FindsTheLongestPrefixAndMovesOnFromAFork) {
  const Ids system = some_ids(0, 100), chat = system + some_ids(500, 90);
  insert(system);
  insert(chat);
  EXPECT_EQ(usable(chat + some_ids(900, 5)), 190);
  EXPECT_EQ(usable(system + some_ids(900, 5)), 100);
  EXPECT_EQ(usable(some_ids(1, 100)), 0);
  auto taken = prefixes_.take(system + some_ids(900, 5));
  ASSERT_TRUE(taken);
  append_ids(*taken, some_ids(900, 40));
  EXPECT_TRUE(holds_ids(*taken, system + some_ids(900, 40)));
  EXPECT_TRUE(holds_ids(*prefixes_.take(system), system));
  EXPECT_TRUE(holds_ids(*prefixes_.take(chat), chat));
}

TEST_F(PrefixCacheTest, RewindsAsFarAsTheRingsReach) {
  const Ids ids = some_ids(0, 150);
  insert(ids);
  // 150 written, 64 in the ring: 86 is the oldest, and the window needs 39 before the next row.
  EXPECT_EQ(usable(some_ids(0, 130) + some_ids(900, 9)), 130);
  EXPECT_EQ(usable(some_ids(0, 125) + some_ids(900, 9)), 125);
  EXPECT_EQ(usable(some_ids(0, 124) + some_ids(900, 9)), 0);
  EXPECT_EQ(prefixes_.find(some_ids(0, 124) + some_ids(900, 9)).common, 124);
  const auto taken = prefixes_.take(some_ids(0, 130) + some_ids(900, 9));
  ASSERT_TRUE(taken);
  EXPECT_TRUE(holds_ids(*taken, some_ids(0, 130)));
}

TEST_F(PrefixCacheTest, RewindsShortSequencesToAnyLength) {
  insert(some_ids(0, 60));
  for (const int n : {1, 2, 30, 59, 60}) {
    const auto taken = prefixes_.take(some_ids(0, n) + some_ids(900, 3));
    ASSERT_TRUE(taken) << n;
    EXPECT_TRUE(holds_ids(*taken, some_ids(0, n)));
  }
}

TEST_F(PrefixCacheTest, FallsBackToAnEarlierSnapshotWhereRingsDoNotReach) {
  insert(some_ids(0, 80));
  insert(some_ids(0, 400));
  EXPECT_EQ(usable(some_ids(0, 300) + some_ids(900, 9)), 80);
  EXPECT_EQ(usable(some_ids(0, 399)), 399);
  // A branch whose own snapshot lies far behind helps no prompt that leaves it early.
  insert(some_ids(0, 200) + some_ids(600, 190));
  EXPECT_EQ(usable(some_ids(0, 200) + some_ids(600, 20)), 80);
  EXPECT_EQ(usable(some_ids(0, 200) + some_ids(600, 180)), 380);
}

TEST_F(PrefixCacheTest, KeepsOnlyWhatBelongsToItsIds) {
  const KvCache cache = cache_of(some_ids(0, 20));
  prefixes_.insert(some_ids(0, 19), cache);
  prefixes_.insert({}, KvCache(plan_));
  EXPECT_EQ(prefixes_.n_prefixes(), 0u);
}

TEST_F(PrefixCacheTest, EvictsWhatWasNotUsedForLongestAndCountsSharedBlocksOnce) {
  const Ids trunk = some_ids(0, 128);
  insert(trunk);
  const std::int64_t alone = *usage_;
  EXPECT_EQ(alone, plan_->bytes(128));
  {
    KvCache longer = *prefixes_.take(trunk);
    append_ids(longer, some_ids(300, 64));
    prefixes_.insert(trunk + some_ids(300, 64), longer);
  }
  // A ring of its own and one more block; the two of the trunk are shared.
  EXPECT_EQ(*usage_, alone + 2 * 4096);
  insert(some_ids(700, 10));
  EXPECT_GT(usable(trunk), 0);
  prefixes_.take(trunk);
  const auto first = prefixes_.evict_oldest();
  ASSERT_TRUE(first);
  EXPECT_EQ(first->keys, trunk + some_ids(300, 64));
  EXPECT_TRUE(holds_ids(first->cache, first->keys));
  EXPECT_EQ(prefixes_.evict_oldest()->keys, some_ids(700, 10));
  EXPECT_EQ(prefixes_.evict_oldest()->keys, trunk);
  EXPECT_FALSE(prefixes_.evict_oldest());
  EXPECT_EQ(usable(trunk), 0);
}

TEST_F(PrefixCacheTest, GivesAllMemoryBack) {
  for (int i = 0; i < 20; ++i) insert(some_ids(0, 10 * i) + some_ids(500 + i, 30));
  EXPECT_GT(*usage_, 0);
  prefixes_.clear();
  EXPECT_EQ(*usage_, 0);
  EXPECT_EQ(prefixes_.n_prefixes(), 0u);
}

TEST_F(PrefixCacheTest, CountsPins) {
  const Ids ids = some_ids(0, 50);
  prefixes_.pin(ids);
  prefixes_.pin(ids);
  insert(ids);
  insert(some_ids(300, 10));
  EXPECT_EQ(prefixes_.pinned_lengths(ids + some_ids(900, 4)), (std::vector<std::int64_t>{50}));
  EXPECT_TRUE(prefixes_.pinned_lengths(some_ids(0, 49)).empty());
  std::unordered_set<const void*> seen;
  EXPECT_EQ(prefixes_.pinned_bytes(seen), plan_->bytes(50));
  prefixes_.clear();
  EXPECT_EQ(usable(ids), 50);
  prefixes_.unpin(ids);
  EXPECT_FALSE(prefixes_.evict_oldest());
  prefixes_.unpin(ids);
  prefixes_.unpin(ids);  // once too often
  EXPECT_EQ(prefixes_.evict_oldest()->keys, ids);
}

TEST_F(PrefixCacheTest, PinsAPartOfWhatItHolds) {
  insert(some_ids(0, 60));
  prefixes_.pin(some_ids(0, 40));
  EXPECT_EQ(prefixes_.n_prefixes(), 2u);
  prefixes_.clear();
  EXPECT_EQ(usable(some_ids(0, 60)), 40);
  // Evicted for want of memory it stays pinned in name, and is pinned again when it comes back.
  EXPECT_EQ(prefixes_.evict_oldest_pinned()->keys, some_ids(0, 40));
  EXPECT_EQ(usable(some_ids(0, 60)), 0);
  insert(some_ids(0, 40));
  EXPECT_FALSE(prefixes_.evict_oldest());
}

// Against a list that is searched from one end to the other.
TEST_F(PrefixCacheTest, AgreesWithAPlainListOverRandomUse) {
  std::mt19937 random(5);
  std::vector<Ids> known;
  std::vector<Ids> held;  // the latest first
  const auto some_ids = [&] {
    Ids ids = known.empty() || random() % 4 == 0 ? Ids{} : known[random() % known.size()];
    ids.resize(random() % (ids.size() + 1));
    while (ids.size() < 3 || random() % 40 != 0) {
      ids.push_back(static_cast<TokenId>(random() % 3));
    }
    known.push_back(ids);
    return ids;
  };
  for (int i = 0; i < 3000; ++i) {
    const Ids ids = some_ids();
    if (i % 3 == 0) {
      insert(ids);
      std::erase(held, ids);
      held.insert(held.begin(), ids);
    } else if (i % 3 == 1 && held.size() > 12) {
      const auto evicted = prefixes_.evict_oldest();
      ASSERT_TRUE(evicted);
      ASSERT_EQ(evicted->keys, held.back());
      held.pop_back();
    }
    std::int64_t best = 0, common = 0;
    for (const Ids& other : held) {
      const auto n = std::ranges::mismatch(ids, other).in1 - ids.begin();
      const std::int64_t lowest = cache_of(other).lowest_rewind();
      common = std::max<std::int64_t>(common, n);
      if (n >= lowest) best = std::max<std::int64_t>(best, n);
    }
    const auto match = prefixes_.find(ids);
    ASSERT_EQ(match.usable, best) << i;
    ASSERT_EQ(match.common, common) << i;
    ASSERT_EQ(prefixes_.n_prefixes(), held.size());
  }
}

}  // namespace
}  // namespace fourfold
