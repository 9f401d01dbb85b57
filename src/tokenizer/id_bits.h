// A set of token ids as bits: id % 64 of word id / 64.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "tokenizer/token_id.h"

namespace fourfold {

inline constexpr std::size_t kIdsPerWord = 64;

// Words for the ids below n.
inline std::size_t n_id_words(int n) {
  return (static_cast<std::size_t>(n) + kIdsPerWord - 1) / kIdsPerWord;
}

// Ids beyond the words are not in the set.
inline bool has_id(std::span<const std::uint64_t> words, TokenId id) {
  const auto bit = static_cast<std::size_t>(id);
  return bit / kIdsPerWord < words.size() && (words[bit / kIdsPerWord] >> bit % kIdsPerWord & 1);
}

// `id` lies within the words.
inline void set_id(std::span<std::uint64_t> words, TokenId id) {
  const auto bit = static_cast<std::size_t>(id);
  words[bit / kIdsPerWord] |= std::uint64_t{1} << bit % kIdsPerWord;
}
inline void clear_id(std::span<std::uint64_t> words, TokenId id) {
  const auto bit = static_cast<std::size_t>(id);
  words[bit / kIdsPerWord] &= ~(std::uint64_t{1} << bit % kIdsPerWord);
}

}  // namespace fourfold
