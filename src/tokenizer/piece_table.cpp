#include "tokenizer/piece_table.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>

namespace fourfold {
namespace {

std::uint64_t mix(std::uint64_t a, std::uint64_t b) {
  const auto product = static_cast<unsigned __int128>(a) * b;
  return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64);
}

template <class Word>
std::uint64_t load(const char* at) {
  Word word;
  std::memcpy(&word, at, sizeof word);
  return word;
}

std::uint64_t hash_of(std::string_view text) {
  constexpr std::uint64_t kA = 0x9E3779B97F4A7C15, kB = 0xD6E8FEB86659FD93;
  const char* at = text.data();
  std::size_t left = text.size();
  std::uint64_t hash = left * kA;
  for (; left > 8; left -= 8, at += 8) hash = mix(hash ^ load<std::uint64_t>(at), kB);
  // Short tails by two loads that may overlap: no loop over single bytes.
  std::uint64_t tail = 0;
  if (left >= 4) {
    tail = load<std::uint32_t>(at) << 32 | load<std::uint32_t>(at + left - 4);
  } else if (left > 0) {
    const auto byte = [&](std::size_t i) {
      return std::uint64_t{static_cast<unsigned char>(at[i])};
    };
    tail = byte(0) << 16 | byte(left / 2) << 8 | byte(left - 1);
  }
  return mix(hash ^ tail, kA);
}

}  // namespace

PieceTable::PieceTable(const std::vector<std::string_view>& pieces)
    : slots_(std::bit_ceil(2 * pieces.size() + 1)) {
  std::size_t n_bytes = 0;
  for (const auto piece : pieces) n_bytes += piece.size();
  texts_.reserve(pieces.size(), n_bytes);
  for (const auto piece : pieces) {
    const std::uint64_t hash = hash_of(piece);
    const TokenId id = size();
    texts_.add(piece);
    slots_[slot_of(piece, hash)] = {static_cast<std::uint32_t>(hash >> 32), id};
  }
}

std::size_t PieceTable::slot_of(std::string_view text, std::uint64_t hash) const {
  const auto tag = static_cast<std::uint32_t>(hash >> 32);
  const std::size_t mask = slots_.size() - 1;
  std::size_t at = hash & mask;
  while (slots_[at].id != kNoToken && !(slots_[at].tag == tag && texts_[slots_[at].id] == text)) {
    at = (at + 1) & mask;
  }
  return at;
}

void PieceTable::find_all(std::span<const std::string_view> texts, std::span<TokenId> ids) const {
  constexpr std::size_t kAhead = 16;
  std::array<std::uint64_t, kAhead> hashes;  // of text i at i % kAhead
  const auto announce = [&](std::size_t i) {
    hashes[i % kAhead] = hash_of(texts[i]);
    __builtin_prefetch(&slots_[hashes[i % kAhead] & (slots_.size() - 1)]);
  };
  for (std::size_t i = 0; i < std::min(kAhead, texts.size()); ++i) announce(i);
  for (std::size_t i = 0; i < texts.size(); ++i) {
    ids[i] = slots_[slot_of(texts[i], hashes[i % kAhead])].id;
    if (i + kAhead < texts.size()) announce(i + kAhead);
  }
}

TokenId PieceTable::find(std::string_view text) const {
  return slots_[slot_of(text, hash_of(text))].id;
}

}  // namespace fourfold
