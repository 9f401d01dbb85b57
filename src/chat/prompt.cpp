#include "chat/prompt.h"

#include <utility>

namespace fourfold {
namespace {

struct BlockSpelling {
  std::string_view open, soft, close;
};

// Frames have the markers of pictures and a soft token of their own (vision-video.md 6).
BlockSpelling spelling_of(MediaPiece::Kind kind) {
  switch (kind) {
    case MediaPiece::Kind::Image: return {"<|image>", "<|image|>", "<image|>"};
    case MediaPiece::Kind::Video: return {"<|image>", "<|video|>", "<image|>"};
    case MediaPiece::Kind::Audio: return {"<|audio>", "<|audio|>", "<audio|>"};
    case MediaPiece::Kind::Text: break;
  }
  return {};
}

bool is_soft_token(const Tokenizer& tokenizer, TokenId id) {
  const ControlIds& control = tokenizer.control();
  return id != kNoToken && (id == control.image || id == control.audio || id == control.video);
}

// Every soft token of the ids with its number among them.
std::vector<std::int64_t> soft_places(const Tokenizer& tokenizer, std::span<const TokenId> ids) {
  std::vector<std::int64_t> places;
  for (std::size_t i = 0; i < ids.size(); ++i) {
    if (is_soft_token(tokenizer, ids[i])) places.push_back(static_cast<std::int64_t>(i));
  }
  return places;
}

}  // namespace

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

void PromptWriter::placeholder(Part::Kind kind) {
  switch (kind) {
    case Part::Kind::Image: trusted("<|image|>"); break;
    case Part::Kind::Audio: trusted("<|audio|>"); break;
    case Part::Kind::Video: trusted("<|video|>"); break;
    case Part::Kind::Text:
    case Part::Kind::Unknown: return;
  }
  places_.push_back(nullptr);
}

void PromptWriter::media(const std::vector<MediaPiece>& pieces) {
  for (const MediaPiece& piece : pieces) {
    if (piece.kind == MediaPiece::Kind::Text) {
      trusted(piece.text);
      continue;
    }
    const BlockSpelling spelling = spelling_of(piece.kind);
    trusted(spelling.open);
    trusted(spelling.soft);
    trusted(spelling.close);
    places_.push_back(piece.rows);
  }
}

Result<Prompt> PromptWriter::finish(const Tokenizer& tokenizer) && {
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
  // Untrusted text never has control tokens, so the places are met in their order.
  const auto ids = tokenizer.with_bos(tokenizer.encode(segments));
  std::size_t n_places = 0;
  for (const TokenId id : ids) {
    const bool is_place = is_soft_token(tokenizer, id) && n_places < places_.size();
    const auto rows = is_place ? places_[n_places++] : nullptr;
    if (!rows) {
      prompt.ids.push_back(id);
      continue;
    }
    prompt.soft.push_back({static_cast<std::int64_t>(prompt.ids.size()), rows});
    prompt.ids.insert(prompt.ids.end(), static_cast<std::size_t>(rows->n_rows), id);
  }
  if (n_places < places_.size()) {
    return failed_precondition("this vocabulary has no tokens for images, audio and video");
  }
  prompt.text = std::move(text_);
  prompt.untrusted = std::move(untrusted_);
  return prompt;
}

std::vector<SoftSpan> moved_spans(const Tokenizer& tokenizer, std::span<const TokenId> from,
                                  std::vector<SoftSpan> spans, std::span<const TokenId> to) {
  if (spans.empty()) return spans;
  const auto old_places = soft_places(tokenizer, from), new_places = soft_places(tokenizer, to);
  std::size_t number = 0;
  for (SoftSpan& span : spans) {
    while (old_places[number] != span.first) ++number;
    span.first = new_places[number];
  }
  return spans;
}

}  // namespace fourfold
