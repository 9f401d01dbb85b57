// tokenizer.json: the vocabulary is believed, the pipeline around it is ours whatever it says.
#include <fmt/ranges.h>

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>

#include "base/json.h"
#include "base/json_scanner.h"
#include "base/utf8.h"
#include "formats/tokenizer_data.h"

namespace fourfold {
namespace {

constexpr std::size_t kBytesPerMerge = 12;  // at least, on average; merges come last in a file

struct PlacedPiece {
  std::string_view text;
  std::int64_t id = -1;
};

struct AddedToken {
  PlacedPiece piece;
  bool special = false;
};

struct JsonTokenizer {
  std::string_view model_type = "BPE";
  std::vector<PlacedPiece> vocab;
  std::vector<AddedToken> added;
  std::vector<MergeText> merges;
  std::vector<std::string> ignored;  // pipeline sections of an unknown form
  std::deque<std::string> owned;
};

// The forms of pipeline sections that say what Bpe does. A section with another value is ignored.
struct KnownForm {
  std::string_view section;
  const char* json;
};
constexpr KnownForm kKnownForms[] = {
    {"truncation", "null"},
    {"padding", "null"},
    {"normalizer", R"({"type":"Replace","pattern":{"String":" "},"content":"▁"})"},
    {"pre_tokenizer", "null"},
    {"pre_tokenizer", R"({"type":"Split","pattern":{"String":" "},
                          "behavior":"MergedWithPrevious","invert":false})"},
    {"post_processor", "null"},
    // Gemma 3 puts <bos> in front; here that is the caller's matter for every file.
    {"post_processor",
     R"({"type":"TemplateProcessing",
         "single":[{"SpecialToken":{"id":"<bos>","type_id":0}},{"Sequence":{"id":"A","type_id":0}}],
         "pair":[{"SpecialToken":{"id":"<bos>","type_id":0}},{"Sequence":{"id":"A","type_id":0}},
                 {"SpecialToken":{"id":"<bos>","type_id":1}},{"Sequence":{"id":"B","type_id":1}}],
         "special_tokens":{"<bos>":{"id":"<bos>","ids":[2],"tokens":["<bos>"]}}})"},
    {"decoder", R"({"type":"Sequence","decoders":[
                     {"type":"Replace","pattern":{"String":"▁"},"content":" "},
                     {"type":"ByteFallback"},{"type":"Fuse"}]})"},
    {"model.dropout", "null"},
    {"model.unk_token", R"("<unk>")"},
    {"model.continuing_subword_prefix", "null"},
    {"model.continuing_subword_prefix", R"("")"},
    {"model.end_of_word_suffix", "null"},
    {"model.end_of_word_suffix", R"("")"},
    {"model.fuse_unk", "true"},
    {"model.byte_fallback", "true"},
    {"model.ignore_merges", "false"},
};

void note_section(std::string_view section, std::string_view text, JsonTokenizer& out) {
  const auto value = parse_json(text);
  bool is_listed = false;
  for (const auto& known : kKnownForms) {
    if (known.section != section) continue;
    is_listed = true;
    if (value && *value == nlohmann::json::parse(known.json)) return;
  }
  if (is_listed) out.ignored.emplace_back(section);
}

MergeText read_merge(JsonScanner& json) {
  if (json.peek() == '"') {
    const auto merge = split_merge(json.read_string());
    if (!merge) json.fail("merge without two parts (\"left right\" expected)");
    return merge.value_or(MergeText{});
  }
  std::string_view parts[2];
  std::size_t n_parts = 0;
  json.begin_array();
  while (json.next_element()) {
    if (n_parts == 2) json.fail("merge of more than two parts");
    if (!json.failed()) parts[n_parts++] = json.read_string();
  }
  if (n_parts != 2) json.fail("merge of fewer than two parts");
  return {parts[0], parts[1]};
}

