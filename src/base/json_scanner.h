// Reads JSON of a known shape from front to back without building a tree: a tokenizer.json has 1.3
// million strings. An error is remembered, ends all loops, and is asked for once, at the end.
//
//   JsonScanner json(text);
//   json.begin_object();
//   while (const auto key = json.next_key()) {
//     if (*key == "id") id = json.read_integer(); else json.skip_value();
//   }
//   TRY(json.finish());
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace fourfold {

class JsonScanner {
 public:
  static constexpr int kMaxDepth = 64;

  // Strings that are read are views of `text`; those with escapes are kept in `unescaped`.
  JsonScanner(std::string_view text, std::deque<std::string>& unescaped)
      : text_(text), unescaped_(unescaped) {}

  // The first byte of the next value; 0 at the end and after an error.
  char peek() {
    while (at_ < text_.size() && is_space(text_[at_])) ++at_;
    return at_ < text_.size() ? text_[at_] : '\0';
  }

  void begin_object() { begin('{'); }
  std::optional<std::string_view> next_key();  // nullopt after the last member
  void begin_array() { begin('['); }
  bool next_element();  // false after the last one

  std::string_view read_string() {  // not checked to be UTF-8
    expect('"');
    const std::size_t begin = at_;
    while (at_ < text_.size() && !ends_plain_text(text_[at_])) ++at_;
    if (at_ == text_.size() || text_[at_] != '"') return read_escaped(begin);
    return text_.substr(begin, at_++ - begin);
  }
  std::int64_t read_integer();
  bool read_bool();
  std::string_view skip_value();  // the text of the value

  std::size_t n_bytes_left() const { return text_.size() - at_; }

  // Remembers what is wrong here, unless something was wrong before.
  void fail(std::string_view what);
  bool failed() const { return error_.has_value(); }

  // DataLoss with the byte offset if anything failed or something follows the first value.
  Status finish();

 private:
  static bool is_space(char c) { return c == ' ' || c == '\n' || c == '\r' || c == '\t'; }
  static bool ends_plain_text(char c) {
    return c == '"' || c == '\\' || static_cast<unsigned char>(c) < 0x20;
  }

  void expect(char c) {
    if (peek() != c) return fail_expecting(c);
    ++at_;
  }
  void fail_expecting(char c);
  void begin(char opener);
  bool next(char closer);
  void expect_word(std::string_view word);
  void skip_number();
  std::string_view read_escaped(std::size_t begin);
  void append_escape(std::string& out);
  std::uint32_t read_hex4();

  std::string_view text_;
  std::size_t at_ = 0;
  int depth_ = 0;
  bool at_first_ = false;  // just behind an opening bracket
  std::optional<Error> error_;
  std::deque<std::string>& unescaped_;
};

}  // namespace fourfold
