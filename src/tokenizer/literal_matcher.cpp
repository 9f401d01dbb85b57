#include "tokenizer/literal_matcher.h"

namespace fourfold {

void LiteralMatcher::add(std::string_view literal, TokenId id) {
  std::uint32_t node = 0;
  for (const char byte : literal) {
    std::uint32_t next = child(node, byte);
    if (next == 0) {
      next = static_cast<std::uint32_t>(nodes_.size());
      nodes_.push_back({.byte = byte, .next_sibling = nodes_[node].first_child});
      nodes_[node].first_child = next;
    }
    node = next;
  }
  nodes_[node].id = id;
}

std::uint32_t LiteralMatcher::child(std::uint32_t node, char byte) const {
  std::uint32_t at = nodes_[node].first_child;
  while (at != 0 && nodes_[at].byte != byte) at = nodes_[at].next_sibling;
  return at;
}

LiteralMatcher::Match LiteralMatcher::find_first(std::string_view text) const {
  for (std::size_t begin = 0; begin < text.size(); ++begin) {
    Match match;
    std::size_t end = begin;
    for (std::uint32_t node = child(0, text[begin]); node != 0; node = child(node, text[end])) {
      ++end;
      if (nodes_[node].id != kNoToken) match = {nodes_[node].id, begin, end};
      if (end == text.size()) break;
    }
    if (match.id != kNoToken) return match;
  }
  return {kNoToken, text.size(), text.size()};
}

}  // namespace fourfold
