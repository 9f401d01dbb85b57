// Text ⇄ token ids of the Gemma families.
//
//   const auto tokenizer = TRY(Tokenizer::open("gemma-4-E2B-it.gguf"));
//   const auto ids = tokenizer.with_bos(tokenizer.encode("Hello", Trust::Untrusted));
//   const std::string text = decode(tokenizer, ids);  // detokenizer.h
//
// The pipeline belongs to the vocabulary and not to the file: one model has one encoding, from
// whichever of its files. Immutable once loaded; any number of threads may use it.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "formats/checkpoint.h"
#include "tokenizer/bpe.h"
#include "tokenizer/control_tokens.h"
#include "tokenizer/literal_matcher.h"
#include "tokenizer/piece_table.h"
#include "tokenizer/token_id.h"

namespace fourfold {

// May the strings of control pieces in a text become these pieces? In a user's text they may not.
enum class Trust { Untrusted, Trusted };

struct Segment {
  std::string_view text;
  Trust trust = Trust::Untrusted;
};

struct TokenizerData;

class Tokenizer {
 public:
  // From a model that is open already.
  static Result<Tokenizer> load(const Checkpoint& checkpoint);
  static Result<Tokenizer> from_gguf(const GgufMetadata& metadata);
  static Result<Tokenizer> from_json(std::string_view text);  // of a tokenizer.json
  // Reads nothing but the tokenizer: a GGUF, a folder with a tokenizer.json, or a tokenizer.json.
  static Result<Tokenizer> open(const std::string& path);

  Family family() const { return family_; }
  int vocab_size() const { return pieces_.size(); }
  int n_merges() const { return n_merges_; }
  const std::vector<std::string>& warnings() const { return warnings_; }

  // No BOS is added and nothing trimmed. Ill-formed UTF-8 becomes byte pieces.
  std::vector<TokenId> encode(std::string_view text, Trust trust) const;
  // The same as one text of many segments: tokens may reach across their borders, control strings
  // match inside neighbouring trusted ones only.
  std::vector<TokenId> encode(std::span<const Segment> segments) const;

  // Every sequence has exactly one <bos>, at its beginning.
  std::vector<TokenId> with_bos(std::vector<TokenId> ids) const;

  bool is_valid(TokenId id) const { return id >= 0 && id < vocab_size(); }
  // What a valid id adds to a text: control pieces their string, byte pieces a byte that may be
  // part of a character, others their text with spaces for ▁.
  std::string_view bytes(TokenId id) const { return bytes_[id]; }
  // The text in the vocabulary.
  std::string_view piece(TokenId id) const { return pieces_[id]; }
  TokenId find_piece(std::string_view text) const { return pieces_.find(text); }

  const ControlIds& control() const { return control_; }
  bool is_control(TokenId id) const {
    return is_valid(id) && is_control_[static_cast<std::size_t>(id)];
  }

  // What ends an answer of a chat model: <eos>, <turn|> and <|tool_response>, as far as present.
  const std::vector<TokenId>& stop_ids() const { return stop_ids_; }
  // Those, and <|turn>: the model goes on with another speaker.
  bool ends_turn(TokenId id) const;
  // Control pieces that belong to prompts, and reserved pieces. Sorted.
  const std::vector<TokenId>& never_sampled() const { return never_sampled_; }
  // All ids but control pieces and those: what a text may consist of. As id_bits.h has them.
  std::span<const std::uint64_t> text_ids() const { return text_ids_; }

 private:
  // What build() has checked and the encoder needs.
  struct Parts {
    Family family;
    PieceTable pieces;
    BytePieces byte_pieces;
    MergeTable merges;
    int n_merges;
  };
  struct Range {
    std::size_t begin = 0, end = 0;
  };

  Tokenizer(Parts parts, TokenizerData data);
  static Result<Tokenizer> build(TokenizerData data);

  // Control strings match inside the trusted ranges, which are in order and apart.
  std::vector<TokenId> encode_ranges(std::string_view text, std::span<const Range> trusted) const;
  void encode_plain(std::string_view text, std::vector<TokenId>& ids) const;

  Family family_;
  int n_merges_ = 0;
  PieceTable pieces_;
  TextTable bytes_;
  Bpe bpe_;
  ControlIds control_;
  std::vector<bool> is_control_;  // by id
  LiteralMatcher control_matcher_;
  LiteralMatcher user_defined_;  // Gemma 3: runs of blanks and HTML tags, in every text
  std::vector<TokenId> stop_ids_;
  std::vector<TokenId> never_sampled_;
  std::vector<std::uint64_t> text_ids_;
  std::vector<std::string> warnings_;
};

}  // namespace fourfold
