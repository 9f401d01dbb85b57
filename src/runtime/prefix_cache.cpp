#include "runtime/prefix_cache.h"

#include <algorithm>
#include <limits>
#include <utility>

namespace fourfold {
namespace {

constexpr std::int64_t kNowhere = std::numeric_limits<std::int64_t>::max();

std::int64_t length_of(std::span<const PositionKey> keys) {
  return static_cast<std::int64_t>(keys.size());
}

}  // namespace

struct PrefixCache::Node {
  Node* parent = nullptr;
  std::vector<PositionKey> edge;  // from the parent to here
  std::int64_t length = 0;        // from the root to here
  std::map<PositionKey, std::unique_ptr<Node>> children;

  std::optional<KvCache> cache;
  bool pinned = false;
  bool unstored = false;  // and worth storing
  bool stored = false;
  std::chrono::steady_clock::time_point last_use;
  std::list<Node*>::iterator place;  // in one of the lists, with a cache

  // The shortest prefix that some cache here or below can be rewound to.
  std::int64_t reach = kNowhere;

  void update_reach() {
    reach = cache ? cache->lowest_rewind() : kNowhere;
    for (const auto& [id, child] : children) reach = std::min(reach, child->reach);
  }
};

PrefixCache::PrefixCache() : root_(std::make_unique<Node>()) {}
PrefixCache::~PrefixCache() = default;

// --- looking up ---

PrefixCache::Walk PrefixCache::walk(std::span<const PositionKey> keys) const {
  Node* node = root_.get();
  std::size_t done = 0;
  while (done < keys.size()) {
    const auto next = node->children.find(keys[done]);
    if (next == node->children.end()) break;
    Node* child = next->second.get();
    const auto n = static_cast<std::size_t>(n_equal(child->edge, keys.subspan(done)));
    done += n;
    node = child;
    if (n < child->edge.size()) break;
  }
  return {node, static_cast<std::int64_t>(done)};
}

PrefixCache::Node* PrefixCache::find_source(std::span<const PositionKey> keys, const Walk& walk,
                                            std::int64_t& usable) const {
  // Upwards from the end of the walk: the first node in whose subtree a cache reaches back to where
  // the keys leave it has the longest usable prefix.
  for (Node* node = walk.below; node && node->length > 0; node = node->parent) {
    usable = whole_blocks(keys, std::min(walk.n_common, node->length));
    if (usable <= 0) break;
    if (node->reach > usable) continue;
    while (!node->cache || node->cache->lowest_rewind() > usable) {
      const auto child = std::ranges::find_if(
          node->children, [&](const auto& entry) { return entry.second->reach <= usable; });
      node = child->second.get();
    }
    return node;
  }
  usable = 0;
  return nullptr;
}

PrefixCache::Match PrefixCache::find(std::span<const PositionKey> keys) const {
  Match match;
  const Walk end = walk(keys);
  match.common = whole_blocks(keys, end.n_common);
  find_source(keys, end, match.usable);
  return match;
}

std::optional<KvCache> PrefixCache::take(std::span<const PositionKey> keys) {
  std::int64_t usable = 0;
  Node* node = find_source(keys, walk(keys), usable);
  if (!node) return std::nullopt;
  touch(*node);
  KvCache cache = node->cache->fork();
  if (!cache.rewind(usable).ok()) return std::nullopt;
  return cache;
}

// The one with exactly these keys, or null.
PrefixCache::Node* PrefixCache::find_node(std::span<const PositionKey> keys) const {
  const Walk end = walk(keys);
  return end.n_common == length_of(keys) && end.below->length == end.n_common ? end.below : nullptr;
}

// --- keeping ---

// The node of these keys, made where there is none; an edge that they end in is split.
PrefixCache::Node* PrefixCache::node_at(std::span<const PositionKey> keys) {
  const Walk end = walk(keys);
  Node* node = end.below;
  const std::int64_t n_keys = length_of(keys);
  if (end.n_common < node->length) {
    Node* parent = node->parent;
    const auto n_upper = static_cast<std::size_t>(end.n_common - parent->length);
    std::unique_ptr<Node>& slot = parent->children[node->edge[0]];
    auto upper = std::make_unique<Node>();
    upper->parent = parent;
    upper->edge.assign(node->edge.begin(),
                       node->edge.begin() + static_cast<std::ptrdiff_t>(n_upper));
    upper->length = end.n_common;
    upper->reach = node->reach;
    node->edge.erase(node->edge.begin(), node->edge.begin() + static_cast<std::ptrdiff_t>(n_upper));
    node->parent = upper.get();
    upper->children[node->edge[0]] = std::move(slot);
    slot = std::move(upper);
    node = slot.get();
  }
  if (node->length == n_keys) return node;
  auto leaf = std::make_unique<Node>();
  leaf->parent = node;
  leaf->edge.assign(keys.begin() + static_cast<std::ptrdiff_t>(node->length), keys.end());
  leaf->length = n_keys;
  return (node->children[leaf->edge[0]] = std::move(leaf)).get();
}

void PrefixCache::insert(std::span<const PositionKey> keys, const KvCache& cache,
                         bool is_worth_storing) {
  if (keys.empty() || is_soft(keys.back()) || length_of(keys) != cache.length()) return;
  Node* node = node_at(keys);
  if (node->cache) {
    touch(*node);
  } else {
    hold(*node, cache.fork());
  }
  if (is_worth_storing && !node->stored) set_worth(*node, true);
}

void PrefixCache::hold(Node& node, KvCache cache) {
  cache.for_each_block([&](const void* block, std::int64_t bytes) {
    if (n_holders_[block]++ == 0) size_bytes_ += bytes;
  });
  node.cache.emplace(std::move(cache));
  node.pinned = pins_.contains(keys_of(node));
  node.last_use = std::chrono::steady_clock::now();
  auto& list = node.pinned ? recent_pinned_ : recent_;
  list.push_front(&node);
  node.place = list.begin();
  for (Node* up = &node; up; up = up->parent) up->update_reach();
}

void PrefixCache::set_worth(Node& node, bool is_worth_storing) {
  n_unstored_ += static_cast<int>(is_worth_storing) - static_cast<int>(node.unstored);
  node.unstored = is_worth_storing;
}

void PrefixCache::touch(Node& node) {
  auto& list = node.pinned ? recent_pinned_ : recent_;
  list.splice(list.begin(), list, node.place);
  node.last_use = std::chrono::steady_clock::now();
}

// --- letting go ---

KvCache PrefixCache::remove(Node& node) {
  KvCache cache = std::move(*node.cache);
  node.cache.reset();
  cache.for_each_block([&](const void* block, std::int64_t bytes) {
    const auto holders = n_holders_.find(block);
    if (--holders->second > 0) return;
    n_holders_.erase(holders);
    size_bytes_ -= bytes;
  });
  set_worth(node, false);
  node.stored = false;
  (node.pinned ? recent_pinned_ : recent_).erase(node.place);
  node.pinned = false;
  prune(&node);
  return cache;
}

// Nodes without a cache stand only where paths part.
void PrefixCache::prune(Node* node) {
  while (node->parent && !node->cache && node->children.empty()) {
    Node* parent = node->parent;
    parent->children.erase(node->edge[0]);
    node = parent;
  }
  if (node->parent && !node->cache && node->children.size() == 1) {
    Node* parent = node->parent;
    const PositionKey first = node->edge[0];
    std::unique_ptr<Node> child = std::move(node->children.begin()->second);
    child->edge.insert(child->edge.begin(), node->edge.begin(), node->edge.end());
    child->parent = parent;
    parent->children[first] = std::move(child);
    node = parent;
  }
  for (Node* up = node; up; up = up->parent) up->update_reach();
}

std::vector<PositionKey> PrefixCache::keys_of(const Node& node) const {
  std::vector<PositionKey> keys(static_cast<std::size_t>(node.length));
  auto end = keys.end();
  for (const Node* up = &node; up->parent; up = up->parent) {
    end = std::copy_backward(up->edge.begin(), up->edge.end(), end);
  }
  return keys;
}

std::optional<CachedPrefix> PrefixCache::evict_last(std::list<Node*>& list) {
  if (list.empty()) return std::nullopt;
  Node& node = *list.back();
  const bool to_store = node.unstored;
  std::vector<PositionKey> keys = keys_of(node);
  return CachedPrefix{std::move(keys), remove(node), to_store};
}

std::optional<CachedPrefix> PrefixCache::evict_oldest() { return evict_last(recent_); }
std::optional<CachedPrefix> PrefixCache::evict_oldest_pinned() {
  return evict_last(recent_pinned_);
}

void PrefixCache::clear() {
  while (!recent_.empty()) remove(*recent_.back());
}

std::optional<CachedPrefix> PrefixCache::take_idle(std::chrono::steady_clock::time_point since) {
  for (const auto* list : {&recent_, &recent_pinned_}) {
    for (auto place = list->rbegin(); place != list->rend(); ++place) {
      Node& node = **place;
      if (node.last_use > since) break;
      if (!node.unstored) continue;
      set_worth(node, false);
      node.stored = true;
      return CachedPrefix{keys_of(node), node.cache->fork(), true};
    }
  }
  return std::nullopt;
}

void PrefixCache::leave_unstored(std::span<const PositionKey> keys) {
  Node* node = find_node(keys);
  if (node && !node->pinned) set_worth(*node, false);
}

// --- pins ---

void PrefixCache::pin(std::vector<PositionKey> keys) {
  if (keys.empty()) return;
  const int n_pins = ++pins_[keys];
  if (n_pins > 1) return;
  std::int64_t usable = 0;
  Node* source = find_source(keys, walk(keys), usable);
  if (!source || usable < length_of(keys)) return;
  KvCache cache = source->cache->fork();
  if (!cache.rewind(usable).ok()) return;
  Node* node = node_at(keys);
  if (node->cache) remove(*node);  // is put back below, among the pinned ones
  node = node_at(keys);
  hold(*node, std::move(cache));
  set_worth(*node, true);
}

void PrefixCache::unpin(const std::vector<PositionKey>& keys) {
  const auto entry = pins_.find(keys);
  if (entry == pins_.end() || --entry->second > 0) return;
  pins_.erase(entry);
  Node* node = find_node(keys);
  if (!node || !node->pinned) return;
  node->pinned = false;
  recent_.splice(recent_.begin(), recent_pinned_, node->place);
}

std::vector<std::int64_t> PrefixCache::pinned_lengths(std::span<const PositionKey> keys) const {
  std::vector<std::int64_t> lengths;
  for (const auto& [pinned, n_pins] : pins_) {
    if (pinned.size() <= keys.size() && std::ranges::equal(pinned, keys.first(pinned.size()))) {
      lengths.push_back(length_of(pinned));
    }
  }
  std::ranges::sort(lengths);
  return lengths;
}

std::int64_t PrefixCache::pinned_bytes(std::unordered_set<const void*>& seen) const {
  std::int64_t total = 0;
  for (const Node* node : recent_pinned_) total += node->cache->size_bytes(seen);
  return total;
}

}  // namespace fourfold
