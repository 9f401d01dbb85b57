#include "chat/call_syntax.h"

#include <algorithm>
#include <optional>
#include <string>
#include <unordered_map>

#include "chat/white_space.h"

namespace fourfold {
namespace {

constexpr std::size_t kMaxDepth = 128;  // as in the JSON that clients send back

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
bool is_beyond_ascii(char c) { return static_cast<unsigned char>(c) >= 0x80 && c != kQuoteMark; }

bool has_quote_mark(std::string_view text) { return text.find(kQuoteMark) != text.npos; }

bool is_name_of_grammar(std::string_view name) {
  return std::all_of(name.begin(), name.end(), [](char c) {
    return is_letter(c) || is_digit(c) ||
           std::string_view(" _:'\"/\\.()-").find(c) != std::string_view::npos;
  });
}

bool is_key_of_grammar(std::string_view key) {
  if (key.empty() || is_digit(key.front())) return false;
  return std::all_of(key.begin(), key.end(),
                     [](char c) { return is_letter(c) || is_digit(c) || c == '_'; });
}

std::string lower_case(std::string_view text) {
  std::string lower(text);
  std::transform(lower.begin(), lower.end(), lower.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
  return lower;
}

// Bytes of the digits that `text` begins with.
std::size_t count_digits(std::string_view text) {
  return static_cast<std::size_t>(std::find_if_not(text.begin(), text.end(), is_digit) -
                                  text.begin());
}

// -?digits(.digits)?([eE][+-]?digits)? without its leading zeros, as JSON wants it; nullopt for
// everything else.
std::optional<std::string> read_number(std::string_view text) {
  std::string number;
  if (text.starts_with('-')) {
    number += '-';
    text.remove_prefix(1);
  }
  const std::size_t n_whole = count_digits(text);
  if (n_whole == 0) return std::nullopt;
  const std::size_t n_zeros = std::min(text.find_first_not_of('0'), n_whole - 1);
  number += text.substr(n_zeros);
  text.remove_prefix(n_whole);
  if (text.starts_with('.')) {
    const std::size_t n_fraction = count_digits(text.substr(1));
    if (n_fraction == 0) return std::nullopt;
    text.remove_prefix(1 + n_fraction);
  }
  if (text.starts_with('e') || text.starts_with('E')) {
    text.remove_prefix(1);
    if (text.starts_with('+') || text.starts_with('-')) text.remove_prefix(1);
    if (text.empty() || count_digits(text) != text.size()) return std::nullopt;
    return number;
  }
  if (!text.empty()) return std::nullopt;
  return number;
}

// The four hexadecimal digits that `text` begins with.
std::optional<char32_t> read_hex4(std::string_view text) {
  if (text.size() < 4) return std::nullopt;
  char32_t code = 0;
  for (const char c : text.substr(0, 4)) {
    const auto digit = std::string_view("0123456789abcdef").find(lower_case({&c, 1}));
    if (digit == std::string_view::npos) return std::nullopt;
    code = code << 4 | static_cast<char32_t>(digit);
  }
  return code;
}

// What follows the backslash of a JSON string, moved from `text` to `out`. Unknown escapes stay as
// they are.
void read_escape(std::string_view& text, std::string& out) {
  constexpr std::string_view kLetters = "\"\\/bfnrt", kMeanings = "\"\\/\b\f\n\r\t";
  if (text.empty()) {
    out += '\\';
    return;
  }
  if (const auto at = kLetters.find(text.front()); at != kLetters.npos) {
    out += kMeanings[at];
    text.remove_prefix(1);
    return;
  }
  const auto code = text.front() == 'u' ? read_hex4(text.substr(1)) : std::nullopt;
  if (!code) {
    out += '\\';
    return;
  }
  text.remove_prefix(5);
  const bool is_high = *code >= 0xD800 && *code < 0xDC00;
  const bool is_surrogate = *code >= 0xD800 && *code < 0xE000;
  const auto low = is_high && text.starts_with("\\u") ? read_hex4(text.substr(2)) : std::nullopt;
  if (low && *low >= 0xDC00 && *low < 0xE000) {
    append_utf8(0x10000 + ((*code - 0xD800) << 10) + (*low - 0xDC00), out);
    text.remove_prefix(6);
  } else {
    append_utf8(is_surrogate ? U'\uFFFD' : *code, out);
  }
}

std::string unescape(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    const std::size_t n_plain = std::min(text.find('\\'), text.size());
    out += text.substr(0, n_plain);
    text.remove_prefix(n_plain);
    if (text.empty()) break;
    text.remove_prefix(1);
    read_escape(text, out);
  }
  return out;
}

// Where the JSON string ends whose opening quote is before `at`; npos if it does not.
std::size_t find_json_quote(std::string_view text, std::size_t at) {
  for (; at < text.size(); ++at) {
    if (text[at] == '"') return at;
    if (text[at] == '\\') ++at;
  }
  return text.npos;
}

// Values one by one, each repaired by itself.
class CallReader {
 public:
  CallReader(std::string_view text, CallEnd end) : text_(text), end_(end) {}

