#include "tokenizer/bpe.h"

#include <algorithm>
#include <bit>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <utility>

#include "base/code_point.h"
#include "base/utf8.h"
#include "tokenizer/rank_tree.h"

namespace fourfold {
namespace {

constexpr std::string_view kSpaceMark = "▁";
constexpr char32_t kSpaceMarkChar = U'▁';

// A symbol is the id of a piece, or a negative number that keeps the code point (see CodePoint) of
// what has none.
TokenId symbol_without_piece(char32_t code) { return -1 - static_cast<TokenId>(code); }
char32_t code_of(TokenId symbol) { return static_cast<char32_t>(-1 - symbol); }

// Bytes of the space or ▁ at `at`; 0 for anything else.
std::size_t space_size(std::string_view text, std::size_t at) {
  if (text[at] == ' ') return 1;
  return text.substr(at, kSpaceMark.size()) == kSpaceMark ? kSpaceMark.size() : 0;
}

std::size_t run_end(std::string_view text, char c) {
  return std::min(text.find_first_not_of(c), text.size());
}

std::size_t space_run_end(std::string_view text) {
  std::size_t at = 0;
  while (at < text.size()) {
    const std::size_t size = space_size(text, at);
    if (size == 0) break;
    at += size;
  }
  return at;
}

// Bytes where a cut may lie: newline, tab, space, and the first byte of ▁.
constexpr auto kMayCut = [] {
  std::array<bool, 256> may_cut = {};
  for (const unsigned char c : {'\n', '\t', ' ', kSpaceMark[0]}) may_cut[c] = true;
  return may_cut;
}();

std::vector<TokenId> find_char_pieces(const PieceTable& pieces) {
  std::vector<TokenId> char_pieces(128, kNoToken);
  for (TokenId id = 0; id < pieces.size(); ++id) {
    const std::string_view text = pieces[id];
    if (text.empty() || text.size() != utf8_sequence_length(text)) continue;
    const auto code = static_cast<std::size_t>(first_code_point(text).code);
    if (code >= char_pieces.size()) char_pieces.resize(code + 1, kNoToken);
    char_pieces[code] = id;
  }
  char_pieces[U' '] = char_pieces[kSpaceMarkChar];
  return char_pieces;
}

bool no_piece_reaches_across_a_cut(const PieceTable& pieces) {
  for (TokenId id = 0; id < pieces.size(); ++id) {
    if (first_part_end(pieces[id]) != pieces[id].size()) return false;
  }
  return true;
}

}  // namespace

// The symbols of a part as a list through one array, and the rank of each with its successor.
struct Bpe::Workspace {
  struct Symbol {
    TokenId id = kNoToken;
    TokenId merged = kNoToken;  // what it and its successor become
    std::uint32_t previous = 0;
    std::uint32_t next = 0;  // the number of symbols after the last one
  };
  std::vector<Symbol> symbols;
  RankTree ranks;
};

// The ids of short parts met before in the same text: a language repeats its words. Each part has
// one place, and the newest that belongs there takes it.
class Bpe::PartCache {
 public:
  static constexpr std::size_t kMaxPartBytes = 15, kMaxIds = 5;

  using Key = std::array<std::uint64_t, 2>;  // the bytes of a part, padded, and its size

  explicit PartCache(std::size_t text_size)
      : entries_(std::clamp<std::size_t>(std::bit_floor(text_size / 16), 1, 4096)) {}

  struct Entry {
    Key key = {};  // of no part: no size is 0
    std::uint32_t n_ids = 0;
    std::array<TokenId, kMaxIds> ids;

    void remember(const Key& new_key, std::span<const TokenId> new_ids) {
      if (new_ids.size() > kMaxIds) return;
      key = new_key;
      n_ids = static_cast<std::uint32_t>(new_ids.size());
      std::copy(new_ids.begin(), new_ids.end(), ids.begin());
    }
  };

  static Key key_of(std::string_view part) {
    std::array<char, kMaxPartBytes + 1> bytes = {};
    std::memcpy(bytes.data(), part.data(), part.size());
    bytes.back() = static_cast<char>(part.size());
    return std::bit_cast<Key>(bytes);
  }
  Entry& place_of(const Key& key) {
    const std::uint64_t hash = (key[0] ^ std::rotl(key[1], 29)) * 0x9E3779B97F4A7C15;
    return entries_[hash >> 40 & (entries_.size() - 1)];
  }

