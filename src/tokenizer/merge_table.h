// Which neighbours merge: (left id, right id) → rank and the id of their union. A flat hash.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "tokenizer/token_id.h"

namespace fourfold {

struct Merge {
  static constexpr std::uint32_t kNoRank = 0xFFFFFFFF;  // no such merge; sorts last

  std::uint32_t rank = kNoRank;  // the lowest merges first
  TokenId merged = kNoToken;
};

class MergeTable {
 public:
  struct Entry {
    TokenId left, right;
    Merge merge;
  };

  // Of a repeated pair the first entry counts.
  explicit MergeTable(std::span<const Entry> entries)
      : slots_(std::bit_ceil(2 * entries.size() + 1)) {
    constexpr std::size_t kAhead = 16;  // the table is larger than caches: ask for memory early
    for (std::size_t i = 0; i < entries.size(); ++i) {
      if (i + kAhead < entries.size())
        __builtin_prefetch(&slots_[home_of(key_of(entries[i + kAhead]))], 1);
      Slot& slot = slots_[slot_of(key_of(entries[i]))];
      if (slot.key == kEmpty) slot = {key_of(entries[i]), entries[i].merge};
    }
  }

  // Ids may be negative (characters without a piece): nothing merges with those.
  Merge find(TokenId left, TokenId right) const {
    return slots_[slot_of(key_of({left, right, {}}))].merge;
  }

 private:
  static constexpr std::uint64_t kEmpty = ~std::uint64_t{0};

  struct Slot {
    std::uint64_t key = kEmpty;
    Merge merge;
  };

  static std::uint64_t key_of(const Entry& pair) {
    return std::uint64_t{static_cast<std::uint32_t>(pair.left)} << 32 |
           static_cast<std::uint32_t>(pair.right);
  }

  std::size_t home_of(std::uint64_t key) const {
    const std::uint64_t hash = (key ^ key >> 29) * 0x9E3779B97F4A7C15;
    return (hash ^ hash >> 32) & (slots_.size() - 1);
  }

  // The slot that holds `key`, or the empty one where it belongs. Linear probing, half full.
  std::size_t slot_of(std::uint64_t key) const {
    std::size_t at = home_of(key);
    while (slots_[at].key != key && slots_[at].key != kEmpty) at = (at + 1) & (slots_.size() - 1);
    return at;
  }

  std::vector<Slot> slots_;  // a power of two
};

}  // namespace fourfold
