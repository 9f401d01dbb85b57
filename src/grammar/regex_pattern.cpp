#include "grammar/regex_pattern.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include "base/utf8.h"

namespace fourfold {

namespace {

constexpr std::uint32_t kLastCodePoint = 0x10FFFF;
constexpr int kMaxDepth = 100;
constexpr std::int64_t kNoLimit = -1;

struct CodePointRange {
  std::uint32_t first = 0, last = 0;
};

// A set of code points: ranges and Unicode properties (\p{L}), all of it negated or not.
struct CharSet {
  std::vector<CodePointRange> ranges;
  std::string properties;  // in the syntax of llguidance's expressions
  bool negated = false;

  void add(std::uint32_t first, std::uint32_t last) { ranges.push_back({first, last}); }
  void add(const std::vector<CodePointRange>& more) {
    ranges.insert(ranges.end(), more.begin(), more.end());
  }
};

// In order and apart.
std::vector<CodePointRange> normalised(std::vector<CodePointRange> ranges) {
  std::ranges::sort(ranges, {}, &CodePointRange::first);
  std::vector<CodePointRange> out;
  for (const auto& range : ranges) {
    if (!out.empty() && range.first <= out.back().last + 1) {
      out.back().last = std::max(out.back().last, range.last);
    } else {
      out.push_back(range);
    }
  }
  return out;
}

std::vector<CodePointRange> complement(std::vector<CodePointRange> ranges) {
  std::vector<CodePointRange> out;
  std::uint32_t next = 0;
  for (const auto& range : normalised(std::move(ranges))) {
    if (range.first > next) out.push_back({next, range.first - 1});
    next = range.last + 1;
  }
  if (next <= kLastCodePoint) out.push_back({next, kLastCodePoint});
  return out;
}

const std::vector<CodePointRange> kDigits = {{'0', '9'}};
const std::vector<CodePointRange> kWord = {{'0', '9'}, {'A', 'Z'}, {'_', '_'}, {'a', 'z'}};
const std::vector<CodePointRange> kSpace = {
    {'\t', '\r'},     {' ', ' '},       {0xA0, 0xA0},     {0x1680, 0x1680}, {0x2000, 0x200A},
    {0x2028, 0x2029}, {0x202F, 0x202F}, {0x205F, 0x205F}, {0x3000, 0x3000}, {0xFEFF, 0xFEFF}};
const std::vector<CodePointRange> kLineEnds = {{'\n', '\n'}, {'\r', '\r'}, {0x2028, 0x2029}};

// The characters that JSON strings write as an escape, and how.
struct JsonEscape {
  std::uint32_t code_point;
  const char* text;  // as a regular expression
};
constexpr std::array kJsonEscapes = {
    JsonEscape{'"', R"(\\")"},  JsonEscape{'\\', R"(\\\\)"}, JsonEscape{'\b', R"(\\b)"},
    JsonEscape{'\f', R"(\\f)"}, JsonEscape{'\n', R"(\\n)"},  JsonEscape{'\r', R"(\\r)"},
    JsonEscape{'\t', R"(\\t)"},
};

void append_code_point(std::uint32_t code_point, std::string& out) {
  const bool plain = (code_point >= '0' && code_point <= '9') ||
                     (code_point >= 'A' && code_point <= 'Z') ||
                     (code_point >= 'a' && code_point <= 'z');
  if (plain) {
    out += static_cast<char>(code_point);
  } else {
    out += fmt::format("\\x{{{:X}}}", code_point);
  }
}

void append_ranges(const std::vector<CodePointRange>& ranges, std::string& out) {
  for (const auto& range : ranges) {
    append_code_point(range.first, out);
    if (range.last == range.first) continue;
    out += '-';
    append_code_point(range.last, out);
  }
}

std::string class_text(const CharSet& set) {
  std::string out = set.negated ? "[^" : "[";
  append_ranges(normalised(set.ranges), out);
  return out + set.properties + "]";
}

bool contains(const CharSet& set, std::uint32_t code_point) {
  const bool in_ranges = std::ranges::any_of(set.ranges, [&](const CodePointRange& range) {
    return range.first <= code_point && code_point <= range.last;
  });
  return in_ranges != set.negated;
}

std::string raw_set(const CharSet& set) {
  if (!set.properties.empty()) return class_text(set);
  const auto ranges = set.negated ? complement(set.ranges) : normalised(set.ranges);
  if (ranges.empty()) return "[^\\x{0}-\\x{10FFFF}]";  // matches nothing
  std::string out;
  if (ranges.size() == 1 && ranges[0].first == ranges[0].last) {
    append_code_point(ranges[0].first, out);
    return out;
  }
  out = "[";
  append_ranges(ranges, out);
  return out + "]";
}

// The same characters in their JSON spelling. A character has one spelling here, so that
// intersections and complements of patterns hold for the text they spell.
std::string json_set(const CharSet& set) {
  const CharSet escaped = {.ranges = {{0, 0x1F}, {'"', '"'}, {'\\', '\\'}}, .properties = {}};
  std::vector<std::string> choices;
  if (set.properties.empty()) {
    auto outside = set.negated ? set.ranges : complement(set.ranges);
    outside.insert(outside.end(), escaped.ranges.begin(), escaped.ranges.end());
    auto plain = complement(outside);
    if (!plain.empty()) choices.push_back(raw_set({.ranges = std::move(plain), .properties = {}}));
  } else {
    choices.push_back(fmt::format("[{}--{}]", class_text(set), class_text(escaped)));
  }
  for (const auto& escape : kJsonEscapes) {
    if (contains(set, escape.code_point)) choices.emplace_back(escape.text);
  }
  for (std::uint32_t control = 0; control < 0x20; ++control) {
    const bool is_short = std::ranges::any_of(
        kJsonEscapes, [&](const JsonEscape& escape) { return escape.code_point == control; });
    if (!is_short && contains(set, control)) {
      choices.push_back(fmt::format("\\\\u{:04x}", control));
    }
  }
  if (choices.empty()) return "[^\\x{0}-\\x{10FFFF}]";
  if (choices.size() == 1) return choices[0];
  return fmt::format("(?:{})", fmt::join(choices, "|"));
}

}  // namespace

struct RegexNode {
  enum class Kind { Set, Concat, Alternatives, Repeat, Start, End, LookAhead };