  Result<ToolCall> read() {
    ToolCall call;
    call.name = TRY(read_name());
    call.arguments = TRY(read_object());
    skip_space();
    if (!at_end()) return malformed("text after the last }");
    call.repaired = repaired_;
    return call;
  }

 private:
  enum class Place { Object, List };

  bool at_end() const { return at_ == text_.size(); }
  bool is_next(char c) const { return !at_end() && text_[at_] == c; }
  bool take(char c) {
    if (!is_next(c)) return false;
    ++at_;
    return true;
  }
  std::string_view rest() const { return text_.substr(at_); }
  void skip_space() { at_ = text_.size() - trim_start(rest()).size(); }

  Error malformed(std::string_view what) const {
    return invalid_argument("byte {}: {}", at_, what);
  }

  // Everything up to the first {.
  Result<std::string> read_name() {
    const auto brace = text_.find('{');
    if (brace == text_.npos) return malformed("no { in the call");
    std::string_view name = trim_end(trim_start(text_.substr(0, brace)));
    if (const auto after_call = trim_start(name.substr(name.starts_with("call") ? 4 : 0));
        name.starts_with("call") && after_call.starts_with(':')) {
      name = trim_start(after_call.substr(1));
    } else {
      repaired_ = true;
      if (name.starts_with(':')) name = trim_start(name.substr(1));
    }
    if (name.empty() || has_quote_mark(name)) return malformed("no name before {");
    if (!is_name_of_grammar(name)) repaired_ = true;
    at_ = brace;
    return std::string(name);
  }

  Result<JsonValue> read_value(Place place) {
    skip_space();
    if (at_end()) return malformed("no value");
    switch (text_[at_]) {
      case '{': return read_object();
      case '[': return read_list();
      case kQuoteMark: return read_string();
      case '"': return read_foreign_string(&CallReader::read_json_quoted);
      case '\'': return read_foreign_string(&CallReader::read_single_quoted);
      default: return read_bare(place);
    }
  }

  Result<JsonValue> read_object() {
    JsonValue object = JsonValue::object();
    std::unordered_map<std::string, std::size_t> places;  // of the keys; the last value counts
    TRY(open('}'));
    while (!TRY(is_closed())) {
      auto key = TRY(read_key());
      auto value = TRY(read_value(Place::Object));
      const auto [place, is_new] = places.try_emplace(key, object.members.size());
      if (is_new) {
        object.members.push_back({.key = std::move(key), .value = std::move(value)});
      } else {
        object.members[place->second].value = std::move(value);
      }
      TRY(read_comma());
    }
    return object;
  }

  Result<JsonValue> read_list() {
    JsonValue list = JsonValue::array();
    TRY(open(']'));
    while (!TRY(is_closed())) {
      list.items.push_back(TRY(read_value(Place::List)));
      TRY(read_comma());
    }
    return list;
  }

