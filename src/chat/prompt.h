// A prompt while it is written, and when it is done: what the template says is trusted, what came
// with the request is not. Control strings in the latter stay text (tokenizer-chat.md 4.8).
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "chat/conversation.h"
#include "tensor/soft_rows.h"
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
  std::vector<SoftSpan> soft;        // where rows of media stand in ids, ascending
  // The prompt ends inside a thought, which the model goes on with.
  bool thought_is_open = false;
};

class PromptWriter {
 public:
  void trusted(std::string_view text) { text_ += text; }
  void untrusted(std::string_view text);
  // A place for a medium that nobody has looked at: the bare token.
  void placeholder(Part::Kind kind);
  // A medium that was looked at: texts, and blocks of soft tokens between their markers. In the
  // text one token stands for all of a block.
  void media(const std::vector<MediaPiece>& pieces);

  std::size_t size() const { return text_.size(); }

  // As one text: tokens may reach across the borders of trusted and untrusted. FailedPrecondition
  // when the vocabulary has no tokens for a medium.
  Result<Prompt> finish(const Tokenizer& tokenizer) &&;

 private:
  std::string text_;
  std::vector<ByteRange> untrusted_;
  std::vector<std::shared_ptr<const SoftRows>> places_;  // in order; null for a bare token
};

// Where these spans stand in other ids that have the same soft tokens in the same order.
std::vector<SoftSpan> moved_spans(const Tokenizer& tokenizer, std::span<const TokenId> from,
                                  std::vector<SoftSpan> spans, std::span<const TokenId> to);

}  // namespace fourfold
