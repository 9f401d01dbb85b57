// From files to a checked Tokenizer.
#include <algorithm>
#include <cmath>
#include <filesystem>
#include <utility>

#include "base/mapped_file.h"
#include "base/utf8.h"
#include "formats/tokenizer_data.h"
#include "tokenizer/merge_list.h"
#include "tokenizer/tokenizer.h"

namespace fourfold {
namespace {

constexpr std::string_view kTokenizerJson = "tokenizer.json";

Result<Family> find_family(const PieceTable& pieces) {
  for (const Family family : {Family::Gemma4, Family::Gemma3}) {
    const ControlIds ids = find_control_ids(family, pieces);
    if (ids.turn_open == kNoToken || ids.turn_close == kNoToken) continue;
    for (const std::string_view text : {"<bos>", "<eos>", "▁"}) {
      if (pieces.find(text) == kNoToken) return data_loss("the vocabulary has no piece {}", text);
    }
    return family;
  }
  return invalid_argument(
      "not a Gemma vocabulary: neither <|turn> and <turn|> nor <start_of_turn> and <end_of_turn> "
      "are among its {} pieces",
      pieces.size());
}

Result<BytePieces> find_byte_pieces(const PieceTable& pieces) {
  BytePieces ids;
  for (int byte = 0; byte < 256; ++byte) {
    const auto text = fmt::format("<0x{:02X}>", byte);
    ids[byte] = pieces.find(text);
    if (ids[byte] == kNoToken) return data_loss("the vocabulary has no piece {}", text);
  }
  return ids;
}

Status check_size(const std::vector<std::string_view>& pieces) {
  constexpr std::size_t kLimit = std::size_t{1} << 30;
  std::size_t n_bytes = 0;
  for (const auto piece : pieces) n_bytes += piece.size();
  if (n_bytes > kLimit || pieces.size() > kLimit) {
    return resource_exhausted("{} pieces of {} bytes (at most {})", pieces.size(), n_bytes, kLimit);
  }
  return {};
}

Status check_utf8(const PieceTable& pieces) {
  for (TokenId id = 0; id < pieces.size(); ++id) {
    if (!is_utf8(pieces[id]))
      return data_loss("piece {}: {} is not UTF-8", id, printable(pieces[id]));
  }
  return {};
}

// From either kind of file. `is_atom`: pieces that nothing may merge to.
Result<MergeList> find_merges(const TokenizerData& data, const PieceTable& pieces, Family family,
                              std::vector<bool> is_atom) {
  if (data.merges.empty() && family == Family::Gemma4) {
    return data_loss("no merges (a Gemma 4 file has them: it was cut or badly converted)");
  }
  if (data.merges.empty()) {
    if (data.scores.empty()) return data_loss("neither merges nor scores");
    for (const float score : data.scores) {
      if (!std::isfinite(score)) return data_loss("a score is not finite");
    }
    for (const TokenId id : data.user_defined) is_atom[id] = true;
    return merges_of_scores(data.scores, pieces, is_atom);
  }
  MergeList merges = TRY(resolve_merges(data.merges, pieces));
  for (const auto& entry : merges) {
    if (is_atom[entry.merge.merged]) {
      return data_loss("{} + {} merge to {}, which is no ordinary text",
                       printable(pieces[entry.left]), printable(pieces[entry.right]),
                       printable(pieces[entry.merge.merged]));
    }
  }
  return merges;
}

// Pieces that plain text must never become by merging, or an answer would obey what a user typed.
std::vector<bool> find_atoms(const PieceTable& pieces, Family family,
                             const BytePieces& byte_pieces) {
  std::vector<bool> is_atom(static_cast<std::size_t>(pieces.size()), false);
  for (const TokenId id : byte_pieces) is_atom[id] = true;
  const ControlIds control = find_control_ids(family, pieces);
  for (const auto& piece : control_pieces(family)) {
    if (control.*piece.id != kNoToken) is_atom[control.*piece.id] = true;
  }
  return is_atom;
}

std::string_view text_of(const MappedFile& file) {
  const auto bytes = file.bytes();
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

Result<Tokenizer> open_json(const std::string& path) {
  const auto file = TRY(MappedFile::open(path));
  return TRY_IN(path, Tokenizer::from_json(text_of(*file)));
}

}  // namespace

Result<Tokenizer> Tokenizer::build(TokenizerData data) {
  TRY(check_size(data.pieces));
  PieceTable pieces(data.pieces);
  TRY(check_utf8(pieces));
  const Family family = TRY(find_family(pieces));
  const BytePieces byte_pieces = TRY(find_byte_pieces(pieces));
  MergeTable merges(
      TRY(find_merges(data, pieces, family, find_atoms(pieces, family, byte_pieces))));
  const int n_merges = static_cast<int>(data.merges.size());
  return Tokenizer({family, std::move(pieces), byte_pieces, std::move(merges), n_merges},
                   std::move(data));
}

Result<Tokenizer> Tokenizer::from_gguf(const GgufMetadata& metadata) {
  return build(TRY(read_gguf_tokenizer(metadata)));
}

Result<Tokenizer> Tokenizer::from_json(std::string_view text) {
  return build(TRY(read_json_tokenizer(text)));
}

Result<Tokenizer> Tokenizer::load(const Checkpoint& checkpoint) {
  if (const auto* metadata = checkpoint.metadata()) {
    return TRY_IN(checkpoint.path(), from_gguf(*metadata));
  }
  return open(checkpoint.path());
}

Result<Tokenizer> Tokenizer::open(const std::string& path) {
  std::error_code ignored;
  if (std::filesystem::is_directory(path, ignored)) {
    return open_json((std::filesystem::path(path) / kTokenizerJson).string());
  }
  const auto file = TRY(MappedFile::open(path));
  const std::string_view text = text_of(*file);
  const std::size_t first = std::min(text.find_first_not_of(" \n\r\t"), text.size());
  if (text.substr(first).starts_with('{')) return TRY_IN(path, from_json(text));
  if (!text.starts_with("GGUF")) {
    return invalid_argument("{}: neither a GGUF file nor a tokenizer.json", path);
  }
  const auto gguf = TRY(GgufFile::parse(file));
  if (gguf.metadata().find("tokenizer.ggml.tokens") != nullptr) {
    return TRY_IN(path, from_gguf(gguf.metadata()));
  }
  // Only the first part of a split set has the vocabulary.
  return load(TRY(Checkpoint::open(path)));
}

}  // namespace fourfold
