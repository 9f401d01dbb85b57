// K/V caches of prefixes that other prompts may share: a radix tree over what stands at each
// position (position_key.h). What is reused is equal position by position and ends outside of media
// blocks.
//
//   prefixes.insert(keys, cache);                   // a fork: blocks are shared
//   if (auto hit = prefixes.take(prompt)) …         // the longest prefix that can be gone on from
//
// A node that holds a cache serves prompts that pass through it, and prompts that part from it
// earlier as far as its rings can be rewound. That is not far (KvCache::lowest_rewind), so caches
// should be inserted where prompts are likely to part. One thread at a time.
#pragma once

#include <chrono>
#include <cstdint>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "runtime/kv_cache.h"
#include "runtime/position_key.h"

namespace fourfold {

struct CachedPrefix {
  std::vector<PositionKey> keys;  // as many as the cache holds
  KvCache cache;
  bool to_store = false;  // worth a place on the disk, and not there yet
};

class PrefixCache {
 public:
  struct Match {
    std::int64_t usable = 0;  // tokens that need not run
    std::int64_t common = 0;  // leading tokens that something here has too; at least usable
  };

  PrefixCache();
  ~PrefixCache();
  PrefixCache(const PrefixCache&) = delete;
  PrefixCache& operator=(const PrefixCache&) = delete;

  Match find(std::span<const PositionKey> keys) const;
  // A cache that holds the usable part of keys, which counts as used now. Null if there is none.
  std::optional<KvCache> take(std::span<const PositionKey> keys);
  // Keeps a fork of this cache, which holds these keys; what is there already stays and counts as
  // used now. No effect without keys, nor if
  // they end with a soft position: perhaps its block goes on.
  void insert(std::span<const PositionKey> keys, const KvCache& cache,
              bool is_worth_storing = false);

  // Takes out the one that was not used for longest; null if only pinned ones are left.
  std::optional<CachedPrefix> evict_oldest();
  // The same among the pinned ones. Their pins stay: computed again, they are pinned again.
  std::optional<CachedPrefix> evict_oldest_pinned();
  // All but the pinned ones.
  void clear();
  // A fork of one that is worth a place on the disk, has none, and was not used since then: the
  // oldest. From here on it counts as stored.
  std::optional<CachedPrefix> take_idle(std::chrono::steady_clock::time_point since);
  // These keys are in another file too.
  void leave_unstored(std::span<const PositionKey> keys);
  bool has_unstored() const { return n_unstored_ > 0; }

  // Counted: as many calls of unpin undo it. Pinned keys need not be here yet.
  void pin(std::vector<PositionKey> keys);
  void unpin(const std::vector<PositionKey>& keys);
  // Lengths, ascending, of the pinned prefixes that these keys begin with.
  std::vector<std::int64_t> pinned_lengths(std::span<const PositionKey> keys) const;

  std::size_t n_prefixes() const { return recent_.size() + recent_pinned_.size(); }
  std::size_t n_evictable() const { return recent_.size(); }
  // Bytes of all blocks that are held here, those that running sequences hold too among them.
  std::int64_t size_bytes() const { return size_bytes_; }
  // Bytes of the pinned ones that are not in `seen`, to which they are added.
  std::int64_t pinned_bytes(std::unordered_set<const void*>& seen) const;

 private:
  struct Node;
  // Where a walk along keys ends: below `below`, which has the first n_common of them.
  struct Walk {
    Node* below;
    std::int64_t n_common;
  };

  Walk walk(std::span<const PositionKey> keys) const;
  // The node from whose cache keys can be gone on, and how far; null if there is none.
  Node* find_source(std::span<const PositionKey> keys, const Walk& walk,
                    std::int64_t& usable) const;
  Node* find_node(std::span<const PositionKey> keys) const;
  Node* node_at(std::span<const PositionKey> keys);
  void hold(Node& node, KvCache cache);
  void set_worth(Node& node, bool is_worth_storing);
  void touch(Node& node);
  KvCache remove(Node& node);
  void prune(Node* node);
  std::vector<PositionKey> keys_of(const Node& node) const;
  std::optional<CachedPrefix> evict_last(std::list<Node*>& list);

  std::unique_ptr<Node> root_;
  std::list<Node*> recent_;         // nodes with a cache, the latest first
  std::list<Node*> recent_pinned_;  // the same, pinned
  std::map<std::vector<PositionKey>, int> pins_;
  std::unordered_map<const void*, int> n_holders_;  // of each block
  std::int64_t size_bytes_ = 0;
  int n_unstored_ = 0;
};

}  // namespace fourfold
