#include "tokenizer/tokenizer.h"

#include <algorithm>
#include <utility>

#include "formats/tokenizer_data.h"
#include "tokenizer/id_bits.h"

namespace fourfold {
namespace {

constexpr std::string_view kSpaceMark = "▁";

std::string replace_all(std::string_view text, std::string_view from, std::string_view to) {
  std::string out;
  for (;;) {
    const std::size_t at = text.find(from);
    out += text.substr(0, at);
    if (at == text.npos) return out;
    out += to;
    text.remove_prefix(at + from.size());
  }
}

TextTable texts_of_pieces(const PieceTable& pieces, const BytePieces& byte_pieces) {
  std::vector<int> byte_of(static_cast<std::size_t>(pieces.size()), -1);
  for (int byte = 0; byte < 256; ++byte) byte_of[byte_pieces[byte]] = byte;
  TextTable texts;
  for (TokenId id = 0; id < pieces.size(); ++id) {
    const char byte = static_cast<char>(byte_of[id]);
    if (byte_of[id] >= 0) {
      texts.add({&byte, 1});
    } else if (pieces[id].find(kSpaceMark) == std::string_view::npos) {
      texts.add(pieces[id]);
    } else {
      texts.add(replace_all(pieces[id], kSpaceMark, " "));
    }
  }
  return texts;
}

// <unused0>, <unused1>, … and [multimodal]: kept in the vocabulary for later, never trained.
bool is_unused(std::string_view piece) {
  return piece.starts_with("<unused") && piece.ends_with('>');
}
bool is_reserved(std::string_view piece) { return is_unused(piece) || piece == "[multimodal]"; }

}  // namespace

Tokenizer::Tokenizer(Parts parts, TokenizerData data)
    : family_(parts.family),
      n_merges_(parts.n_merges),
      pieces_(std::move(parts.pieces)),
      bytes_(texts_of_pieces(pieces_, parts.byte_pieces)),
      bpe_(pieces_, parts.byte_pieces, std::move(parts.merges)),
      control_(find_control_ids(family_, pieces_)),
      is_control_(static_cast<std::size_t>(vocab_size()), false),
      text_ids_(n_id_words(vocab_size()), 0),
      warnings_(std::move(data.warnings)) {
  for (const auto& control : control_pieces(family_)) {
    const TokenId id = control_.*control.id;
    if (id == kNoToken) continue;
    is_control_[id] = true;
    control_matcher_.add(control.text, id);
    if (!control.may_be_sampled) never_sampled_.push_back(id);
  }
  for (TokenId id = 0; id < vocab_size(); ++id) {
    if (is_reserved(pieces_[id])) never_sampled_.push_back(id);
  }
  std::sort(never_sampled_.begin(), never_sampled_.end());
  for (TokenId id = 0; id < vocab_size(); ++id) {
    if (!is_control_[id]) set_id(text_ids_, id);
  }
  for (const TokenId id : never_sampled_) clear_id(text_ids_, id);
  for (const TokenId id : {control_.eos, control_.turn_close, control_.tool_response_open}) {
    if (id != kNoToken) stop_ids_.push_back(id);
  }
  if (family_ != Family::Gemma3) return;
  for (const TokenId id : data.user_defined) {
    const std::string_view text = pieces_[id];
    if (!is_control_[id] && !is_unused(text) && !text.empty()) user_defined_.add(text, id);
  }
}

bool Tokenizer::ends_turn(TokenId id) const {
  return id == control_.turn_open ||
         std::find(stop_ids_.begin(), stop_ids_.end(), id) != stop_ids_.end();
}

std::vector<TokenId> Tokenizer::with_bos(std::vector<TokenId> ids) const {
  if (ids.empty() || ids.front() != control_.bos) ids.insert(ids.begin(), control_.bos);
  return ids;
}

std::vector<TokenId> Tokenizer::encode(std::string_view text, Trust trust) const {
  const Range whole = {0, text.size()};
  return encode_ranges(text,
                       trust == Trust::Trusted ? std::span(&whole, 1) : std::span<const Range>());
}

std::vector<TokenId> Tokenizer::encode(std::span<const Segment> segments) const {
  std::string text;
  std::vector<Range> trusted;
  for (const auto& segment : segments) {
    const Range range = {text.size(), text.size() + segment.text.size()};
    text += segment.text;
    if (segment.trust == Trust::Untrusted) continue;
    if (!trusted.empty() && trusted.back().end == range.begin) {
      trusted.back().end = range.end;
    } else {
      trusted.push_back(range);
    }
  }
  return encode_ranges(text, trusted);
}

std::vector<TokenId> Tokenizer::encode_ranges(std::string_view text,
                                              std::span<const Range> trusted) const {
  std::vector<TokenId> ids;
  std::size_t n_done = 0;
  for (const auto& range : trusted) {
    for (std::size_t at = range.begin; at < range.end;) {
      const auto match = control_matcher_.find_first(text.substr(at, range.end - at));
      if (match.id == kNoToken) break;
      encode_plain(text.substr(n_done, at + match.begin - n_done), ids);
      ids.push_back(match.id);
      at += match.end;
      n_done = at;
    }
  }
  encode_plain(text.substr(n_done), ids);
  return ids;
}

void Tokenizer::encode_plain(std::string_view text, std::vector<TokenId>& ids) const {
  if (text.empty()) return;
  if (user_defined_.empty()) return bpe_.encode(text, ids);
  // Runs of ▁ are among the user-defined pieces, so spaces are replaced before these match.
  const std::string marked = replace_all(text, " ", kSpaceMark);
  std::string_view rest = marked;
  while (!rest.empty()) {
    const auto match = user_defined_.find_first(rest);
    bpe_.encode(rest.substr(0, match.begin), ids);
    if (match.id != kNoToken) ids.push_back(match.id);
    rest.remove_prefix(match.end);
  }
}

}  // namespace fourfold
