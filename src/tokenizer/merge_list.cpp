#include "tokenizer/merge_list.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <span>
#include <string>
#include <string_view>

#include "base/code_point.h"
#include "base/utf8.h"

namespace fourfold {
namespace {

constexpr std::size_t kBlock = 64;  // merges that are looked up together

struct ResolvedMerge {
  TokenId left, right, merged;
};

// At most kBlock merges; kNoToken for what is no piece.
std::array<ResolvedMerge, kBlock> resolve_block(std::span<const MergeText> texts,
                                                const PieceTable& pieces) {
  std::array<std::string, kBlock> unions;
  std::array<std::string_view, 3 * kBlock> wanted;
  for (std::size_t i = 0; i < texts.size(); ++i) {
    unions[i].append(texts[i].left).append(texts[i].right);
    wanted[3 * i] = texts[i].left;
    wanted[3 * i + 1] = texts[i].right;
    wanted[3 * i + 2] = unions[i];
  }
  std::array<TokenId, 3 * kBlock> ids;
  pieces.find_all({wanted.data(), 3 * texts.size()}, ids);

  std::array<ResolvedMerge, kBlock> merges;
  for (std::size_t i = 0; i < texts.size(); ++i) {
    merges[i] = {ids[3 * i], ids[3 * i + 1], ids[3 * i + 2]};
  }
  return merges;
}

// By id; equal scores give equal ranks.
std::vector<std::uint32_t> ranks_of(const std::vector<float>& scores) {
  std::vector<TokenId> order(scores.size());
  std::iota(order.begin(), order.end(), 0);
  std::sort(order.begin(), order.end(),
            [&](TokenId a, TokenId b) { return scores[a] > scores[b]; });
  std::vector<std::uint32_t> ranks(scores.size());
  std::uint32_t rank = 0;
  for (std::size_t i = 0; i < order.size(); ++i) {
    if (i > 0 && scores[order[i]] != scores[order[i - 1]]) ++rank;
    ranks[order[i]] = rank;
  }
  return ranks;
}

}  // namespace

Result<MergeList> resolve_merges(const std::vector<MergeText>& texts, const PieceTable& pieces) {
  MergeList merges;
  merges.reserve(texts.size());
  while (merges.size() < texts.size()) {
    const auto block = std::span(texts)
                           .subspan(merges.size())
                           .first(std::min(kBlock, texts.size() - merges.size()));
    const auto resolved = resolve_block(block, pieces);
    for (std::size_t i = 0; i < block.size(); ++i) {
      const auto& [left, right, merged] = resolved[i];
      const auto rank = static_cast<std::uint32_t>(merges.size());
      if (left == kNoToken || right == kNoToken || merged == kNoToken) {
        return data_loss("merge {}: {} + {}: parts and union must be pieces", rank,
                         printable(block[i].left), printable(block[i].right));
      }
      merges.push_back({left, right, {rank, merged}});
    }
  }
  return merges;
}

MergeList merges_of_scores(const std::vector<float>& scores, const PieceTable& pieces,
                           const std::vector<bool>& is_atom) {
  const auto ranks = ranks_of(scores);
  MergeList merges;
  for (TokenId id = 0; id < pieces.size(); ++id) {
    if (is_atom[id]) continue;
    const std::string_view text = pieces[id];
    for (std::size_t cut = 0; cut < text.size();) {
      cut += first_code_point(text.substr(cut)).size_bytes;
      if (cut == text.size()) break;
      const TokenId left = pieces.find(text.substr(0, cut));
      if (left == kNoToken) continue;
      const TokenId right = pieces.find(text.substr(cut));
      if (right != kNoToken) merges.push_back({left, right, {ranks[id], id}});
    }
  }
  return merges;
}

}  // namespace fourfold
