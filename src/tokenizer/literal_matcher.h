// Finds pieces that are matched as whole strings before anything is merged: the longest one that
// a text begins with.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "tokenizer/token_id.h"

namespace fourfold {

class LiteralMatcher {
 public:
  // `literal` is not empty; a later one with the same text replaces the earlier.
  void add(std::string_view literal, TokenId id);

  bool empty() const { return nodes_.size() == 1; }

  struct Match {
    TokenId id = kNoToken;
    std::size_t begin = 0;  // the size of the text when nothing matches
    std::size_t end = 0;
  };
  // The leftmost match, of those that begin there the longest.
  Match find_first(std::string_view text) const;

 private:
  // A tree of bytes; the children of a node are a list.
  struct Node {
    TokenId id = kNoToken;  // of the literal that ends here
    char byte = 0;
    std::uint32_t first_child = 0;  // 0: none, the root is nobody's child
    std::uint32_t next_sibling = 0;
  };

  std::uint32_t child(std::uint32_t node, char byte) const;

  std::vector<Node> nodes_ = std::vector<Node>(1);
};

}  // namespace fourfold