  Kind kind = Kind::Concat;  // without children: the empty text
  CharSet set = {};
  std::vector<std::shared_ptr<const RegexNode>> children = {};
  std::int64_t min = 0, max = kNoLimit;
  bool negated = false;    // of a look-ahead
  std::size_t offset = 0;  // in the pattern, for messages
};

namespace {

using Node = std::shared_ptr<const RegexNode>;
using Kind = RegexNode::Kind;

Node make_node(RegexNode node) { return std::make_shared<RegexNode>(std::move(node)); }

Node make_set(CharSet set) { return make_node({.kind = Kind::Set, .set = std::move(set)}); }

Node make_anchor(Kind kind, std::size_t offset) {
  return make_node({.kind = kind, .offset = offset});
}

Node make_concat(std::vector<Node> children) {
  if (children.size() == 1) return children[0];
  return make_node({.kind = Kind::Concat, .children = std::move(children)});
}

Node make_alternatives(std::vector<Node> children) {
  if (children.size() == 1) return children[0];
  return make_node({.kind = Kind::Alternatives, .children = std::move(children)});
}

Node make_repeat(Node child, std::int64_t min, std::int64_t max) {
  return make_node({.kind = Kind::Repeat, .children = {std::move(child)}, .min = min, .max = max});
}

Node any_text_node() {
  return make_repeat(make_set({.ranges = {{0, kLastCodePoint}}, .properties = {}}), 0, kNoLimit);
}

class Parser {
 public:
  explicit Parser(std::string_view text) : text_(text) {}

  Result<Node> parse() {
    auto node = TRY(parse_alternatives(0));
    if (!at_end()) return error("unbalanced )");
    return node;
  }