  // Steps over a bracket whose partner is `closer`.
  Status open(char closer) {
    if (closers_.size() == kMaxDepth) return malformed("nested too deeply");
    closers_ += closer;
    ++at_;
    return {};
  }

  // Whether the innermost bracket ends here; steps over its partner. Brackets may be missing at the
  // end, but not only they.
  Result<bool> is_closed() {
    skip_space();
    if (!at_end() && !is_next(closers_.back())) return false;
    if (at_end() && (end_ == CallEnd::Cut || !repaired_)) return malformed("a bracket is missing");
    if (!at_end()) ++at_;
    closers_.pop_back();
    return true;
  }

  // Between two members or items; one may stand before the closing bracket.
  Status read_comma() {
    skip_space();
    if (at_end() || is_next(closers_.back())) return {};
    if (!take(',')) return malformed("neither , nor the closing bracket after a value");
    skip_space();
    if (at_end() || is_next(closers_.back())) repaired_ = true;
    return {};
  }

  // A key and the colon behind it.
  Result<std::string> read_key() {
    std::string key;
    if (is_next(kQuoteMark) || is_next('"') || is_next('\'')) {
      repaired_ = true;
      key = TRY(read_quoted_key());
    } else {
      key = TRY(read_bare_key());
    }
    skip_space();
    if (is_next('=')) repaired_ = true;
    if (!take(':') && !take('=')) return malformed("no : after a key");
    return key;
  }

  Result<std::string> read_quoted_key() {
    const char quote = text_[at_];
    const auto end = find_end_of_key(at_);
    if (end == text_.npos) return malformed("a key in quotes does not end");
    const auto key = text_.substr(at_ + 1, end - at_ - 1);
    if (has_quote_mark(key)) return malformed("<|\"|> inside a key");
    at_ = end + 1;
    return quote == '"' ? unescape(key) : std::string(key);
  }

  // The closing quote of a quoted key that begins at `at`.
  std::size_t find_end_of_key(std::size_t at) const {
    return text_[at] == '"' ? find_json_quote(text_, at + 1) : text_.find(text_[at], at + 1);
  }

  Result<std::string> read_bare_key() {
    const auto end = text_.find_first_of(":=", at_);
    if (end == text_.npos) return malformed("no : after a key");
    const auto key = trim_end(text_.substr(at_, end - at_));
    if (key.empty() || key.find_first_of("{}[],\"\xFF") != key.npos) return malformed("no key");
    if (!is_key_of_grammar(key)) repaired_ = true;
    at_ = end;
    return std::string(key);
  }

  Result<JsonValue> read_string() {
    const auto begin = at_ + 1;
    const auto end = text_.find(kQuoteMark, begin);
    if (end == text_.npos) return read_open_string(begin);
    at_ = end + 1;
    return JsonValue::of(std::string(text_.substr(begin, end - begin)));
  }

  // The last string was not closed: it ends before the final brackets, as many of them as match the
  // open ones from the outside in.
  Result<JsonValue> read_open_string(std::size_t begin) {
    if (end_ == CallEnd::Cut) return malformed("a string does not end");
    repaired_ = true;
    std::string_view value = text_.substr(begin);
    for (const char closer : closers_) {
      const auto without_space = trim_end(value);
      if (!without_space.ends_with(closer)) break;
      value = without_space.substr(0, without_space.size() - 1);
    }
    at_ = begin + value.size();
    return JsonValue::of(std::string(value));
  }

  // Other quotes than ours; one of ours may dangle behind.
  Result<JsonValue> read_foreign_string(Result<std::string> (CallReader::*read_quoted)()) {
    repaired_ = true;
    auto value = TRY((this->*read_quoted)());
    if (has_quote_mark(value)) return malformed("<|\"|> inside a string");
    skip_space();
    take(kQuoteMark);
    return JsonValue::of(std::move(value));
  }

