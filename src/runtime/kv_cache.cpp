#include "runtime/kv_cache.h"

#include <algorithm>
#include <cstring>
#include <new>

#include "base/checked.h"

namespace fourfold {
namespace {

std::int64_t blocks_for(std::int64_t n_rows) { return round_up(n_rows, kKeyBlock) / kKeyBlock; }

}  // namespace

KvCache::KvCache(std::shared_ptr<const KvPlan> plan)
    : plan_(std::move(plan)),
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
      length_(other.length_),
      written_(other.written_),
      ring_blocks_(other.ring_blocks_),
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
          block = Block(new std::byte[bytes]());
        } else if (block.use_count() > 1) {
          Block own(new std::byte[bytes]);
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
}

std::int64_t KvCache::lowest_rewind() const {
  const bool has_rings = std::any_of(plan_->layers.begin(), plan_->layers.end(),
                                     [](const KvLayerPlan& l) { return l.owns && l.ring; });
  if (!has_rings) return 0;
  const std::int64_t first_intact = written_ - ring_blocks_ * kKeyBlock;
  return first_intact <= 0 ? 0 : std::min(length_, first_intact + plan_->window - 1);
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
  if (length == 0) *this = KvCache(plan_);
  return {};
}

std::int64_t KvCache::size_bytes() const {
  std::int64_t total = 0;
  for (std::size_t i = 0; i < layers_.size(); ++i) {
    for (const Block& block : layers_[i].blocks) {
      if (block) total += plan_->layers[i].layout.block_bytes();
    }
  }
  return total;
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
