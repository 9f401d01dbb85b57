// ECMA-262 regular expressions, as `pattern` of a JSON schema has them, rewritten for llguidance.
//
//   const auto pattern = TRY(RegexPattern::parse("^\\d{3}-", RegexPattern::Search::Yes));
//   pattern.terminal(TextForm::Json)  →  /[0-9]{3}-…/ as a Lark terminal over the JSON spelling
//
// Characters are code points; \d, \w and \s are those of ECMA-262. What no finite automaton holds
// is refused by name: back-references, look-behind, word borders, look-ahead in the middle.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace fourfold {

// How the characters of a string value stand in the text.
enum class TextForm {
  Raw,   // as they are
  Json,  // as inside JSON quotes: \" \\ \n …
};

struct RegexNode;

class RegexPattern {
 public:
  // May other text stand before and after? `pattern` searches unless it has anchors.
  enum class Search { No, Yes };

  // InvalidArgument "offset 4: back-references are not supported".
  static Result<RegexPattern> parse(std::string_view text, Search search);
  // All strings of min to max characters; max < 0: no limit.
  static RegexPattern any_text(std::int64_t min, std::int64_t max);

  // A body for a Lark terminal: regular expressions joined by &.
  std::string terminal(TextForm form) const;
  bool matches_empty() const;

 private:
  struct Part {
    std::shared_ptr<const RegexNode> node;  // of the whole text
    bool negated = false;                   // a text that does not match
  };
  explicit RegexPattern(std::vector<Part> parts) : parts_(std::move(parts)) {}

  std::vector<Part> parts_;  // all must hold
};

// Lark source of a text: "text", with what JSON strings escape escaped.
std::string lark_literal(std::string_view text);

}  // namespace fourfold