 private:
  bool at_end() const { return at_ == text_.size(); }
  bool next_is(std::string_view what) const { return text_.substr(at_).starts_with(what); }
  bool take(std::string_view what) {
    if (!next_is(what)) return false;
    at_ += what.size();
    return true;
  }
  Error error(std::string_view what) const { return invalid_argument("offset {}: {}", at_, what); }

  Result<Node> parse_alternatives(int depth) {
    if (depth > kMaxDepth) return error("groups nest too deep");
    std::vector<Node> alternatives;
    do {
      alternatives.push_back(TRY(parse_sequence(depth)));
    } while (take("|"));
    return make_alternatives(std::move(alternatives));
  }

  Result<Node> parse_sequence(int depth) {
    std::vector<Node> items;
    while (!at_end() && !next_is("|") && !next_is(")")) {
      items.push_back(TRY(parse_item(depth)));
    }
    return make_concat(std::move(items));
  }

  Result<Node> parse_item(int depth) {
    auto atom = TRY(parse_atom(depth));
    const bool repeats = next_is("*") || next_is("+") || next_is("?") || next_is("{");
    if (!repeats) return atom;
    if (atom->kind == Kind::Start || atom->kind == Kind::End || atom->kind == Kind::LookAhead) {
      return error("nothing to repeat");
    }
    return parse_quantifier(std::move(atom));
  }

  Result<Node> parse_quantifier(Node atom) {
    std::int64_t min = 0, max = kNoLimit;
    if (take("*")) {
    } else if (take("+")) {
      min = 1;
    } else if (take("?")) {
      max = 1;
    } else {
      take("{");
      min = TRY(parse_count());
      max = min;
      if (take(",")) max = next_is("}") ? kNoLimit : TRY(parse_count());
      if (!take("}")) return error("expected }");
      if (max != kNoLimit && max < min) return error("the bounds of {m,n} are out of order");
    }
    take("?");  // lazy: the same language
    return make_repeat(std::move(atom), min, max);
  }

  Result<std::int64_t> parse_count() {
    std::int64_t count = 0;
    const std::size_t begin = at_;
    while (!at_end() && text_[at_] >= '0' && text_[at_] <= '9') {
      count = count * 10 + (text_[at_++] - '0');
      if (count > 0x7FFFFFFF) return error("a count above 2147483647");
    }
    if (at_ == begin) return error("expected a count");
    return count;
  }

  Result<Node> parse_atom(int depth) {
    if (take("(")) return parse_group(depth);
    if (take("[")) return parse_class();
    if (take("^")) return make_anchor(Kind::Start, at_ - 1);
    if (take("$")) return make_anchor(Kind::End, at_ - 1);
    if (take(".")) {
      return make_set({.ranges = complement(kLineEnds), .properties = {}});
    }
    if (next_is("*") || next_is("+") || next_is("?")) return error("nothing to repeat");
    if (next_is("\\")) {
      CharSet set;
      TRY(parse_escape(set, false));
      return make_set(std::move(set));
    }
    CharSet set;
    const auto code_point = TRY(parse_code_point());
    set.add(code_point, code_point);
    return make_set(std::move(set));
  }

  Result<Node> parse_group(int depth) {
    const std::size_t offset = at_ - 1;
    if (next_is("?<=") || next_is("?<!")) return error("look-behind is not supported");
    if (next_is("?=") || next_is("?!")) {
      const bool negated = next_is("?!");
      at_ += 2;
      auto inner = TRY(parse_alternatives(depth + 1));
      if (!take(")")) return error("expected )");
      return make_node({.kind = Kind::LookAhead,
                        .children = {std::move(inner)},
                        .negated = negated,
                        .offset = offset});
    }
    if (take("?<")) {
      const auto end = text_.find('>', at_);
      if (end == std::string_view::npos) return error("expected >");
      at_ = end + 1;
    } else if (!take("?:") && next_is("?")) {
      return error("this kind of group is not supported");
    }
    auto inner = TRY(parse_alternatives(depth + 1));
    if (!take(")")) return error("expected )");
    return inner;
  }

