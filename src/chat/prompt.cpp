#include "chat/prompt.h"

#include <utility>

namespace fourfold {

void PromptWriter::untrusted(std::string_view text) {
  if (text.empty()) return;
  const std::size_t begin = text_.size(), end = begin + text.size();
  text_ += text;
  if (!untrusted_.empty() && untrusted_.back().end == begin) {
    untrusted_.back().end = end;
  } else {
    untrusted_.push_back({begin, end});
  }
}

Prompt PromptWriter::finish(const Tokenizer& tokenizer) && {
  std::vector<Segment> segments;
  const std::string_view text = text_;
  std::size_t n_done = 0;
  for (const auto& range : untrusted_) {
    segments.push_back({text.substr(n_done, range.begin - n_done), Trust::Trusted});
    segments.push_back({text.substr(range.begin, range.end - range.begin), Trust::Untrusted});
    n_done = range.end;
  }
  segments.push_back({text.substr(n_done), Trust::Trusted});

  Prompt prompt;
  prompt.ids = tokenizer.with_bos(tokenizer.encode(segments));
  prompt.text = std::move(text_);
  prompt.untrusted = std::move(untrusted_);
  return prompt;
}

}  // namespace fourfold
