// The pieces of a vocabulary: id → text in one block of memory, and text → id by a flat hash.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tokenizer/token_id.h"

namespace fourfold {

// Texts by id, which counts up from 0. Less than 4 GiB in all.
class TextTable {
 public:
  void reserve(std::size_t n_texts, std::size_t n_bytes) {
    ends_.reserve(n_texts + 1);
    bytes_.reserve(n_bytes);
  }
  void add(std::string_view text) {
    bytes_ += text;
    ends_.push_back(static_cast<std::uint32_t>(bytes_.size()));
  }

  int size() const { return static_cast<int>(ends_.size()) - 1; }
  std::string_view operator[](TokenId id) const {
    const auto at = static_cast<std::size_t>(id);
    return {bytes_.data() + ends_[at], ends_[at + 1] - ends_[at]};
  }

 private:
  std::string bytes_;
  std::vector<std::uint32_t> ends_ = {0};  // [size + 1]: the end of the text before
};

class PieceTable {
 public:
  // A text that repeats an earlier one keeps its id, but find() answers the later id: files with
  // repeated strings expect that.
  explicit PieceTable(const std::vector<std::string_view>& pieces);

  int size() const { return texts_.size(); }
  std::string_view operator[](TokenId id) const { return texts_[id]; }

  // kNoToken when no piece has this text.
  TokenId find(std::string_view text) const;
  // The same for many texts at once, several times faster: memory is asked for ahead.
  void find_all(std::span<const std::string_view> texts, std::span<TokenId> ids) const;

 private:
  struct Slot {
    std::uint32_t tag = 0;  // upper half of the hash
    TokenId id = kNoToken;
  };

  // The slot that holds `text`, or the empty one where it belongs.
  std::size_t slot_of(std::string_view text, std::uint64_t hash) const;

  TextTable texts_;
  std::vector<Slot> slots_;  // linear probing, a power of two, at most half full
};

}  // namespace fourfold
