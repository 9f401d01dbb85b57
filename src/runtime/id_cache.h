// For tests: K/V caches of fake_plan that hold the ids themselves, the lower half of each.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "runtime/fake_step_model.h"
#include "runtime/kv_cache.h"
#include "runtime/position_key.h"

namespace fourfold {

// first, first + 1, …
inline std::vector<PositionKey> some_ids(PositionKey first, int n) {
  std::vector<PositionKey> ids;
  for (int i = 0; i < n; ++i) ids.push_back(first + static_cast<PositionKey>(i));
  return ids;
}

template <class T>
std::vector<T> operator+(std::vector<T> a, const std::vector<T>& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

inline std::byte* id_place(const KvCache& cache, int layer, std::int64_t position) {
  const KvView& view = cache.views()[static_cast<std::size_t>(layer)];
  return view.block(position / kKeyBlock) + position % kKeyBlock * view.layout.k_row_bytes();
}

inline void append_ids(KvCache& cache, std::span<const PositionKey> ids) {
  while (!ids.empty()) {
    const auto chunk = ids.first(std::min<std::size_t>(ids.size(), kFakeChunk));
    ASSERT_TRUE(cache.make_room(static_cast<std::int64_t>(chunk.size())).ok());
    for (std::size_t i = 0; i < chunk.size(); ++i) {
      const std::int64_t position = cache.length() + static_cast<std::int64_t>(i);
      for (const int layer : {0, 1}) std::memcpy(id_place(cache, layer, position), &chunk[i], 4);
    }
    cache.advance(static_cast<std::int64_t>(chunk.size()));
    ids = ids.subspan(chunk.size());
  }
}

inline KvCache id_cache(std::shared_ptr<const KvPlan> plan, std::shared_ptr<KvUsage> usage,
                        const std::vector<PositionKey>& ids) {
  KvCache cache(std::move(plan), std::move(usage));
  append_ids(cache, ids);
  return cache;
}

// All of them, in the ring as far as the window goes.
inline bool holds_ids(const KvCache& cache, std::span<const PositionKey> ids) {
  if (cache.length() != static_cast<std::int64_t>(ids.size())) return false;
  for (std::int64_t p = 0; p < cache.length(); ++p) {
    for (const int layer : {0, 1}) {
      if (layer == 0 && p <= cache.length() - kFakeWindow) continue;
      if (std::memcmp(id_place(cache, layer, p), &ids[static_cast<std::size_t>(p)], 4) != 0) {
        return false;
      }
    }
  }
  return true;
}

}  // namespace fourfold
