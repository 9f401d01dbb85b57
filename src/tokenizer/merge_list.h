// Which pieces merge, and in which order: as a file lists it, or as its scores imply it.
#pragma once

#include <vector>

#include "base/result.h"
#include "formats/tokenizer_data.h"
#include "tokenizer/merge_table.h"
#include "tokenizer/piece_table.h"

namespace fourfold {

using MergeList = std::vector<MergeTable::Entry>;

// The ranks are the places in the list. DataLoss when a part or a union is no piece.
Result<MergeList> resolve_merges(const std::vector<MergeText>& texts, const PieceTable& pieces);

// SentencePiece stores no merges: neighbours merge when their union is a piece, the one with the
// highest score first, of equal scores the leftmost. Nothing merges to an atom.
MergeList merges_of_scores(const std::vector<float>& scores, const PieceTable& pieces,
                           const std::vector<bool>& is_atom);

}  // namespace fourfold
