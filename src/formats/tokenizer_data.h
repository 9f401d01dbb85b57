// What a tokenizer file holds, before it is checked and made fast: the common form of GGUF metadata
// and tokenizer.json.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "formats/gguf.h"

namespace fourfold {

struct MergeText {
  std::string_view left, right;
};

// Views point into the source, which outlives this, or into `owned`.
struct TokenizerData {
  std::vector<std::string_view> pieces;    // by id
  std::vector<MergeText> merges;           // the first is merged first
  std::vector<float> scores;               // by id; only when the file has no merges
  std::vector<std::int32_t> user_defined;  // ids matched as whole strings (Gemma 3; else unused)
  std::vector<std::int32_t> special;       // tokenizer.json: ids of its special added tokens
  std::deque<std::string> owned;           // texts that the source spells differently
  std::vector<std::string> warnings;
};

Result<TokenizerData> read_gguf_tokenizer(const GgufMetadata& metadata);
Result<TokenizerData> read_json_tokenizer(std::string_view text);

// "left right", split at the first space after position 0.
std::optional<MergeText> split_merge(std::string_view text);

}  // namespace fourfold