  Result<Node> parse_class() {
    CharSet set;
    set.negated = take("^");
    while (!take("]")) {
      if (at_end()) return error("expected ]");
      const auto first = TRY(parse_class_item(set));
      if (!first || !next_is("-") || next_is("-]")) {
        if (first) set.add(*first, *first);
        continue;
      }
      take("-");
      const auto last = TRY(parse_class_item(set));
      if (!last || *last < *first) return error("the range is out of order");
      set.add(*first, *last);
    }
    return make_set(std::move(set));
  }

  // The code point, or nullopt if it is a set of its own (\d), which was added.
  Result<std::optional<std::uint32_t>> parse_class_item(CharSet& set) {
    if (!next_is("\\")) return std::optional(TRY(parse_code_point()));
    CharSet escape;
    TRY(parse_escape(escape, true));
    const bool is_single = !escape.negated && escape.properties.empty() &&
                           escape.ranges.size() == 1 &&
                           escape.ranges[0].first == escape.ranges[0].last;
    if (is_single) return std::optional(escape.ranges[0].first);
    set.add(escape.ranges);
    set.properties += escape.properties;
    return std::optional<std::uint32_t>();
  }

  Result<std::uint32_t> parse_code_point() {
    std::uint32_t code_point = static_cast<unsigned char>(text_[at_]);
    int length = 1;
    if (code_point >= 0xF0) {
      length = 4, code_point &= 0x07;
    } else if (code_point >= 0xE0) {
      length = 3, code_point &= 0x0F;
    } else if (code_point >= 0xC0) {
      length = 2, code_point &= 0x1F;
    }
    if (at_ + static_cast<std::size_t>(length) > text_.size()) return error("not UTF-8");
    for (int i = 1; i < length; ++i) {
      code_point = code_point << 6 |
                   (static_cast<unsigned char>(text_[at_ + static_cast<std::size_t>(i)]) & 0x3F);
    }
    at_ += static_cast<std::size_t>(length);
    return code_point;
  }

  Status parse_escape(CharSet& set, bool in_class) {
    take("\\");
    if (at_end()) return error("expected a character after \\");
    const char c = text_[at_++];
    switch (c) {
      case 'd': set.add(kDigits); return {};
      case 'w': set.add(kWord); return {};
      case 's': set.add(kSpace); return {};
      case 'D': set.add(complement(kDigits)); return {};
      case 'W': set.add(complement(kWord)); return {};
      case 'S': set.add(complement(kSpace)); return {};
      case 't': set.add('\t', '\t'); return {};
      case 'n': set.add('\n', '\n'); return {};
      case 'v': set.add('\v', '\v'); return {};
      case 'f': set.add('\f', '\f'); return {};
      case 'r': set.add('\r', '\r'); return {};
      case 'p':
      case 'P': return parse_property(c, set);
      case 'x': return add_hex(2, set);
      case 'u': return parse_unicode(set);
      case 'c': {
        const char letter = at_end() ? '\0' : text_[at_++];
        const auto control = static_cast<std::uint32_t>(letter & 0x1F);
        set.add(control, control);
        return {};
      }
      case 'b':
        if (in_class) {
          set.add('\b', '\b');
          return {};
        }
        [[fallthrough]];
      case 'B': return error("word borders are not supported");
      case 'k': return error("back-references are not supported");
    }
    if (c == '0') {
      set.add(0, 0);
      return {};
    }
    if (c >= '1' && c <= '9') return error("back-references are not supported");
    if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')) return error("unknown escape");
    --at_;
    const auto code_point = TRY(parse_code_point());
    set.add(code_point, code_point);
    return {};
  }

  Status parse_property(char kind, CharSet& set) {
    if (!take("{")) return error("expected { after \\p");
    const auto end = text_.find('}', at_);
    if (end == std::string_view::npos) return error("expected }");
    const auto name = text_.substr(at_, end - at_);
    const bool is_plain = std::ranges::all_of(name, [](char c) {
      return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == '=';
    });
    if (!is_plain) return error("unknown property");
    set.properties += fmt::format("\\{}{{{}}}", kind, name);
    at_ = end + 1;
    return {};
  }

