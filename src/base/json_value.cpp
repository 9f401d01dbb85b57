#include "base/json_value.h"

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <unordered_map>

#include "base/code_point.h"

namespace fourfold {
namespace {

constexpr std::string_view kByteOrderMark = "\uFEFF";
constexpr std::string_view kReplacement = "\uFFFD";

bool is_high_surrogate(char32_t unit) { return unit >= 0xD800 && unit < 0xDC00; }
bool is_low_surrogate(char32_t unit) { return unit >= 0xDC00 && unit < 0xE000; }

class Reader {
 public:
  Reader(std::string_view text, const JsonReadOptions& options) : text_(text), options_(options) {
    if (text_.starts_with(kByteOrderMark)) at_ = kByteOrderMark.size();
  }

  Result<JsonValue> read_document() {
    auto value = TRY(read_value(0));
    skip_blanks();
    if (at_ < text_.size()) return fail("expected the end of the text");
    return value;
  }

 private:
  Result<JsonValue> read_value(int depth) {
    skip_blanks();
    switch (peek()) {
      case '{': return read_object(depth + 1);
      case '[': return read_array(depth + 1);
      case '"': return JsonValue::of(TRY(read_string()));
      case 't': return read_word("true", JsonValue::of(true));
      case 'f': return read_word("false", JsonValue::of(false));
      case 'n': return read_word("null", JsonValue::null());
      default: return read_number();
    }
  }

  Result<JsonValue> read_object(int depth) {
    if (depth > options_.max_depth) return too_deep();
    JsonValue object = JsonValue::object();
    std::unordered_map<std::string, std::size_t> places;  // of the keys
    ++at_;
    skip_blanks();
    if (take('}')) return object;
    do {
      skip_blanks();
      if (peek() != '"') return fail("expected a key in double quotes");
      auto key = TRY(read_string());
      skip_blanks();
      if (!take(':')) return fail("expected \":\"");
      auto value = TRY(read_value(depth));
      const auto [place, is_new] = places.try_emplace(key, object.members.size());
      if (is_new) {
        object.members.push_back({std::move(key), std::move(value)});
      } else {
        object.members[place->second].value = std::move(value);
      }
      skip_blanks();
    } while (take(','));
    if (!take('}')) return fail("expected \",\" or \"}\"");
    return object;
  }

  Result<JsonValue> read_array(int depth) {
    if (depth > options_.max_depth) return too_deep();
    JsonValue array = JsonValue::array();
    ++at_;
    skip_blanks();
    if (take(']')) return array;
    do {
      array.items.push_back(TRY(read_value(depth)));
      skip_blanks();
    } while (take(','));
    if (!take(']')) return fail("expected \",\" or \"]\"");
    return array;
  }

  Result<JsonValue> read_word(std::string_view word, JsonValue value) {
    if (!text_.substr(at_).starts_with(word)) return fail("expected a value");
    at_ += word.size();
    return value;
  }

  Result<JsonValue> read_number() {
    const std::size_t begin = at_;
    const bool is_negative = take('-');
    if (peek() < '0' || peek() > '9') {
      return fail(is_negative ? "expected a digit" : "expected a value");
    }
    if (!take('0')) skip_digits();
    if (take('.') && skip_digits() == 0) return fail("expected a digit");
    if (take('e') || take('E')) {
      if (!take('+')) take('-');
      if (skip_digits() == 0) return fail("expected a digit");
    }
    return JsonValue::number(std::string(text_.substr(begin, at_ - begin)));
  }

  Result<std::string> read_string() {
    std::string out;
    ++at_;
    while (!take('"')) {
      if (at_ == text_.size()) return fail("the string has no end");
      if (peek() == '\\') {
        TRY(read_escape(out));
        continue;
      }
      const std::size_t length = utf8_sequence_length(text_.substr(at_));
      if (length == 0) return fail("the text is not UTF-8");
      if (static_cast<unsigned char>(peek()) < 0x20) {
        return fail("control characters in strings are written as \\u00XX");
      }
      out += text_.substr(at_, length);
      at_ += length;
    }
    return out;
  }

  Status read_escape(std::string& out) {
    constexpr std::string_view kNames = "\"\\/bfnrt", kCharacters = "\"\\/\b\f\n\r\t";
    ++at_;
    if (take('u')) return read_unicode_escape(out);
    const auto name = at_ < text_.size() ? kNames.find(peek()) : kNames.npos;
    if (name == kNames.npos) return fail("unknown escape");
    out += kCharacters[name];
    ++at_;
    return {};
  }

  Status read_unicode_escape(std::string& out) {
    const char32_t unit = TRY(read_unit());
    if (is_high_surrogate(unit) && text_.substr(at_).starts_with("\\u")) {
      const std::size_t before = at_;
      at_ += 2;
      const char32_t second = TRY(read_unit());
      if (is_low_surrogate(second)) {
        append_utf8(0x10000 + ((unit - 0xD800) << 10) + (second - 0xDC00), out);
        return {};
      }
      at_ = before;
    }
    if (!is_high_surrogate(unit) && !is_low_surrogate(unit)) {
      append_utf8(unit, out);
    } else if (options_.replace_lone_surrogates) {
      out += kReplacement;
    } else {
      return fail("half of a surrogate pair");
    }
    return {};
  }

