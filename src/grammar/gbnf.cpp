#include "grammar/gbnf.h"

#include <fmt/format.h>

#include <map>
#include <vector>

#include "base/utf8.h"
#include "grammar/regex_pattern.h"

namespace fourfold {

namespace {

constexpr int kMaxDepth = 100;

bool is_name_char(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
         c == '_';
}

class GbnfReader {
 public:
  explicit GbnfReader(std::string_view text) : text_(text) {}

  Result<std::string> read() {
    skip(true);
    while (at_ < text_.size()) {
      TRY(read_rule());
      skip(true);
    }
    if (!rules_.contains("root")) return invalid_argument("the grammar has no rule named root");
    std::string out = "start: " + lark_name("root") + "\n";
    for (const auto& [name, line] : uses_) {
      if (!rules_.contains(name))
        return invalid_argument("line {}: no rule is named {}", line, name);
    }
    for (const auto& [name, body] : rules_) out += fmt::format("{}: {}\n", lark_name(name), body);
    return out;
  }

 private:
  bool next_is(std::string_view what) const { return text_.substr(at_).starts_with(what); }
  bool take(std::string_view what) {
    if (!next_is(what)) return false;
    at_ += what.size();
    return true;
  }
  int line() const {
    int n = 1;
    for (const char c : text_.substr(0, at_)) n += c == '\n';
    return n;
  }
  Error error(std::string_view what) const { return invalid_argument("line {}: {}", line(), what); }

  // Blanks and comments; line breaks too where no rule is open.
  void skip(bool line_breaks) {
    while (at_ < text_.size()) {
      const char c = text_[at_];
      if (c == '#') {
        while (at_ < text_.size() && text_[at_] != '\n') ++at_;
      } else if (c == ' ' || c == '\t' || (line_breaks && (c == '\n' || c == '\r'))) {
        ++at_;
      } else {
        return;
      }
    }
  }

  // Rule names of Lark are lower case with underscores.
  std::string lark_name(std::string_view name) {
    const auto [at, is_new] = names_.try_emplace(std::string(name));
    if (is_new) at->second = fmt::format("g{}", names_.size());
    return at->second;
  }

  std::string read_name() {
    const auto begin = at_;
    while (at_ < text_.size() && is_name_char(text_[at_])) ++at_;
    return std::string(text_.substr(begin, at_ - begin));
  }

  Status read_rule() {
    const auto name = read_name();
    if (name.empty()) return error("expected the name of a rule");
    skip(false);
    if (!take("::=")) return error("expected ::=");
    skip(true);
    const auto body = TRY(read_alternatives(0));
    if (at_ < text_.size() && text_[at_] != '\n' && text_[at_] != '\r') {
      return error("expected the end of the rule");
    }
    if (!rules_.emplace(name, body).second) return error(fmt::format("{} is defined twice", name));
    return {};
  }

  Result<std::string> read_alternatives(int depth) {
    if (depth > kMaxDepth) return error("groups nest too deep");
    std::string out = TRY(read_sequence(depth));
    while (true) {
      // A rule goes on in the next line only with |, or inside a group.
      const auto before = at_;
      skip(true);
      if (!take("|")) {
        if (depth == 0) at_ = before;
        return out;
      }
      skip(true);
      out += " | " + TRY(read_sequence(depth));
    }
  }

  Result<std::string> read_sequence(int depth) {
    std::string out;
    while (true) {
      skip(depth > 0);
      if (at_ == text_.size() || next_is("|") || next_is(")") || next_is("\n") || next_is("\r"))
        break;
      const auto item = TRY(read_item(depth));
      out += (out.empty() ? "" : " ") + item + TRY(read_repetition());
    }
    return out.empty() ? "\"\"" : out;
  }

  Result<std::string> read_item(int depth) {
    if (take("\"")) return read_string();
    if (next_is("[")) return read_class();
    if (take(".")) return std::string("/[^\\n]/");
    if (take("(")) {
      const auto inner = TRY(read_alternatives(depth + 1));
      skip(true);
      if (!take(")")) return error("expected )");
      return "(" + inner + ")";
    }
    if (!is_name_char(text_[at_])) return error("expected a string, a class, a group or a name");
    const auto start = line();
    const auto name = read_name();
    uses_.emplace(name, start);
    return lark_name(name);
  }

  Result<std::string> read_repetition() {
    if (take("*")) return std::string("*");
    if (take("+")) return std::string("+");
    if (take("?")) return std::string("?");
    if (!next_is("{")) return std::string();
    const auto end = text_.find('}', at_);
    if (end == std::string_view::npos) return error("expected }");
    const auto bounds = text_.substr(at_, end + 1 - at_);
    if (bounds.find_first_not_of("{},0123456789") != bounds.npos || bounds.size() > 20) {
      return error("expected {m,n}");
    }
    at_ = end + 1;
    return std::string(bounds);
  }

