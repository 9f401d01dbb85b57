// A prompt while it is written, and when it is done: what the template says is trusted, what came
// with the request is not. Control strings in the latter stay text (tokenizer-chat.md 4.8).
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "tokenizer/token_id.h"
#include "tokenizer/tokenizer.h"

namespace fourfold {

// Bytes [begin, end) of a text.
struct ByteRange {
  std::size_t begin = 0, end = 0;

  friend bool operator==(const ByteRange&, const ByteRange&) = default;
};

struct Prompt {
  std::string text;
  std::vector<TokenId> ids;
  std::vector<ByteRange> untrusted;  // in order, apart, none of them empty
  // The prompt ends inside a thought, which the model goes on with.
  bool thought_is_open = false;
};

class PromptWriter {
 public:
  void trusted(std::string_view text) { text_ += text; }
  void untrusted(std::string_view text);

  std::size_t size() const { return text_.size(); }

  // As one text: tokens may reach across the borders of trusted and untrusted.
  Prompt finish(const Tokenizer& tokenizer) &&;

 private:
  std::string text_;
  std::vector<ByteRange> untrusted_;
};

}  // namespace fourfold