  Result<char32_t> read_unit() {
    std::uint32_t unit = 0;
    const char* begin = text_.data() + at_;
    const char* end = begin + std::min<std::size_t>(4, text_.size() - at_);
    if (std::from_chars(begin, end, unit, 16).ptr != begin + 4) {
      return fail("expected four hexadecimal digits");
    }
    at_ += 4;
    return static_cast<char32_t>(unit);
  }

  char peek() const { return at_ < text_.size() ? text_[at_] : '\0'; }
  bool take(char c) {
    if (at_ == text_.size() || text_[at_] != c) return false;
    ++at_;
    return true;
  }
  std::size_t skip_digits() {
    const std::size_t begin = at_;
    while (peek() >= '0' && peek() <= '9') ++at_;
    return at_ - begin;
  }
  void skip_blanks() {
    while (peek() == ' ' || peek() == '\t' || peek() == '\n' || peek() == '\r') ++at_;
  }

  Error fail(std::string_view reason) const {
    return invalid_argument("offset {}: {}", at_, reason);
  }
  Error too_deep() const {
    return invalid_argument("offset {}: nested too deeply (at most {} levels)", at_,
                            options_.max_depth);
  }

  std::string_view text_;
  const JsonReadOptions& options_;
  std::size_t at_ = 0;
};

void append_string(std::string_view text, std::string& out) {
  out += '"';
  for (const char c : text) {
    switch (c) {
      case '"': out += "\\\""; break;
      case '\\': out += "\\\\"; break;
      case '\n': out += "\\n"; break;
      case '\r': out += "\\r"; break;
      case '\t': out += "\\t"; break;
      case '\b': out += "\\b"; break;
      case '\f': out += "\\f"; break;
      default:
        if (static_cast<unsigned char>(c) < 0x20) {
          out += fmt::format("\\u{:04x}", static_cast<unsigned>(c));
        } else {
          out += c;
        }
    }
  }
  out += '"';
}

void append_value(const JsonValue& value, std::string& out) {
  switch (value.kind) {
    case JsonValue::Kind::Null: out += "null"; return;
    case JsonValue::Kind::Bool: out += value.boolean ? "true" : "false"; return;
    case JsonValue::Kind::Number: out += value.text; return;
    case JsonValue::Kind::String: append_string(value.text, out); return;
    case JsonValue::Kind::Array: {
      out += '[';
      for (const auto& item : value.items) {
        if (&item != &value.items.front()) out += ',';
        append_value(item, out);
      }
      out += ']';
      return;
    }
    case JsonValue::Kind::Object: {
      out += '{';
      for (const auto& member : value.members) {
        if (&member != &value.members.front()) out += ',';
        append_string(member.key, out);
        out += ':';
        append_value(member.value, out);
      }
      out += '}';
      return;
    }
  }
}

template <class Members>
auto find_member(Members& members, std::string_view key) {
  return std::find_if(members.begin(), members.end(),
                      [&](const JsonMember& member) { return member.key == key; });
}

}  // namespace

JsonValue JsonValue::null() { return {}; }

JsonValue JsonValue::of(const char* value) { return of(std::string(value)); }

JsonValue JsonValue::of(bool value) {
  JsonValue json;
  json.kind = Kind::Bool;
  json.boolean = value;
  return json;
}

JsonValue JsonValue::of(std::string value) {
  JsonValue json;
  json.kind = Kind::String;
  json.text = std::move(value);
  return json;
}

JsonValue JsonValue::number(std::string spelling) {
  JsonValue json;
  json.kind = Kind::Number;
  json.text = std::move(spelling);
  return json;
}

JsonValue JsonValue::array() { return array(std::vector<JsonValue>()); }

JsonValue JsonValue::array(std::vector<JsonValue> items) {
  JsonValue json;
  json.kind = Kind::Array;
  json.items = std::move(items);
  return json;
}

JsonValue JsonValue::object() { return object(std::vector<JsonMember>()); }

JsonValue JsonValue::object(std::vector<JsonMember> members) {
  JsonValue json;
  json.kind = Kind::Object;
  json.members = std::move(members);
  return json;
}

const JsonValue* JsonValue::find(std::string_view key) const {
  const auto found = find_member(members, key);
  return found == members.end() ? nullptr : &found->value;
}

JsonValue* JsonValue::find(std::string_view key) {
  const auto found = find_member(members, key);
  return found == members.end() ? nullptr : &found->value;
}

void JsonValue::set(std::string_view key, JsonValue value) {
  if (JsonValue* present = find(key)) {
    *present = std::move(value);
  } else {
    members.push_back({std::string(key), std::move(value)});
  }
}

void JsonValue::erase(std::string_view key) {
  const auto found = find_member(members, key);
  if (found != members.end()) members.erase(found);
}

std::string_view JsonValue::kind_name() const {
  switch (kind) {
    case Kind::Null: return "null";
    case Kind::Bool: return "a boolean";
    case Kind::Number: return "a number";
    case Kind::String: return "a string";
    case Kind::Array: return "a list";
    case Kind::Object: return "an object";
  }
  return "";
}

bool operator==(const JsonValue& a, const JsonValue& b) {
  return a.kind == b.kind && a.boolean == b.boolean && a.text == b.text && a.items == b.items &&
         a.members == b.members;
}

bool operator==(const JsonMember& a, const JsonMember& b) {
  return a.key == b.key && a.value == b.value;
}

Result<JsonValue> parse_json_value(std::string_view text, const JsonReadOptions& options) {
  return Reader(text, options).read_document();
}

std::string to_json_text(const JsonValue& value) {
  std::string out;
  append_value(value, out);
  return out;
}

}  // namespace fourfold
