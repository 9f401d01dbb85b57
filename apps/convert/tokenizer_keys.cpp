#include "convert/tokenizer_keys.h"

#include <algorithm>
#include <cstdint>
#include <string_view>

#include "base/mapped_file.h"
#include "base/utf8.h"
#include "formats/chat_template.h"
#include "formats/tokenizer_data.h"

namespace fourfold {
namespace {

constexpr std::string_view kTokenizerFile = "tokenizer.json";
constexpr float kSpecialScore = -1000.0f;

enum class PieceType : std::int32_t {
  Normal = 1,
  Control = 3,
  UserDefined = 4,
  Unused = 5,
  Byte = 6
};

// Control pieces that readers print, since answers are parsed by them (text-model.md 6).
constexpr std::string_view kShownPieces[] = {
    "<|tool_call>", "<tool_call|>", "<|tool_response>", "<tool_response|>",
    "<|channel>",   "<channel|>",   "<|\"|>",
};

bool is_byte_piece(std::string_view text) {
  return text.size() == 6 && text.starts_with("<0x") && text.ends_with('>');
}

class TokenizerKeys {
 public:
  TokenizerKeys(TokenizerData data, const ModelConfig& config, GgufWriter& out)
      : data_(std::move(data)), config_(config), out_(out) {}

  Status write() {
    TRY(fit_pieces());
    set_types();
    if (is_gemma4()) {
      out_.add_string("tokenizer.ggml.model", "gemma4");
    } else {
      out_.add_string("tokenizer.ggml.model", "llama");
      out_.add_string("tokenizer.ggml.pre", "default");
    }
    out_.add_strings("tokenizer.ggml.tokens", data_.pieces);
    out_.add_floats("tokenizer.ggml.scores", scores());
    out_.add_ints("tokenizer.ggml.token_type", types_);
    TRY(add_merges());
    add_ids();
    return {};
  }

 private:
  bool is_gemma4() const { return config_.text.family == Family::Gemma4; }

  // As many pieces as the embedding has rows. Gemma 3's tokenizer.json has one more than its
  // text bodies, the padded embeddings of others have more rows.
  Status fit_pieces() {
    const auto n_rows = static_cast<std::size_t>(config_.text.vocab_size);
    for (std::size_t id = n_rows; id < data_.pieces.size(); ++id) {
      if (std::ranges::find(data_.special, static_cast<std::int32_t>(id)) != data_.special.end()) {
        continue;
      }
      return data_loss("piece {} {}: the embedding has {} rows", id, printable(data_.pieces[id]),
                       n_rows);
    }
    n_real_pieces_ = std::min(n_rows, data_.pieces.size());
    data_.pieces.resize(n_real_pieces_);
    for (std::size_t id = n_real_pieces_; id < n_rows; ++id) {
      data_.pieces.push_back(data_.owned.emplace_back(fmt::format("[PAD{}]", id)));
    }
    return {};
  }

  void set_types() {
    const std::size_t n_pieces = data_.pieces.size();
    types_.assign(n_pieces, static_cast<std::int32_t>(PieceType::Normal));
    const auto set = [&](std::size_t id, PieceType type) {
      if (id < n_pieces) types_[id] = static_cast<std::int32_t>(type);
    };
    for (std::size_t id = 0; id < n_pieces; ++id) {
      if (is_byte_piece(data_.pieces[id])) set(id, PieceType::Byte);
      if (id >= n_real_pieces_) set(id, PieceType::Unused);
    }
    // Gemma 4 encodes such pieces as ordinary text.
    if (!is_gemma4()) {
      for (const auto id : data_.user_defined) {
        set(static_cast<std::size_t>(id), PieceType::UserDefined);
      }
    }
    for (const auto id : data_.special) {
      const auto at = static_cast<std::size_t>(id);
      const bool shown = at < n_pieces && std::ranges::find(kShownPieces, data_.pieces[at]) !=
                                              std::end(kShownPieces);
      set(at, shown ? PieceType::UserDefined : PieceType::Control);
    }
  }