void read_model(JsonScanner& json, JsonTokenizer& out) {
  json.begin_object();
  while (const auto key = json.next_key()) {
    if (*key == "type") {
      out.model_type = json.read_string();
    } else if (*key == "vocab") {
      if (json.peek() != '{') json.fail("\"vocab\" is not an object (piece → id expected)");
      json.begin_object();
      while (const auto piece = json.next_key()) out.vocab.push_back({*piece, json.read_integer()});
    } else if (*key == "merges") {
      out.merges.reserve(json.n_bytes_left() / kBytesPerMerge);
      json.begin_array();
      while (json.next_element()) out.merges.push_back(read_merge(json));
    } else {
      note_section(fmt::format("model.{}", *key), json.skip_value(), out);
    }
  }
}

void read_added_tokens(JsonScanner& json, JsonTokenizer& out) {
  json.begin_array();
  while (json.next_element()) {
    AddedToken& token = out.added.emplace_back();
    json.begin_object();
    while (const auto key = json.next_key()) {
      if (*key == "id") {
        token.piece.id = json.read_integer();
      } else if (*key == "content") {
        token.piece.text = json.read_string();
      } else if (*key == "special") {
        token.special = json.read_bool();
      } else {
        json.skip_value();
      }
    }
  }
}

Result<JsonTokenizer> scan(std::string_view text) {
  JsonTokenizer out;
  JsonScanner json(text, out.owned);
  json.begin_object();
  while (const auto key = json.next_key()) {
    if (*key == "model") {
      read_model(json, out);
    } else if (*key == "added_tokens") {
      read_added_tokens(json, out);
    } else {
      note_section(*key, json.skip_value(), out);
    }
  }
  TRY(json.finish());
  return out;
}

// Puts every piece at its id. Ids must be those from 0 up without a hole.
Result<std::vector<std::string_view>> place_pieces(const JsonTokenizer& json) {
  const std::size_t n_ids_at_most = json.vocab.size() + json.added.size();
  std::vector<std::string_view> pieces(n_ids_at_most);
  std::vector<bool> taken(n_ids_at_most, false);
  std::size_t n_taken = 0;
  const auto place = [&](const PlacedPiece& piece) -> Status {
    const auto id = static_cast<std::size_t>(piece.id);  // negative ones become huge
    if (id >= n_ids_at_most) {
      return data_loss("piece {}: id {} (0 to {} expected)", printable(piece.text), piece.id,
                       n_ids_at_most - 1);
    }
    if (taken[id] && pieces[id] != piece.text) {
      return data_loss("id {} stands for both {} and {}", id, printable(pieces[id]),
                       printable(piece.text));
    }
    n_taken += taken[id] ? 0 : 1;
    taken[id] = true;
    pieces[id] = piece.text;
    return {};
  };
  for (const auto& piece : json.vocab) TRY(place(piece));
  for (const auto& token : json.added) TRY(place(token.piece));
  for (std::size_t id = 0; id < n_taken; ++id) {
    if (!taken[id]) return data_loss("no piece has id {} ({} pieces in all)", id, n_taken);
  }
  pieces.resize(n_taken);
  return pieces;
}

}  // namespace

Result<TokenizerData> read_json_tokenizer(std::string_view text) {
  JsonTokenizer json = TRY(scan(text));
  if (json.model_type != "BPE") {
    return invalid_argument("model.type: {} is not supported (BPE)", printable(json.model_type));
  }
  TokenizerData data;
  data.pieces = TRY(place_pieces(json));
  for (const auto& token : json.added) {
    auto& ids = token.special ? data.special : data.user_defined;
    ids.push_back(static_cast<std::int32_t>(token.piece.id));
  }
  if (!json.ignored.empty()) {
    data.warnings.push_back(fmt::format("{} ignored: text is encoded as the vocabulary needs it",
                                        fmt::join(json.ignored, ", ")));
  }
  data.merges = std::move(json.merges);
  data.owned = std::move(json.owned);
  return data;
}

}  // namespace fourfold
