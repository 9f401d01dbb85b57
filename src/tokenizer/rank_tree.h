// The leftmost smallest of n ranks, under changes of single ranks: a tournament of fan-out 16.
// Up to 16 ranks it is one line of memory and a plain scan; 4 million take six levels.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace fourfold {

class RankTree {
 public:
  static constexpr std::uint32_t kNone = 0xFFFFFFFF;

  // Begins anew with n ranks, all kNone; keeps its memory for the next part of the text.
  void reset(std::size_t n) {
    n_levels_ = 0;
    do {
      if (levels_.size() == n_levels_) levels_.emplace_back();
      const std::size_t n_lines = (n + kFanOut - 1) / kFanOut;
      levels_[n_levels_++].assign(n_lines * kFanOut, kNone);
      n = n_lines;
    } while (n > 1);
  }

  // Sets a rank without telling the levels above: build() follows.
  void put(std::size_t at, std::uint32_t rank) { levels_[0][at] = rank; }

  void build() {
    for (std::size_t level = 1; level < n_levels_; ++level) {
      const auto& below = levels_[level - 1];
      for (std::size_t line = 0; line < below.size() / kFanOut; ++line) {
        levels_[level][line] = smallest_of(level - 1, line);
      }
    }
  }

  void set(std::size_t at, std::uint32_t rank) {
    levels_[0][at] = rank;
    for (std::size_t level = 1; level < n_levels_; ++level) {
      at /= kFanOut;
      const std::uint32_t smallest = smallest_of(level - 1, at);
      if (levels_[level][at] == smallest) return;
      levels_[level][at] = smallest;
    }
  }

  std::uint32_t rank_at(std::size_t at) const { return levels_[0][at]; }

  // Where the smallest rank is, the leftmost of equal ones; any place when all are kNone.
  std::size_t find_smallest() const {
    std::size_t line = 0;
    for (std::size_t level = n_levels_; level-- > 0;) {
      const std::uint32_t* ranks = levels_[level].data() + line * kFanOut;
      line = line * kFanOut +
             static_cast<std::size_t>(std::min_element(ranks, ranks + kFanOut) - ranks);
    }
    return line;
  }

 private:
  static constexpr std::size_t kFanOut = 16;

  std::uint32_t smallest_of(std::size_t level, std::size_t line) const {
    const std::uint32_t* ranks = levels_[level].data() + line * kFanOut;
    std::uint32_t smallest = ranks[0];
    for (std::size_t i = 1; i < kFanOut; ++i) smallest = std::min(smallest, ranks[i]);
    return smallest;
  }

  std::vector<std::vector<std::uint32_t>> levels_;  // [0] the ranks, each above: minima of 16
  std::size_t n_levels_ = 0;
};

}  // namespace fourfold
