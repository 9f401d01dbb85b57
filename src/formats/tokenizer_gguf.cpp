// The tokenizer.ggml keys of a GGUF file.
#include <cstdint>
#include <string>
#include <utility>

#include "base/utf8.h"
#include "formats/tokenizer_data.h"

namespace fourfold {
namespace {

constexpr std::string_view kTokens = "tokenizer.ggml.tokens";
constexpr std::string_view kTypes = "tokenizer.ggml.token_type";
constexpr std::string_view kScores = "tokenizer.ggml.scores";
constexpr std::string_view kMerges = "tokenizer.ggml.merges";

constexpr std::string_view kSpecialIds[] = {
    "tokenizer.ggml.bos_token_id",     "tokenizer.ggml.eos_token_id",
    "tokenizer.ggml.eot_token_id",     "tokenizer.ggml.unknown_token_id",
    "tokenizer.ggml.padding_token_id", "tokenizer.ggml.mask_token_id",
};

// Null when absent; an array with another number of entries than pieces is an error.
Result<const GgufNumberArray*> find_per_piece(const GgufMetadata& metadata, std::string_view key,
                                              std::size_t n_pieces) {
  const GgufValue* value = metadata.find(key);
  if (value == nullptr) return nullptr;
  const auto* numbers = std::get_if<GgufNumberArray>(value);
  if (numbers == nullptr) return invalid_argument("{}: not an array of numbers", key);
  if (numbers->count != n_pieces) {
    return data_loss("{}: {} entries ({} expected, one per piece)", key, numbers->count, n_pieces);
  }
  return numbers;
}

// The strings in the ids are looked up by name; here only nonsense is refused.
Status check_special_ids(const GgufMetadata& metadata, std::size_t n_pieces) {
  for (const auto key : kSpecialIds) {
    const auto id = TRY(metadata.find_u64(key));
    if (id && *id >= n_pieces) {
      return data_loss("{}: {} (an id below {} expected)", key, *id, n_pieces);
    }
  }
  return {};
}

// Converters of Gemma 3 write runs of ▁ as runs of spaces.
void replace_spaces(TokenizerData& data) {
  for (auto& piece : data.pieces) {
    if (piece.find(' ') == piece.npos) continue;
    std::string& replaced = data.owned.emplace_back();
    for (const char c : piece) {
      if (c == ' ') {
        replaced += "▁";
      } else {
        replaced += c;
      }
    }
    piece = replaced;
  }
}

Result<std::vector<MergeText>> split_merges(const GgufStringArray& texts) {
  std::vector<MergeText> merges;
  merges.reserve(texts.size());
  for (const auto text : texts) {
    const auto merge = split_merge(text);
    if (!merge) {
      return data_loss("{}[{}]: {} (\"left right\" expected)", kMerges, merges.size(),
                       printable(text));
    }
    merges.push_back(*merge);
  }
  return merges;
}

Result<std::vector<std::int32_t>> find_user_defined(const GgufMetadata& metadata,
                                                    std::size_t n_pieces) {
  constexpr std::int64_t kUserDefined = 4;
  const auto* types = TRY(find_per_piece(metadata, kTypes, n_pieces));
  std::vector<std::int32_t> ids;
  if (types == nullptr) return ids;
  if (types->is_float()) return invalid_argument("{}: not an array of integers", kTypes);
  for (std::size_t id = 0; id < n_pieces; ++id) {
    if (types->int_at(id) == kUserDefined) ids.push_back(static_cast<std::int32_t>(id));
  }
  return ids;
}

Result<std::vector<float>> read_floats(std::string_view key, const GgufNumberArray& numbers) {
  if (!numbers.is_float()) return invalid_argument("{}: not an array of floats", key);
  std::vector<float> floats;
  floats.reserve(numbers.count);
  for (std::uint64_t i = 0; i < numbers.count; ++i) {
    floats.push_back(static_cast<float>(numbers.float_at(i)));
  }
  return floats;
}

}  // namespace

std::optional<MergeText> split_merge(std::string_view text) {
  const auto space = text.find(' ', 1);
  if (space == text.npos || space + 1 == text.size()) return std::nullopt;
  return MergeText{text.substr(0, space), text.substr(space + 1)};
}

Result<TokenizerData> read_gguf_tokenizer(const GgufMetadata& metadata) {
  const auto* tokens = TRY(metadata.find_strings(kTokens));
  if (tokens == nullptr) return not_found("{}: missing, the file holds no tokenizer", kTokens);
  const auto model = TRY(metadata.require_string("tokenizer.ggml.model"));
  if (model != "gemma4" && model != "llama") {
    return invalid_argument("tokenizer.ggml.model: {} is not supported (gemma4, llama)",
                            printable(model));
  }
  const std::size_t n_pieces = tokens->size();
  TRY(check_special_ids(metadata, n_pieces));

  TokenizerData data;
  data.pieces = *tokens;
  data.user_defined = TRY(find_user_defined(metadata, n_pieces));
  replace_spaces(data);
  const auto* scores = TRY(find_per_piece(metadata, kScores, n_pieces));
  const auto* merges = TRY(metadata.find_strings(kMerges));
  if (merges != nullptr && !merges->empty()) {
    data.merges = TRY(split_merges(*merges));
  } else if (scores != nullptr) {
    data.scores = TRY(read_floats(kScores, *scores));
  }
  return data;
}

}  // namespace fourfold
