// The keys and values of one sequence: rings for sliding layers, growing lists of blocks for global
// ones, nothing for layers that share. Forks share blocks until one of them writes.
//
//   KvCache cache(plan);
//   TRY(cache.make_room(n));            // blocks for the positions [length, length + n)
//   … decoder.forward with cache.views() …
//   cache.advance(n);
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <unordered_set>
#include <vector>

#include "base/result.h"
#include "runtime/kv_plan.h"

namespace fourfold {

// Bytes of all blocks that caches with this counter hold, shared ones once.
using KvUsage = std::atomic<std::int64_t>;

class KvCache {
 public:
  explicit KvCache(std::shared_ptr<const KvPlan> plan, std::shared_ptr<KvUsage> usage = nullptr);

  // Tokens held: the next row has this position.
  std::int64_t length() const { return length_; }

  // Allocates what the next n rows need and unshares the blocks they touch. More rows than the
  // plan's chunk (a large picture) make the rings grow. ResourceExhausted without memory.
  Status make_room(std::int64_t n);
  void advance(std::int64_t n);

  // [L], valid until the next make_room, rewind or fork.
  std::span<const KvView> views() const { return views_; }

  // The same sequence once more; costs memory only where the two differ later. Also the snapshot
  // from which a rewind beyond the rings' slack starts.
  KvCache fork() const { return *this; }

  // Forgets the tokens from `length` on. A ring goes back only as far as no slot in the window has
  // been overwritten: lowest_rewind() … length(), or 0.
  std::int64_t lowest_rewind() const;
  Status rewind(std::int64_t length);

  // Bytes of the blocks held, shared ones included.
  std::int64_t size_bytes() const;
  // Calls visit(block, bytes) for each of these blocks.
  template <class Visit>
  void for_each_block(const Visit& visit) const {
    for (std::size_t i = 0; i < layers_.size(); ++i) {
      for (const Block& block : layers_[i].blocks) {
        if (block)
          visit(static_cast<const void*>(block.get()), plan_->layers[i].layout.block_bytes());
      }
    }
  }
  // The same without the blocks in `seen`, to which it adds them: over several caches, the bytes
  // that they hold together.
  std::int64_t size_bytes(std::unordered_set<const void*>& seen) const;
  // Bytes that the next n rows would take, fed in chunks, one of them perhaps larger than the
  // plan's: new blocks and copies of shared ones.
  std::int64_t room_bytes(std::int64_t n, std::int64_t largest_step = 0) const;

  // What a file needs beside the pages to bring a cache back.
  struct Extent {
    std::int64_t length = 0;
    std::int64_t written = 0;  // one past the highest position ever written
    std::int64_t ring_blocks = 0;
    std::int64_t ring_start = 0;  // the first block that the rings can still have
  };
  Extent extent() const { return {length_, written_, ring_blocks_, ring_start_}; }
  static std::int64_t lowest_rewind(const KvPlan& plan, const Extent& extent);
  // The memory that holds tokens, in an order that the plan and the extent settle.
  std::vector<std::span<const std::byte>> pages() const;
  // A cache with that extent; `read` fills its pages, in the same order. DataLoss for an extent
  // that no cache of this plan has.
  static Result<KvCache> restore(std::shared_ptr<const KvPlan> plan, std::shared_ptr<KvUsage> usage,
                                 const Extent& extent,
                                 const std::function<Status(std::span<std::byte>)>& read);

  KvCache(const KvCache& other);
  KvCache& operator=(const KvCache& other);
  KvCache(KvCache&&) = default;
  KvCache& operator=(KvCache&&) = default;

 private:
  using Block = std::shared_ptr<std::byte[]>;
  struct Layer {
    std::vector<Block> blocks;
    std::vector<std::byte*> pointers;  // what the view shows
  };

  Block new_block(std::int64_t bytes) const;
  // Calls visit(layer, slot) for every block that holds tokens.
  template <class Visit>
  void for_each_page(const Visit& visit) const;
  void grow_rings(std::int64_t n_blocks);
  void refresh_views();

  std::shared_ptr<const KvPlan> plan_;
  std::shared_ptr<KvUsage> usage_;  // null: nobody counts
  std::int64_t length_ = 0;
  std::int64_t written_ = 0;      // one past the highest position ever written
  std::int64_t ring_blocks_ = 0;  // of every ring
  std::int64_t ring_start_ = 0;   // the first block that was not lost before the rings grew
  std::vector<Layer> layers_;
  std::vector<KvView> views_;
};

}  // namespace fourfold