  // The escapes of GBNF in a string or a class; others stand for themselves.
  Result<std::string> read_character() {
    if (!next_is("\\")) {
      const auto length = utf8_sequence_length(text_.substr(at_));
      if (length == 0) return error("not UTF-8");
      at_ += length;
      return std::string(text_.substr(at_ - length, length));
    }
    at_ += 1;
    const char c = at_ < text_.size() ? text_[at_++] : '\0';
    switch (c) {
      case 'n': return std::string("\n");
      case 'r': return std::string("\r");
      case 't': return std::string("\t");
      case 'x': return read_hex(2);
      case 'u': return read_hex(4);
      case 'U': return read_hex(8);
      case '\0': return error("expected a character after \\");
    }
    return std::string(1, c);
  }

  Result<std::string> read_hex(std::size_t n_digits) {
    std::uint32_t code_point = 0;
    for (std::size_t i = 0; i < n_digits; ++i) {
      const char c = at_ < text_.size() ? text_[at_++] : '\0';
      const auto digit = std::string_view("0123456789abcdef").find(static_cast<char>(c | 0x20));
      const auto decimal = std::string_view("0123456789").find(c);
      if (digit == std::string_view::npos && decimal == std::string_view::npos) {
        return error("expected a hex digit");
      }
      code_point = code_point * 16 +
                   static_cast<std::uint32_t>(decimal != std::string_view::npos ? decimal : digit);
    }
    if (code_point > 0x10FFFF || (code_point >= 0xD800 && code_point <= 0xDFFF)) {
      return error("not a character");
    }
    std::string out;
    if (code_point < 0x80) {
      out += static_cast<char>(code_point);
    } else if (code_point < 0x800) {
      out += static_cast<char>(0xC0 | code_point >> 6);
      out += static_cast<char>(0x80 | (code_point & 0x3F));
    } else if (code_point < 0x10000) {
      out += static_cast<char>(0xE0 | code_point >> 12);
      out += static_cast<char>(0x80 | (code_point >> 6 & 0x3F));
      out += static_cast<char>(0x80 | (code_point & 0x3F));
    } else {
      out += static_cast<char>(0xF0 | code_point >> 18);
      out += static_cast<char>(0x80 | (code_point >> 12 & 0x3F));
      out += static_cast<char>(0x80 | (code_point >> 6 & 0x3F));
      out += static_cast<char>(0x80 | (code_point & 0x3F));
    }
    return out;
  }

  Result<std::string> read_string() {
    std::string out;
    while (!take("\"")) {
      if (at_ == text_.size() || next_is("\n")) return error("the string does not end");
      out += (out.empty() ? "" : " ") + lark_literal(TRY(read_character()));
    }
    return out.empty() ? "\"\"" : "(" + out + ")";
  }

  Result<std::string> read_class() {
    take("[");
    std::string pattern = take("^") ? "[^" : "[";
    int n_characters = 0;
    while (!take("]")) {
      if (at_ == text_.size() || next_is("\n")) return error("the class does not end");
      if (next_is("-")) {
        // A range if it stands between two characters.
        const bool is_range = n_characters > 0 && !next_is("-]");
        pattern += is_range ? "-" : "\\-";
        at_ += 1;
        continue;
      }
      const auto character = TRY(read_character());
      ++n_characters;
      const bool is_special = character.size() == 1 && std::string_view("[]^-\\").find(
                                                           character[0]) != std::string_view::npos;
      pattern += (is_special ? "\\" : "") + character;
    }
    const auto parsed = TRY_IN(fmt::format("line {}", line()),
                               RegexPattern::parse(pattern + "]", RegexPattern::Search::No));
    return parsed.terminal(TextForm::Raw);
  }

  std::string_view text_;
  std::size_t at_ = 0;
  std::map<std::string, std::string, std::less<>> rules_;
  std::map<std::string, std::string, std::less<>> names_;
  std::map<std::string, int, std::less<>> uses_;
};

}  // namespace

bool is_gbnf(std::string_view text) {
  bool in_string = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\') {
      ++i;
    } else if (text[i] == '"') {
      in_string = !in_string;
    } else if (text[i] == '\n') {
      in_string = false;
    } else if (!in_string && text.substr(i).starts_with("::=")) {
      return true;
    }
  }
  return false;
}

Result<std::string> lark_from_gbnf(std::string_view text) {
  if (!is_utf8(text)) return invalid_argument("not UTF-8");
  return GbnfReader(text).read();
}

Status check_names_no_tokens(std::string_view lark) {
  int line = 1;
  char quote = '\0';  // " or / while in a string or an expression
  for (std::size_t i = 0; i < lark.size(); ++i) {
    const char c = lark[i];
    if (c == '\n') ++line;
    if (quote != '\0') {
      if (c == '\\') {
        ++i;
      } else if (c == quote) {
        quote = '\0';
      }
    } else if (c == '#' || lark.substr(i).starts_with("//")) {
      while (i + 1 < lark.size() && lark[i + 1] != '\n') ++i;
    } else if (c == '"' || c == '/') {
      quote = c;
    } else if (c == '<') {
      return invalid_argument("line {}: control tokens cannot be part of an answer", line);
    }
  }
  return {};
}

}  // namespace fourfold