  Status parse_unicode(CharSet& set) {
    if (!next_is("{")) return add_hex(4, set);
    take("{");
    const auto end = text_.find('}', at_);
    if (end == std::string_view::npos || end == at_ || end - at_ > 6) return error("expected }");
    TRY(add_hex(end - at_, set));
    take("}");
    return {};
  }

  Status add_hex(std::size_t n_digits, CharSet& set) {
    std::uint32_t code_point = 0;
    for (std::size_t i = 0; i < n_digits; ++i) {
      const char c = at_end() ? '\0' : text_[at_++];
      const bool is_digit = c >= '0' && c <= '9';
      const char lower = static_cast<char>(c | 0x20);
      if (!is_digit && !(lower >= 'a' && lower <= 'f')) return error("expected a hex digit");
      code_point =
          code_point * 16 + static_cast<std::uint32_t>(is_digit ? c - '0' : lower - 'a' + 10);
    }
    if (code_point > kLastCodePoint || (code_point >= 0xD800 && code_point <= 0xDFFF)) {
      return error("not a character");
    }
    set.add(code_point, code_point);
    return {};
  }

  std::string_view text_;
  std::size_t at_ = 0;
};

bool has_anchor(const RegexNode& node) {
  if (node.kind == Kind::Start || node.kind == Kind::End || node.kind == Kind::LookAhead)
    return true;
  return std::ranges::any_of(node.children, [](const Node& child) { return has_anchor(*child); });
}

Error misplaced(const RegexNode& node) {
  for (const auto& child : node.children) {
    if (has_anchor(*child) && child->kind != Kind::LookAhead) return misplaced(*child);
    if (child->kind == Kind::LookAhead) {
      return invalid_argument("offset {}: look-ahead is supported at the beginning only",
                              child->offset);
    }
  }
  return invalid_argument("offset {}: an anchor is supported at the ends only", node.offset);
}

struct Borders {
  bool left = false, right = false;  // may other text stand here, unless there is an anchor?
};

// Writes anchors, and their absence, as text: ab$ → .*ab.
Result<Node> without_anchors(const Node& node, Borders open, bool is_left_edge,
                             bool is_right_edge) {
  if (node->kind == Kind::Alternatives) {
    std::vector<Node> alternatives;
    for (const auto& child : node->children) {
      alternatives.push_back(TRY(without_anchors(child, open, is_left_edge, is_right_edge)));
    }
    return make_alternatives(std::move(alternatives));
  }
  std::vector<Node> items = node->kind == Kind::Concat ? node->children : std::vector<Node>{node};
  while (is_left_edge && !items.empty() && items.front()->kind == Kind::Start) {
    open.left = false;
    items.erase(items.begin());
  }
  while (is_right_edge && !items.empty() && items.back()->kind == Kind::End) {
    open.right = false;
    items.pop_back();
  }
  std::vector<Node> out;
  for (std::size_t i = 0; i < items.size(); ++i) {
    if (!has_anchor(*items[i])) {
      out.push_back(items[i]);
      continue;
    }
    // A group with anchors of its own, at an end of the pattern: it brings its text with it.
    const bool left = is_left_edge && i == 0, right = is_right_edge && i + 1 == items.size();
    const bool is_group = items[i]->kind == Kind::Alternatives || items[i]->kind == Kind::Concat;
    if (!is_group || !(left || right)) return misplaced(RegexNode{.children = {items[i]}});
    out.push_back(TRY(without_anchors(
        items[i], {.left = left && open.left, .right = right && open.right}, left, right)));
    if (left) open.left = false;
    if (right) open.right = false;
  }
  if (open.left) out.insert(out.begin(), any_text_node());
  if (open.right) out.push_back(any_text_node());
  return make_concat(std::move(out));
}

void print(const RegexNode& node, TextForm form, std::string& out) {
  switch (node.kind) {
    case Kind::Set: out += form == TextForm::Json ? json_set(node.set) : raw_set(node.set); return;
    case Kind::Concat:
      for (const auto& child : node.children) {
        const bool group = child->kind == Kind::Alternatives;
        if (group) out += "(?:";
        print(*child, form, out);
        if (group) out += ")";
      }
      return;
    case Kind::Alternatives:
      for (std::size_t i = 0; i < node.children.size(); ++i) {
        if (i > 0) out += "|";
        print(*node.children[i], form, out);
      }
      return;
    case Kind::Repeat:
      out += "(?:";
      print(*node.children[0], form, out);
      out += ")";
      if (node.max == kNoLimit) {
        out += node.min == 0 ? "*" : node.min == 1 ? "+" : fmt::format("{{{},}}", node.min);
      } else {
        out += fmt::format("{{{},{}}}", node.min, node.max);
      }
      return;
    case Kind::Start:
    case Kind::End:
    case Kind::LookAhead: return;  // resolved by now
  }
}

bool matches_empty_text(const RegexNode& node) {
  switch (node.kind) {
    case Kind::Set: return false;
    case Kind::Concat:
      return std::ranges::all_of(node.children,
                                 [](const Node& c) { return matches_empty_text(*c); });
    case Kind::Alternatives:
      return std::ranges::any_of(node.children,
                                 [](const Node& c) { return matches_empty_text(*c); });
    case Kind::Repeat: return node.min == 0 || matches_empty_text(*node.children[0]);
    default: return true;
  }
}

}  // namespace

Result<RegexPattern> RegexPattern::parse(std::string_view text, Search search) {
  if (!is_utf8(text)) return invalid_argument("not UTF-8");
  auto node = TRY(Parser(text).parse());

  // Look-aheads at the beginning hold for the whole text: (?=A)B is A.* & B.
  std::vector<Node> items = node->kind == Kind::Concat ? node->children : std::vector<Node>{node};
  std::size_t at = 0;
  const bool is_anchored = !items.empty() && items[0]->kind == Kind::Start;
  if (is_anchored) at = 1;
  std::vector<Part> parts;
  for (; at < items.size() && items[at]->kind == Kind::LookAhead; ++at) {
    if (!is_anchored && search == Search::Yes) return misplaced(RegexNode{.children = {items[at]}});
    auto ahead =
        TRY(without_anchors(items[at]->children[0], {.left = false, .right = true}, true, true));
    parts.push_back({std::move(ahead), items[at]->negated});
  }
  if (!parts.empty()) {
    items.erase(items.begin() + (is_anchored ? 1 : 0),
                items.begin() + static_cast<std::ptrdiff_t>(at));
    node = make_concat(std::move(items));
  }
  const bool open = search == Search::Yes;
  auto whole = TRY(without_anchors(node, {.left = open, .right = open}, true, true));
  parts.insert(parts.begin(), {std::move(whole), false});
  return RegexPattern(std::move(parts));
}

RegexPattern RegexPattern::any_text(std::int64_t min, std::int64_t max) {
  return RegexPattern(
      {{make_repeat(make_set({.ranges = {{0, kLastCodePoint}}, .properties = {}}), min, max)}});
}

std::string RegexPattern::terminal(TextForm form) const {
  std::string out;
  for (const auto& part : parts_) {
    std::string text;
    print(*part.node, form, text);
    if (text.empty()) text = "(?:)";
    if (!out.empty()) out += " & ";
    out += fmt::format("{}/{}/", part.negated ? "~" : "", text);
  }
  return out;
}

bool RegexPattern::matches_empty() const {
  return std::ranges::all_of(
      parts_, [](const Part& part) { return matches_empty_text(*part.node) != part.negated; });
}

std::string lark_literal(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (byte < 0x20 || byte == 0x7F) {
      out += fmt::format("\\u{:04x}", byte);
    } else {
      out += c;
    }
  }
  return out + "\"";
}

}  // namespace fourfold
