#include "tokenizer/test_vocabulary.h"

#include <fmt/core.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "tokenizer/control_tokens.h"

namespace fourfold {
namespace {

constexpr std::int32_t kNormal = 1, kControl = 3, kUserDefined = 4, kByte = 6;

// A piece, and the merge that makes it.
struct Word {
  const char* left;
  const char* right;
};
constexpr Word kWords[] = {
    {"\n\n", "\n"}, {"▁▁", "▁"},  {"\t\t", "\t"}, {"\n", "\n"}, {"▁", "▁"},
    {"\t", "\t"},   {"h", "e"},   {"▁", "w"},     {"o", "r"},   {"l", "d"},
    {"he", "l"},    {"hel", "l"}, {"hell", "o"},  {"▁w", "or"}, {"▁wor", "ld"},
    {"a", "a"},     {"aa", "aa"}, {"e", "l"},     {"=", "="},   {"é", "é"},
};

TestVocabulary common(Family family) {
  TestVocabulary out;
  for (const auto& control : control_pieces(family)) {
    out.pieces.emplace_back(control.text);
    out.types.push_back(kControl);
  }
  for (int byte = 0; byte < 256; ++byte) {
    out.pieces.push_back(fmt::format("<0x{:02X}>", byte));
    out.types.push_back(kByte);
  }
  for (const auto* piece :
       {"[multimodal]", "<unused0>", "<unused99>", "▁", "\n", "\t", "é", "中", "😀"}) {
    out.pieces.emplace_back(piece);
  }
  for (char c = '!'; c <= '~'; ++c) out.pieces.emplace_back(1, c);
  for (const auto& word : kWords) {
    out.pieces.push_back(std::string(word.left) + word.right);
    out.merges.emplace_back(word.left, word.right);
  }
  out.types.resize(out.pieces.size(), kNormal);
  return out;
}

}  // namespace

TestVocabulary TestVocabulary::gemma4() { return common(Family::Gemma4); }

TestVocabulary TestVocabulary::gemma3() {
  TestVocabulary out = common(Family::Gemma3);
  out.pieces.emplace_back("<table>");
  out.user_defined = {"<table>", "\n\n", "▁▁", "▁▁▁"};
  out.types.resize(out.pieces.size(), kNormal);
  for (const auto& piece : out.user_defined) out.types[out.id(piece)] = kUserDefined;
  out.scores.assign(out.pieces.size(), -1000.0f);
  float score = 0;
  for (const auto& [left, right] : out.merges) out.scores[out.id(left + right)] = --score;
  out.merges.clear();
  return out;
}

TokenId TestVocabulary::id(const std::string& piece) const {
  const auto found = std::find(pieces.rbegin(), pieces.rend(), piece);
  return static_cast<TokenId>(pieces.rend() - found) - 1;
}

void TestVocabulary::rename(const std::string& from, const std::string& to) {
  pieces[id(from)] = to;
}

std::string TestVocabulary::json(const std::string& sections) const {
  const auto quoted = [](const std::string& text) {
    return nlohmann::json(text).dump(-1, ' ', false, nlohmann::json::error_handler_t::ignore);
  };
  std::string added, vocab, merge_list;
  for (const auto& piece : user_defined) {
    added += fmt::format(R"({}{{"id":{},"content":{},"special":false}})", added.empty() ? "" : ",",
                         id(piece), quoted(piece));
  }
  for (std::size_t i = 0; i < pieces.size(); ++i) {
    vocab += fmt::format("{}{}:{}", i == 0 ? "" : ",", quoted(pieces[i]), i);
  }
  for (const auto& [left, right] : merges) {
    merge_list +=
        fmt::format("{}[{},{}]", merge_list.empty() ? "" : ",", quoted(left), quoted(right));
  }
  return fmt::format(
      R"({{"added_tokens":[{}],{}"model":{{"type":"BPE","vocab":{{{}}},"merges":[{}]}}}})", added,
      sections, vocab, merge_list);
}

testing_files::GgufBuilder TestVocabulary::gguf(const std::string& model) const {
  testing_files::GgufBuilder builder;
  builder.string("tokenizer.ggml.model", model).strings("tokenizer.ggml.tokens", pieces);
  if (!scores.empty()) {
    builder.numbers("tokenizer.ggml.scores", testing_files::kGgufF32, scores);
  }
  if (!types.empty()) {
    builder.numbers("tokenizer.ggml.token_type", testing_files::kGgufI32, types);
  }
  if (!merges.empty()) {
    std::vector<std::string> lines;
    lines.reserve(merges.size());
    for (const auto& [left, right] : merges) lines.push_back(left + " " + right);
    builder.strings("tokenizer.ggml.merges", lines);
  }
  return builder;
}

}  // namespace fourfold
