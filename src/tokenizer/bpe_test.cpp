#include "tokenizer/bpe.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <optional>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "tokenizer/literal_matcher.h"
#include "tokenizer/rank_tree.h"
#include "tokenizer/test_vocabulary.h"
#include "tokenizer/tokenizer.h"

namespace fourfold {
namespace {

TEST(FirstPartEnd, CutsAroundRunsAndBeforeWords) {
  const std::pair<const char*, const char*> cases[] = {
      {"", ""},
      {"hello", "hello"},
      {"hello world", "hello"},
      {" world next", " world"},
      {"   three", "   three"},
      {"\n\n\nx", "\n\n\n"},
      {"x\n", "x"},
      {"\t\tx", "\t\t"},
      {"x\ty", "x"},
      {"\n\ty", "\n"},
      {" \n", " "},
      {"a▁b", "a"},
      {"▁ ▁a b", "▁ ▁a"},
      {"£€ x", "£€"},
      {"> </b> y", "> </b>"},
      {">▁</b>▁y", ">▁</b>"},
      {">  </b>", ">"},
      {"> <", ">"},
  };
  for (const auto& [text, part] : cases) {
    EXPECT_EQ(std::string_view(text).substr(0, first_part_end(text)), part) << text;
  }
}

// Step 4 as the specification words it: the lowest rank, the leftmost of equal ones, one at a time.
std::vector<std::string> merge_slowly(
    std::vector<std::string> symbols,
    const std::vector<std::pair<std::string, std::string>>& merges) {
  for (;;) {
    std::size_t best_rank = merges.size(), best_at = 0;
    for (std::size_t at = 0; at + 1 < symbols.size(); ++at) {
      const auto found =
          std::find(merges.begin(), merges.end(), std::pair(symbols[at], symbols[at + 1]));
      const auto rank = static_cast<std::size_t>(found - merges.begin());
      if (rank < best_rank) best_rank = rank, best_at = at;
    }
    if (best_rank == merges.size()) return symbols;
    symbols[best_at] += symbols[best_at + 1];
    symbols.erase(symbols.begin() + static_cast<std::ptrdiff_t>(best_at) + 1);
  }
}

TEST(Bpe, EqualsMergingOneByOne) {
  const auto vocabulary = TestVocabulary::gemma4();
  const auto tokenizer = Tokenizer::from_json(vocabulary.json());
  ASSERT_TRUE(tokenizer) << tokenizer.error().message;
  const std::string alphabet[] = {"a", "h", "e",  "l",  "o", "▁", "w",
                                  "r", "d", "\n", "\t", "=", "é"};
  std::mt19937 random(7);
  for (int round = 0; round < 300; ++round) {
    const std::size_t n_kinds = 1 + random() % std::size(alphabet);
    std::vector<std::string> symbols;
    std::string text;
    for (std::size_t i = 0; i < 1 + random() % 400; ++i) {
      symbols.push_back(alphabet[random() % n_kinds]);
      text += symbols.back();
    }
    std::vector<TokenId> expected;
    for (const auto& piece : merge_slowly(symbols, vocabulary.merges)) {
      expected.push_back(vocabulary.id(piece));
    }
    ASSERT_EQ(tokenizer->encode(text, Trust::Untrusted), expected) << text;
  }
}

TEST(Bpe, LeavesOutTheCutsWhenAPieceReachesAcrossOne) {
  auto vocabulary = TestVocabulary::gemma4();
  vocabulary.pieces.insert(vocabulary.pieces.end(), {"o▁w", "l\n"});
  vocabulary.types.clear();
  vocabulary.merges.insert(vocabulary.merges.begin(), {{"o", "▁w"}, {"l", "\n"}});
  const auto tokenizer = Tokenizer::from_json(vocabulary.json());
  ASSERT_TRUE(tokenizer) << tokenizer.error().message;
  EXPECT_EQ(tokenizer->encode("lo wl\n", Trust::Untrusted),
            (std::vector{vocabulary.id("l"), vocabulary.id("o▁w"), vocabulary.id("l\n")}));
}

class RankTreeSizes : public testing::TestWithParam<std::size_t> {};

TEST_P(RankTreeSizes, FindsTheLeftmostSmallestAfterEveryChange) {
  const std::size_t n = GetParam();
  std::mt19937 random(3);
  std::vector<std::uint32_t> ranks(n, RankTree::kNone);
  RankTree tree;
  tree.reset(2 * n);  // what an earlier, longer part leaves behind
  tree.reset(n);
  for (std::size_t i = 0; i < n; ++i) tree.put(i, ranks[i] = random() % 50);
  tree.build();
  for (int change = 0; change < 300; ++change) {
    const auto smallest = std::min_element(ranks.begin(), ranks.end());
    ASSERT_EQ(tree.rank_at(tree.find_smallest()), *smallest);
    ASSERT_EQ(tree.find_smallest(), static_cast<std::size_t>(smallest - ranks.begin()));
    const std::size_t at = change % 2 == 0 ? tree.find_smallest() : random() % n;
    ranks[at] = random() % 4 == 0 ? RankTree::kNone : random() % 50;
    tree.set(at, ranks[at]);
  }
}

INSTANTIATE_TEST_SUITE_P(Sizes, RankTreeSizes,
                         testing::Values(1, 2, 15, 16, 17, 255, 256, 257, 5000));

TEST(LiteralMatcher, FindsTheLeftmostAndThereTheLongest) {
  LiteralMatcher matcher;
  EXPECT_TRUE(matcher.empty());
  EXPECT_EQ(matcher.find_first("anything").id, kNoToken);
  for (const auto& [literal, id] : {std::pair{"<a", 1}, {"<a>", 2}, {"<abc>", 3}, {"b", 4}}) {
    matcher.add(literal, id);
  }
  const auto expect = [&](std::string_view text, TokenId id, std::size_t begin, std::size_t end) {
    const auto match = matcher.find_first(text);
    EXPECT_EQ(match.id, id) << text;
    EXPECT_EQ(match.begin, begin) << text;
    EXPECT_EQ(match.end, end) << text;
  };
  expect("", kNoToken, 0, 0);
  expect("xyz", kNoToken, 3, 3);
  expect("<<a>b", 2, 1, 4);
  expect("<abc", 1, 0, 2);  // as long as it goes
  expect("x<abc>", 3, 1, 6);
  expect("ab<a", 4, 1, 2);
}

}  // namespace
}  // namespace fourfold
