// Token ids → UTF-8 text, whole or as they come.
//
//   Detokenizer detokenizer(tokenizer);
//   for (const TokenId id : ids) print(detokenizer.push(id));
//   print(detokenizer.finish());
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "tokenizer/token_id.h"
#include "tokenizer/tokenizer.h"

namespace fourfold {

struct DetokenizeOptions {
  bool hide_control = false;
};

// What it returns is always well-formed: each maximal part of an ill-formed sequence becomes
// U+FFFD (Unicode 3.9, as Python and Rust do).
class Detokenizer {
 public:
  // `tokenizer` must outlive this.
  explicit Detokenizer(const Tokenizer& tokenizer, DetokenizeOptions options = {})
      : tokenizer_(&tokenizer), options_(options) {}

  // The text that is certain after `id`. At most three bytes are held back, and only while they
  // can still become one character. Ids outside the vocabulary add nothing.
  std::string push(TokenId id);
  // What is still held back, as U+FFFD. The object can be used again.
  std::string finish();

 private:
  friend std::string decode(const Tokenizer&, std::span<const TokenId>, DetokenizeOptions);

  void append(TokenId id, std::string& out);
  void release(bool at_end, std::string& out);

  const Tokenizer* tokenizer_;  // the caller's
  DetokenizeOptions options_;
  std::string held_;  // the bytes of an unfinished character
};

std::string decode(const Tokenizer& tokenizer, std::span<const TokenId> ids,
                   DetokenizeOptions options = {});

}  // namespace fourfold
