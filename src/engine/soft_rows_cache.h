// Encoded rows of media by their key: what was used last stays. One thread at a time.
#pragma once

#include <cstdint>
#include <list>
#include <map>
#include <memory>
#include <utility>

#include "tensor/soft_rows.h"

namespace fourfold {

class SoftRowsCache {
 public:
  explicit SoftRowsCache(std::uint64_t most_bytes) : most_bytes_(most_bytes) {}

  // Counts as used now. Null if it is not there.
  std::shared_ptr<SoftRows> find(const MediaKey& key) {
    const auto found = places_.find(key);
    if (found == places_.end()) return nullptr;
    recent_.splice(recent_.begin(), recent_, found->second);
    return *found->second;
  }

  bool holds(const MediaKey& key) const { return places_.contains(key); }

  // Rows with their values. What is larger than the whole cache is not taken.
  void add(std::shared_ptr<SoftRows> rows) {
    if (size_of(*rows) > most_bytes_ || find(rows->key)) return;
    size_bytes_ += size_of(*rows);
    recent_.push_front(std::move(rows));
    places_[recent_.front()->key] = recent_.begin();
    while (size_bytes_ > most_bytes_) {
      size_bytes_ -= size_of(*recent_.back());
      places_.erase(recent_.back()->key);
      recent_.pop_back();
    }
  }

  std::uint64_t size_bytes() const { return size_bytes_; }

 private:
  using Recent = std::list<std::shared_ptr<SoftRows>>;

  static std::uint64_t size_of(const SoftRows& rows) { return rows.values.size() * sizeof(float); }

  const std::uint64_t most_bytes_;
  Recent recent_;  // the latest first
  std::map<MediaKey, Recent::iterator> places_;
  std::uint64_t size_bytes_ = 0;
};

}  // namespace fourfold
