#include "runtime/kv_cache.h"

#include <algorithm>
#include <cstring>
#include <new>

#include "base/checked.h"

namespace fourfold {
namespace {

std::int64_t blocks_for(std::int64_t n_rows) { return round_up(n_rows, kKeyBlock) / kKeyBlock; }

}  // namespace

KvCache::KvCache(std::shared_ptr<const KvPlan> plan, std::shared_ptr<KvUsage> usage)
    : plan_(std::move(plan)),
      usage_(std::move(usage)),
      ring_blocks_(blocks_for(plan_->ring_rows())),
      layers_(plan_->layers.size()) {
  for (std::size_t i = 0; i < layers_.size(); ++i) {
    if (!plan_->layers[i].owns || !plan_->layers[i].ring) continue;
    layers_[i].blocks.resize(static_cast<std::size_t>(ring_blocks_));
    layers_[i].pointers.resize(static_cast<std::size_t>(ring_blocks_));
  }
  refresh_views();
}

KvCache::KvCache(const KvCache& other)
    : plan_(other.plan_),
      usage_(other.usage_),
      length_(other.length_),
      written_(other.written_),
      ring_blocks_(other.ring_blocks_),
      ring_start_(other.ring_start_),
      layers_(other.layers_) {
  refresh_views();
}

KvCache& KvCache::operator=(const KvCache& other) {
  if (this != &other) *this = KvCache(other);
  return *this;
}

Status KvCache::make_room(std::int64_t n) {
  if (n <= 0) return {};
  const std::int64_t ring_needed = blocks_for(plan_->window - 1 + n);
  if (ring_needed > ring_blocks_) grow_rings(ring_needed);
  const std::int64_t first = length_ / kKeyBlock;
  const std::int64_t last = (length_ + n - 1) / kKeyBlock;
  try {
    for (std::size_t i = 0; i < layers_.size(); ++i) {
      const KvLayerPlan& planned = plan_->layers[i];
      if (!planned.owns) continue;
      Layer& layer = layers_[i];
      const auto bytes = static_cast<std::size_t>(planned.layout.block_bytes());
      if (!planned.ring && static_cast<std::int64_t>(layer.blocks.size()) <= last) {
        layer.blocks.resize(static_cast<std::size_t>(last + 1));
        layer.pointers.resize(static_cast<std::size_t>(last + 1));
      }
      for (std::int64_t b = first; b <= last; ++b) {
        const auto slot = static_cast<std::size_t>(planned.ring ? b % ring_blocks_ : b);
        Block& block = layer.blocks[slot];
        if (!block) {
          block = new_block(planned.layout.block_bytes());
          std::memset(block.get(), 0, bytes);
        } else if (block.use_count() > 1) {
          Block own = new_block(planned.layout.block_bytes());
          std::memcpy(own.get(), block.get(), bytes);
          block = std::move(own);
        }
        layer.pointers[slot] = block.get();
      }
    }
  } catch (const std::bad_alloc&) {
    refresh_views();
    return resource_exhausted("K/V cache: no memory for {} more tokens after {} ({} bytes held)", n,
                              length_, size_bytes());
  }
  refresh_views();
  return {};
}

KvCache::Block KvCache::new_block(std::int64_t bytes) const {
  constexpr std::align_val_t kLine{64};  // attention loads whole cache lines
  auto* memory = static_cast<std::byte*>(::operator new[](static_cast<std::size_t>(bytes), kLine));
  const auto release = [](std::byte* block) { ::operator delete[](block, kLine); };
  if (!usage_) return Block(memory, release);
  *usage_ += bytes;
  return Block(memory, [usage = usage_, bytes, release](std::byte* block) {
    release(block);
    *usage -= bytes;
  });
}

std::int64_t KvCache::room_bytes(std::int64_t n, std::int64_t largest_step) const {
  if (n <= 0) return 0;
  const std::int64_t first = length_ / kKeyBlock;
  const std::int64_t last = (length_ + n - 1) / kKeyBlock;
  // As make_room and grow_rings would have them.
  const std::int64_t ring = std::max(ring_blocks_, blocks_for(plan_->window - 1 + largest_step));
  const std::int64_t ring_end = ring == ring_blocks_ ? last + 1 : blocks_for(written_);
  const std::int64_t ring_first = ring == ring_blocks_ ? 0 : ring_end - ring_blocks_;
  std::int64_t total = 0;
  for (std::size_t i = 0; i < layers_.size(); ++i) {
    const KvLayerPlan& planned = plan_->layers[i];
    if (!planned.owns) continue;
    const std::vector<Block>& blocks = layers_[i].blocks;
    const auto n_held = static_cast<std::int64_t>(blocks.size());
    const std::int64_t end = planned.ring ? std::min(last + 1, first + ring) : last + 1;
    std::int64_t n_new = 0;
    for (std::int64_t b = first; b < end; ++b) {
      const bool is_held = planned.ring ? b >= ring_first && b < ring_end : b < n_held;
      const std::int64_t slot = planned.ring ? b % ring_blocks_ : b;
      const Block* block = is_held ? &blocks[static_cast<std::size_t>(slot)] : nullptr;
      if (!block || !*block || block->use_count() > 1) ++n_new;
    }
    total += n_new * planned.layout.block_bytes();
  }
  return total;
}

void KvCache::advance(std::int64_t n) {
  length_ += n;
  written_ = std::max(written_, length_);
}

// Every block keeps its content; only its place in the longer ring changes.
void KvCache::grow_rings(std::int64_t n_blocks) {
  const std::int64_t end = blocks_for(written_);
  const std::int64_t first = std::max<std::int64_t>(0, end - ring_blocks_);
  for (std::size_t i = 0; i < layers_.size(); ++i) {
    if (!plan_->layers[i].owns || !plan_->layers[i].ring) continue;
    Layer grown;
    grown.blocks.resize(static_cast<std::size_t>(n_blocks));
    grown.pointers.resize(static_cast<std::size_t>(n_blocks));
    for (std::int64_t b = first; b < end; ++b) {
      Block& block = layers_[i].blocks[static_cast<std::size_t>(b % ring_blocks_)];
      const auto slot = static_cast<std::size_t>(b % n_blocks);
      grown.pointers[slot] = block.get();
      grown.blocks[slot] = std::move(block);
    }
    layers_[i] = std::move(grown);
  }
  ring_blocks_ = n_blocks;
  ring_start_ = std::max(ring_start_, first);
}

std::int64_t KvCache::lowest_rewind() const { return lowest_rewind(*plan_, extent()); }

std::int64_t KvCache::lowest_rewind(const KvPlan& plan, const Extent& extent) {
  const bool has_rings = std::any_of(plan.layers.begin(), plan.layers.end(),
                                     [](const KvLayerPlan& l) { return l.owns && l.ring; });
  if (!has_rings) return 0;
  const std::int64_t first_intact =
      std::max(extent.written - extent.ring_blocks * kKeyBlock, extent.ring_start * kKeyBlock);
  return first_intact <= 0 ? 0 : std::min(extent.length, first_intact + plan.window - 1);
}

Status KvCache::rewind(std::int64_t length) {
  if (length < 0 || length > length_) {
    return invalid_argument("K/V cache: cannot rewind to {} of {} tokens", length, length_);
  }
  if (length != 0 && length < lowest_rewind()) {
    return failed_precondition(
        "K/V cache: cannot rewind from {} to {} tokens, the rings go back to {} (needs a snapshot)",
        length_, length, lowest_rewind());
  }
  length_ = length;
  if (length == 0) *this = KvCache(plan_, usage_);
  return {};
}

std::int64_t KvCache::size_bytes() const {
  std::int64_t total = 0;
  for_each_block([&](const void*, std::int64_t bytes) { total += bytes; });
  return total;
}

std::int64_t KvCache::size_bytes(std::unordered_set<const void*>& seen) const {
  std::int64_t total = 0;
  for_each_block([&](const void* block, std::int64_t bytes) {
    if (seen.insert(block).second) total += bytes;
  });
  return total;
}

// Rings keep their latest blocks, even those that only a rewound future wrote: their slots are lost
// to the past.
template <class Visit>
void KvCache::for_each_page(const Visit& visit) const {
  const std::int64_t ring_end = blocks_for(written_);
  for (std::size_t i = 0; i < layers_.size(); ++i) {
    if (!plan_->layers[i].owns) continue;
    const bool ring = plan_->layers[i].ring;
    const std::int64_t end = ring ? ring_end : blocks_for(length_);
    const std::int64_t first = ring ? std::max(ring_start_, end - ring_blocks_) : 0;
    for (std::int64_t b = first; b < end; ++b) {
      visit(i, static_cast<std::size_t>(ring ? b % ring_blocks_ : b));
    }
  }
}

std::vector<std::span<const std::byte>> KvCache::pages() const {
  std::vector<std::span<const std::byte>> pages;
  for_each_page([&](std::size_t layer, std::size_t slot) {
    pages.emplace_back(layers_[layer].pointers[slot],
                       static_cast<std::size_t>(plan_->layers[layer].layout.block_bytes()));
  });
  return pages;
}

Result<KvCache> KvCache::restore(std::shared_ptr<const KvPlan> plan, std::shared_ptr<KvUsage> usage,
                                 const Extent& extent,
                                 const std::function<Status(std::span<std::byte>)>& read) {
  KvCache cache(std::move(plan), std::move(usage));
  const bool is_possible = extent.length >= 0 && extent.length <= extent.written &&
                           extent.ring_blocks >= cache.ring_blocks_ &&
                           extent.ring_blocks <= cache.ring_blocks_ + blocks_for(extent.written) &&
                           extent.ring_start >= 0 && extent.ring_start * kKeyBlock <= extent.length;
  if (!is_possible) {
    return data_loss("K/V cache: {} of {} tokens in rings of {} blocks", extent.length,
                     extent.written, extent.ring_blocks);
  }
  cache.grow_rings(extent.ring_blocks);
  cache.length_ = extent.length;
  cache.written_ = extent.written;
  cache.ring_start_ = extent.ring_start;
  Status status;
  cache.for_each_page([&](std::size_t i, std::size_t slot) {
    if (!status.ok()) return;
    Layer& layer = cache.layers_[i];
    const std::int64_t bytes = cache.plan_->layers[i].layout.block_bytes();
    if (layer.blocks.size() <= slot) {
      layer.blocks.resize(slot + 1);
      layer.pointers.resize(slot + 1);
    }
    layer.blocks[slot] = cache.new_block(bytes);
    layer.pointers[slot] = layer.blocks[slot].get();
    status = read({layer.pointers[slot], static_cast<std::size_t>(bytes)});
  });
  TRY(std::move(status));
  cache.refresh_views();
  return cache;
}

void KvCache::refresh_views() {
  views_.resize(layers_.size());
  for (std::size_t i = 0; i < layers_.size(); ++i) {
    views_[i] = {.layout = plan_->layers[i].layout,
                 .blocks = layers_[i].pointers.data(),
                 .n_blocks = static_cast<std::int64_t>(layers_[i].pointers.size()),
                 .ring = plan_->layers[i].ring};
  }
}

}  // namespace fourfold