 private:
  std::vector<Entry> entries_;  // a power of two
};

std::size_t first_part_end(std::string_view text) {
  if (text.empty()) return 0;
  if (text[0] == '\n' || text[0] == '\t') return run_end(text, text[0]);
  for (std::size_t at = space_run_end(text); at < text.size(); ++at) {
    if (!kMayCut[static_cast<unsigned char>(text[at])]) continue;
    if (text[at] == '\n' || text[at] == '\t') return at;
    const std::size_t size = space_size(text, at);
    if (size == 0) continue;
    const bool between_tags = text[at - 1] == '>' && text.substr(at + size, 2) == "</";
    if (!between_tags) return at;
  }
  return text.size();
}

Bpe::Bpe(const PieceTable& pieces, const BytePieces& byte_pieces, MergeTable merges)
    : byte_pieces_(byte_pieces),
      char_pieces_(find_char_pieces(pieces)),
      merges_(std::move(merges)),
      parts_are_independent_(no_piece_reaches_across_a_cut(pieces)) {}

void Bpe::encode(std::string_view text, std::vector<TokenId>& ids) const {
  Workspace work;
  if (!parts_are_independent_) return encode_part(text, work, ids);
  PartCache cache(text.size());
  while (!text.empty()) {
    const std::string_view part = text.substr(0, first_part_end(text));
    text.remove_prefix(part.size());
    if (part.size() > PartCache::kMaxPartBytes) {
      encode_part(part, work, ids);
      continue;
    }
    const auto key = PartCache::key_of(part);
    auto& known = cache.place_of(key);
    if (known.key != key) {
      const std::size_t n_before = ids.size();
      encode_part(part, work, ids);
      known.remember(key, std::span(ids).subspan(n_before));
    } else {
      ids.insert(ids.end(), known.ids.begin(), known.ids.begin() + known.n_ids);
    }
  }
}

void Bpe::encode_part(std::string_view part, Workspace& work, std::vector<TokenId>& ids) const {
  read_symbols(part, work);
  merge_symbols(work);
  const auto& symbols = work.symbols;
  for (std::size_t at = 0; at < symbols.size(); at = symbols[at].next) {
    if (symbols[at].id >= 0) {
      ids.push_back(symbols[at].id);
    } else {
      append_bytes(symbols[at].id, ids);
    }
  }
}

void Bpe::read_symbols(std::string_view part, Workspace& work) const {
  work.symbols.clear();
  while (!part.empty()) {
    const CodePoint character = first_code_point(part);
    part.remove_prefix(character.size_bytes);
    const bool has_piece =
        character.code < char_pieces_.size() && char_pieces_[character.code] != kNoToken;
    const auto at = static_cast<std::uint32_t>(work.symbols.size());
    work.symbols.push_back({
        .id = has_piece ? char_pieces_[character.code] : symbol_without_piece(character.code),
        .previous = at - 1,
        .next = at + 1,
    });
  }
}

void Bpe::merge_symbols(Workspace& work) const {
  auto& symbols = work.symbols;
  auto& ranks = work.ranks;
  if (symbols.size() < 2) return;
  ranks.reset(symbols.size());
  for (std::size_t at = 0; at + 1 < symbols.size(); ++at) {
    const Merge merge = merges_.find(symbols[at].id, symbols[at + 1].id);
    symbols[at].merged = merge.merged;
    ranks.put(at, merge.rank);
  }
  ranks.build();

  for (;;) {
    const std::size_t left = ranks.find_smallest();
    if (ranks.rank_at(left) == Merge::kNoRank) return;
    const std::size_t right = symbols[left].next;
    const std::uint32_t after = symbols[right].next;
    symbols[left].id = symbols[left].merged;
    symbols[left].next = after;
    if (after < symbols.size()) symbols[after].previous = static_cast<std::uint32_t>(left);
    ranks.set(right, Merge::kNoRank);
    rank_pair(left, work);
    if (left > 0) rank_pair(symbols[left].previous, work);
  }
}

void Bpe::rank_pair(std::size_t left, Workspace& work) const {
  auto& symbols = work.symbols;
  const std::size_t right = symbols[left].next;
  const bool has_right = right < symbols.size();
  const Merge merge = has_right ? merges_.find(symbols[left].id, symbols[right].id) : Merge();
  symbols[left].merged = merge.merged;
  work.ranks.set(left, merge.rank);
}

void Bpe::append_bytes(TokenId symbol, std::vector<TokenId>& ids) const {
  const char32_t code = code_of(symbol);
  if (code >= kEndOfUnicode) {
    ids.push_back(byte_pieces_[code - kEndOfUnicode]);
    return;
  }
  std::string bytes;
  append_utf8(code, bytes);
  for (const char byte : bytes) ids.push_back(byte_pieces_[static_cast<unsigned char>(byte)]);
}

}  // namespace fourfold
