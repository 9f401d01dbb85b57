// The keys and values of one sequence: rings for sliding layers, growing lists of blocks for global
// ones, nothing for layers that share. Forks share blocks until one of them writes.
//
//   KvCache cache(plan);
//   TRY(cache.make_room(n));            // blocks for the positions [length, length + n)
//   … decoder.forward with cache.views() …
//   cache.advance(n);
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "base/result.h"
#include "runtime/kv_plan.h"

namespace fourfold {

class KvCache {
 public:
  explicit KvCache(std::shared_ptr<const KvPlan> plan);

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

  void grow_rings(std::int64_t n_blocks);
  void refresh_views();

  std::shared_ptr<const KvPlan> plan_;
  std::int64_t length_ = 0;
  std::int64_t written_ = 0;      // one past the highest position ever written
  std::int64_t ring_blocks_ = 0;  // of every ring
  std::vector<Layer> layers_;
  std::vector<KvView> views_;
};

}  // namespace fourfold
