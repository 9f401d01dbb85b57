#include "cli/sentences.h"

#include <algorithm>
#include <array>
#include <utility>

namespace fourfold {
namespace {

using namespace std::string_view_literals;

constexpr std::array kMarks = {"."sv, "!"sv, "?"sv, "…"sv};
// These end a sentence whatever follows.
constexpr std::array kFullMarks = {"。"sv, "！"sv, "？"sv, "\n"sv};
constexpr std::array kClosers = {"\""sv, "'"sv, ")"sv, "]"sv, "*"sv, "”"sv, "’"sv, "»"sv};

bool is_space(char c) { return c == ' ' || c == '\n' || c == '\t' || c == '\r'; }

template <class Words>
std::size_t length_of_any(std::string_view text, const Words& words) {
  for (const auto word : words) {
    if (text.starts_with(word)) return word.size();
  }
  return 0;
}

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && is_space(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_space(text.back())) text.remove_suffix(1);
  return text;
}

// "3." begins an entry of a list.
bool is_number(std::string_view text) {
  return text.ends_with('.') && std::ranges::all_of(trimmed(text.substr(0, text.size() - 1)),
                                                    [](char c) { return c >= '0' && c <= '9'; });
}

// The length of the first sentence, 0 if it has not ended for certain.
std::size_t sentence_length(std::string_view text) {
  for (std::size_t at = 0; at < text.size(); ++at) {
    if (const auto n = length_of_any(text.substr(at), kFullMarks)) return at + n;
    std::size_t end = at + length_of_any(text.substr(at), kMarks);
    if (end == at) continue;
    while (const auto n = length_of_any(text.substr(end), kClosers)) end += n;
    if (end < text.size() && is_space(text[end]) && !is_number(text.substr(0, end))) return end;
  }
  return 0;
}

}  // namespace

std::vector<std::string> SentenceCutter::push(std::string_view text) {
  pending_ += text;
  std::vector<std::string> sentences;
  while (const std::size_t n = sentence_length(pending_)) {
    const auto sentence = trimmed(std::string_view(pending_).substr(0, n));
    if (!sentence.empty()) sentences.emplace_back(sentence);
    pending_.erase(0, n);
  }
  return sentences;
}

std::string SentenceCutter::finish() {
  const std::string rest = std::exchange(pending_, {});
  return std::string(trimmed(rest));
}

}  // namespace fourfold
