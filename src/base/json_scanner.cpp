#include "base/json_scanner.h"

#include <charconv>
#include <utility>

#include "base/code_point.h"

namespace fourfold {
void JsonScanner::fail(std::string_view what) {
  if (!error_) error_ = data_loss("offset {}: {}", at_, what);
  at_ = text_.size();
}

Status JsonScanner::finish() {
  peek();  // skips white space
  if (at_ < text_.size()) fail("text after the end (one JSON object was expected)");
  if (error_) return *error_;
  return {};
}

void JsonScanner::fail_expecting(char c) { fail(fmt::format("'{}' expected", c)); }

void JsonScanner::begin(char opener) {
  expect(opener);
  at_first_ = true;
  if (++depth_ > kMaxDepth) fail(fmt::format("more than {} nested values", kMaxDepth));
}

bool JsonScanner::next(char closer) {
  if (failed()) return false;
  const bool first = std::exchange(at_first_, false);
  if (peek() == closer) {
    ++at_;
    --depth_;
    return false;
  }
  if (!first) expect(',');
  return !failed();
}

bool JsonScanner::next_element() { return next(']'); }

std::optional<std::string_view> JsonScanner::next_key() {
  if (!next('}')) return std::nullopt;
  const auto key = read_string();
  expect(':');
  if (failed()) return std::nullopt;
  return key;
}

std::string_view JsonScanner::read_escaped(std::size_t begin) {
  std::string& out = unescaped_.emplace_back(text_.substr(begin, at_ - begin));
  while (at_ < text_.size() && text_[at_] != '"') {
    if (text_[at_] == '\\') {
      append_escape(out);
    } else if (ends_plain_text(text_[at_])) {
      break;
    } else {
      out += text_[at_++];
    }
  }
  expect('"');
  return out;
}

void JsonScanner::append_escape(std::string& out) {
  constexpr std::string_view kNames = "\"\\/bfnrt", kMeanings = "\"\\/\b\f\n\r\t";
  if (at_ + 1 >= text_.size()) return fail("string not closed");
  const char name = text_[at_ + 1];
  at_ += 2;
  if (const auto known = kNames.find(name); known != kNames.npos) {
    out += kMeanings[known];
    return;
  }
  if (name != 'u') return fail("unknown escape");
  std::uint32_t code = read_hex4();
  if (code >= 0xD800 && code < 0xDC00 && text_.substr(at_, 2) == "\\u") {
    at_ += 2;
    const std::uint32_t low = read_hex4();
    if (low < 0xDC00 || low > 0xDFFF) return fail("lone surrogate");
    code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
  }
  if (code >= 0xD800 && code <= 0xDFFF) return fail("lone surrogate");
  append_utf8(code, out);
}

std::uint32_t JsonScanner::read_hex4() {
  const auto digits = text_.substr(at_, 4);
  std::uint32_t code = 0;
  const auto result = std::from_chars(digits.data(), digits.data() + digits.size(), code, 16);
  if (digits.size() != 4 || result.ptr != digits.data() + 4) {
    fail("four hexadecimal digits expected");
    return 0;
  }
  at_ += 4;
  return code;
}

std::int64_t JsonScanner::read_integer() {
  peek();  // skips white space
  std::int64_t value = 0;
  const char* end = text_.data() + text_.size();
  const auto result = std::from_chars(text_.data() + at_, end, value);
  if (result.ec != std::errc{}) {
    fail("integer expected");
    return 0;
  }
  at_ = static_cast<std::size_t>(result.ptr - text_.data());
  return value;
}

bool JsonScanner::read_bool() {
  const bool value = peek() == 't';
  expect_word(value ? "true" : "false");
  return value;
}

void JsonScanner::expect_word(std::string_view word) {
  if (text_.substr(at_, word.size()) != word) return fail(fmt::format("{} expected", word));
  at_ += word.size();
}

void JsonScanner::skip_number() {
  const std::size_t begin = at_;
  while (at_ < text_.size() && std::string_view("+-.0123456789eE").find(text_[at_]) != text_.npos) {
    ++at_;
  }
  if (at_ == begin) fail("value expected");
}

std::string_view JsonScanner::skip_value() {
  const char first = peek();
  const std::size_t begin = at_;
  switch (first) {
    case '{':
      begin_object();
      while (next_key()) skip_value();
      break;
    case '[':
      begin_array();
      while (next_element()) skip_value();
      break;
    case '"': read_string(); break;
    case 't': expect_word("true"); break;
    case 'f': expect_word("false"); break;
    case 'n': expect_word("null"); break;
    default: skip_number();
  }
  return failed() ? std::string_view() : text_.substr(begin, at_ - begin);
}

}  // namespace fourfold
