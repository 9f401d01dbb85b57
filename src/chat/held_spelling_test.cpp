#include "chat/held_spelling.h"

#include <gtest/gtest.h>

#include "tokenizer/golden_tokenizers.h"

namespace fourfold {
namespace {

std::vector<TokenId> prompt_ids(std::string_view text) {
  return small_tokenizer().encode(text, Trust::Trusted);
}

// Text cut into bytes, as no tokenizer would.
std::vector<TokenId> bytewise(std::string_view text) {
  std::vector<TokenId> ids;
  for (const char c : text) {
    for (const TokenId id : small_tokenizer().encode(std::string(1, c), Trust::Untrusted)) {
      ids.push_back(id);
    }
  }
  return ids;
}

std::vector<TokenId> joined(std::initializer_list<std::vector<TokenId>> parts) {
  std::vector<TokenId> ids;
  for (const auto& part : parts) ids.insert(ids.end(), part.begin(), part.end());
  return ids;
}

const std::string kAsked = "<bos><|turn>user\nHi<turn|>\n<|turn>model\n";
const std::string kNext = "<turn|>\n<|turn>user\nAnd?<turn|>\n<|turn>model\n";

// The header ends in a newline, which is text of the same stretch as the answer.
std::vector<TokenId> held(std::string_view answer) {
  return joined({prompt_ids(kAsked), bytewise(answer)});
}

TEST(HeldSpelling, KeepsWhatTheModelSpelledOtherwise) {
  const auto canonical = prompt_ids(kAsked + "Hello there, hello." + kNext);
  const auto kept = with_held_spelling(small_tokenizer(), held("Hello there, hello."), canonical);
  EXPECT_NE(kept, canonical);
  EXPECT_EQ(kept, joined({held("Hello there, hello."), prompt_ids(kNext)}));
}

TEST(HeldSpelling, GoesOnBehindControlTokens) {
  const std::string call = "<|tool_call>call:f{a:<|\"|>";
  const auto generated = joined({held("Wait."), prompt_ids(call), bytewise("some value")});
  const std::string rest = "<|\"|>}<tool_call|><|tool_response>";
  const auto kept = with_held_spelling(small_tokenizer(), generated,
                                       prompt_ids(kAsked + "Wait." + call + "some value" + rest));
  EXPECT_EQ(kept, joined({generated, prompt_ids(rest)}));
}

TEST(HeldSpelling, TakesNothingFromTheFirstOtherTextOn) {
  const auto canonical = prompt_ids(kAsked + "Hello there." + kNext);
  for (const auto* other : {"Hello here.", "Hello there. ", "Hello there", ""}) {
    EXPECT_EQ(with_held_spelling(small_tokenizer(), held(other), canonical), canonical) << other;
  }
  EXPECT_EQ(with_held_spelling(small_tokenizer(), {}, canonical), canonical);
}

TEST(HeldSpelling, TakesNoSpelledControlPieceForAControlToken) {
  const auto canonical = prompt_ids(kAsked + "a<|turn>b" + kNext);
  const auto spelled =
      joined({prompt_ids(kAsked), small_tokenizer().encode("a<|turn>b", Trust::Untrusted)});
  EXPECT_EQ(with_held_spelling(small_tokenizer(), spelled, canonical), canonical);
}

}  // namespace
}  // namespace fourfold