  // Ids are ranks in these vocabularies; readers that go by the merges do not look at them.
  std::vector<float> scores() const {
    std::vector<float> scores;
    for (std::size_t id = 0; id < types_.size(); ++id) {
      const bool normal = types_[id] == static_cast<std::int32_t>(PieceType::Normal);
      scores.push_back(normal ? -static_cast<float>(id) : kSpecialScore);
    }
    return scores;
  }

  Status add_merges() {
    std::vector<std::string> texts;
    texts.reserve(data_.merges.size());
    for (const auto& [left, right] : data_.merges) {
      std::string& text = texts.emplace_back(fmt::format("{} {}", left, right));
      const auto split = split_merge(text);
      if (!split || split->left != left) {
        return data_loss("merge {}: {} cannot be written with a space between its parts",
                         texts.size() - 1, printable(text));
      }
    }
    const std::vector<std::string_view> views(texts.begin(), texts.end());
    out_.add_strings("tokenizer.ggml.merges", views);
    return {};
  }

  void add_id(std::string_view key, std::string_view piece) {
    const auto found = std::ranges::find(data_.pieces, piece);
    if (found == data_.pieces.end()) return;
    out_.add_u32(key, static_cast<std::uint32_t>(found - data_.pieces.begin()));
  }

  // Of several ids that end an answer readers expect the end of the turn.
  void add_end_ids() {
    const auto& ids = config_.eos_ids;
    const auto* turn_close = is_gemma4() ? "<turn|>" : "<end_of_turn>";
    const auto turn_end = std::ranges::find_if(
        ids, [&](int id) { return data_.pieces[static_cast<std::size_t>(id)] == turn_close; });
    if (turn_end != ids.end()) {
      add_id("tokenizer.ggml.eos_token_id", turn_close);
      add_id("tokenizer.ggml.eot_token_id", turn_close);
    } else if (!ids.empty()) {
      out_.add_u32("tokenizer.ggml.eos_token_id", static_cast<std::uint32_t>(ids.front()));
    } else {
      add_id("tokenizer.ggml.eos_token_id", "<eos>");
    }
    if (ids.size() > 1) out_.add_ints("tokenizer.ggml.eos_token_ids", ids);
  }

  void add_ids() {
    add_id("tokenizer.ggml.bos_token_id", "<bos>");
    add_end_ids();
    add_id("tokenizer.ggml.unknown_token_id", "<unk>");
    add_id("tokenizer.ggml.padding_token_id", "<pad>");
    add_id("tokenizer.ggml.mask_token_id", "<mask>");
    out_.add_bool("tokenizer.ggml.add_bos_token", true);
    out_.add_bool("tokenizer.ggml.add_space_prefix", false);
  }

  TokenizerData data_;
  const ModelConfig& config_;
  GgufWriter& out_;
  std::size_t n_real_pieces_ = 0;
  std::vector<std::int32_t> types_;
};

}  // namespace

Status add_tokenizer_keys(const Checkpoint& checkpoint, const ModelConfig& config, GgufWriter& out,
                          std::vector<std::string>& warnings) {
  const auto path = checkpoint.find_file(kTokenizerFile);
  if (path.empty()) {
    warnings.push_back(fmt::format("{}/{}: no such file: the new file has no tokenizer",
                                   checkpoint.path(), kTokenizerFile));
  } else {
    const auto file = TRY(MappedFile::open(path));  // owns the texts of the pieces
    const auto bytes = file->bytes();
    auto data = TRY_IN(
        path, read_json_tokenizer({reinterpret_cast<const char*>(bytes.data()), bytes.size()}));
    warnings.insert(warnings.end(), data.warnings.begin(), data.warnings.end());
    TRY_IN(path, TokenizerKeys(std::move(data), config, out).write());
  }
  if (!config.suppress_ids.empty()) {
    out.add_ints("tokenizer.ggml.suppress_tokens", config.suppress_ids);
  }
  const auto chat_template = find_chat_template(checkpoint);
  if (!chat_template.empty()) out.add_string("tokenizer.chat_template", chat_template);
  return {};
}

}  // namespace fourfold
