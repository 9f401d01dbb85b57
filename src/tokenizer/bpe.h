// Byte-pair encoding of plain text, steps 2 to 5 of the pipeline: spaces become ▁, neighbours merge
// in the order of their rank, what is no piece becomes byte pieces.
#pragma once

#include <array>
#include <cstddef>
#include <string_view>
#include <vector>

#include "tokenizer/merge_table.h"
#include "tokenizer/piece_table.h"
#include "tokenizer/token_id.h"

namespace fourfold {

using BytePieces = std::array<TokenId, 256>;  // the ids of <0x00> … <0xFF>

class Bpe {
 public:
  // `pieces` must have ▁; it is not kept.
  Bpe(const PieceTable& pieces, const BytePieces& byte_pieces, MergeTable merges);

  // Appends the ids of `text`. Bytes that are not well-formed UTF-8 become byte pieces.
  void encode(std::string_view text, std::vector<TokenId>& ids) const;

 private:
  class PartCache;
  struct Workspace;

  void encode_part(std::string_view part, Workspace& work, std::vector<TokenId>& ids) const;
  void read_symbols(std::string_view part, Workspace& work) const;
  void merge_symbols(Workspace& work) const;
  void rank_pair(std::size_t left, Workspace& work) const;
  void append_bytes(TokenId symbol, std::vector<TokenId>& ids) const;

  BytePieces byte_pieces_;
  std::vector<TokenId> char_pieces_;  // by code point, up to the highest one that is a piece
  MergeTable merges_;
  bool parts_are_independent_;
};

// Where the first part of a text ends. Parts encode independently when no piece reaches across a
// cut; cuts lie around runs of newlines, around runs of tabs, and before a run of ▁ (or spaces),
// except inside ">▁</", which is a piece.
std::size_t first_part_end(std::string_view text);

}  // namespace fourfold