  Result<std::string> read_json_quoted() {
    const auto begin = at_ + 1;
    const auto end = find_json_quote(text_, begin);
    if (end == text_.npos) return malformed("a string does not end");
    at_ = end + 1;
    return unescape(text_.substr(begin, end - begin));
  }

  // Up to the first ' that something may follow: apostrophes are no ends.
  Result<std::string> read_single_quoted() {
    const auto begin = at_ + 1;
    for (auto end = text_.find('\'', begin); end != text_.npos; end = text_.find('\'', end + 1)) {
      const auto after = trim_start(text_.substr(end + 1));
      if (!after.empty() && std::string_view(",}]\xFF").find(after.front()) == after.npos) continue;
      at_ = end + 1;
      return std::string(text_.substr(begin, end - begin));
    }
    return malformed("a string does not end");
  }

  // A number, a word, or a string without quotes.
  Result<JsonValue> read_bare(Place place) {
    const auto end = std::min(text_.find_first_of(",}]", at_), text_.size());
    if (auto scalar = read_scalar(trim_end(text_.substr(at_, end - at_)))) {
      at_ = end;
      return std::move(*scalar);
    }
    repaired_ = true;
    const auto bare_end = find_end_of_bare(place);
    auto value = trim_end(text_.substr(at_, bare_end - at_));
    if (value.ends_with(',')) value = trim_end(value.substr(0, value.size() - 1));
    if (value.empty() || has_quote_mark(value)) return malformed("no value");
    at_ = bare_end;
    return JsonValue::of(std::string(value));
  }

  std::optional<JsonValue> read_scalar(std::string_view text) {
    if (auto number = read_number(text)) return JsonValue::number(std::move(*number));
    if (text == "true" || text == "false") return JsonValue::of(text == "true");
    if (text == "null") return JsonValue::null();
    const bool is_bool = text == "True" || text == "False";
    const std::string word = text.size() <= 4 ? lower_case(text) : "";
    if (!is_bool && word != "null" && word != "none" && word != "nil") return std::nullopt;
    repaired_ = true;
    return is_bool ? JsonValue::of(text == "True") : JsonValue::null();
  }

  std::size_t find_end_of_bare(Place place) const {
    int level = 0;
    for (std::size_t at = at_; at < text_.size(); ++at) {
      switch (text_[at]) {
        case '(':
        case '[':
        case '{': ++level; break;
        case ')': level = std::max(level - 1, 0); break;
        case ']':
        case '}':
          if (level == 0) return at;
          --level;
          break;
        case ',':
          if (level == 0 && (place == Place::List || is_key_ahead(at + 1))) return at;
          break;
        default: break;
      }
    }
    return text_.size();
  }

  bool is_key_ahead(std::size_t at) const {
    at = text_.size() - trim_start(text_.substr(at)).size();
    if (at == text_.size()) return false;
    const char first = text_[at];
    std::size_t end = at;
    if (first == kQuoteMark || first == '"' || first == '\'') {
      end = find_end_of_key(at);
      if (end == text_.npos) return false;
      ++end;
    } else if (is_letter(first) || first == '_' || is_beyond_ascii(first)) {
      const auto is_part = [](char c) {
        return is_letter(c) || is_digit(c) || is_beyond_ascii(c) || c == '_' || c == '-' ||
               c == '.';
      };
      while (end < text_.size() && is_part(text_[end])) ++end;
    }
    const auto after = trim_start(text_.substr(end));
    return end > at && (after.starts_with(':') || after.starts_with('='));
  }

  std::string_view text_;
  CallEnd end_;
  std::size_t at_ = 0;
  std::string closers_;  // of the open brackets, the outermost first
  bool repaired_ = false;
};

}  // namespace

Result<ToolCall> read_call(std::string_view text, CallEnd end) {
  return CallReader(text, end).read();
}

}  // namespace fourfold
