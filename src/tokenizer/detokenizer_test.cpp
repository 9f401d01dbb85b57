#include "tokenizer/detokenizer.h"

#include <fmt/core.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tokenizer/test_vocabulary.h"

namespace fourfold {
namespace {

class DetokenizerTest : public testing::Test {
 protected:
  DetokenizerTest() : tokenizer_(Tokenizer::from_json(TestVocabulary::gemma4().json()).value()) {}

  TokenId id(std::string_view piece) const { return tokenizer_.find_piece(piece); }

  // The ids that spell bytes.
  std::vector<TokenId> bytes(std::string_view text) const {
    std::vector<TokenId> ids;
    for (const char c : text) {
      ids.push_back(id(fmt::format("<0x{:02X}>", static_cast<unsigned char>(c))));
    }
    return ids;
  }

  // What comes out after each id and at the end, separated by '|'.
  std::string stream(const std::vector<TokenId>& ids, DetokenizeOptions options = {}) const {
    Detokenizer detokenizer(tokenizer_, options);
    std::string out;
    for (const TokenId each : ids) out += detokenizer.push(each) + "|";
    return out + detokenizer.finish();
  }

  Tokenizer tokenizer_;
};

TEST_F(DetokenizerTest, TurnsMarksIntoSpacesAndStripsNothing) {
  EXPECT_EQ(decode(tokenizer_, std::vector{id("▁world"), id("▁▁"), id("hello"), id("▁")}),
            " world  hello ");
}

TEST_F(DetokenizerTest, LetsBytesSpellTheMarkItself) {
  EXPECT_EQ(decode(tokenizer_, bytes("▁")), "▁");
}

TEST_F(DetokenizerTest, HoldsATailOnlyWhileItCanBecomeACharacter) {
  const std::pair<const char*, const char*> cases[] = {
      {"\xC3\xA9", "|é|"},
      {"\xF0\x9F\x98\x80", "|||😀|"},
      {"\xF0\x9F\x98", "|||�"},          // cut: one mark for all that was held
      {"\xC0\x80", "�|�|"},              // no character begins so
      {"\xE0\x80\x80", "|��|�|"},        // overlong: certain at the second byte
      {"\xED\xA0\x80", "|��|�|"},        // a surrogate
      {"\xF0\x80\x80\x80", "|��|�|�|"},  // overlong
      {"\xF4\x90\x80\x80", "|��|�|�|"},  // above U+10FFFF
      {"\xF5\x80", "�|�|"},
      {"\xE2\x82\xE2\x82\xAC", "||�||€|"},
      {"\xE2\x82\x41", "||�A|"},
      {"\x80", "�|"},
  };
  for (const auto& [text, expected] : cases) EXPECT_EQ(stream(bytes(text)), expected) << expected;
}

TEST_F(DetokenizerTest, LetsPrintedControlBreakATailAndHiddenControlNot) {
  auto ids = bytes("\xC3\xA9");
  ids.insert(ids.begin() + 1, id("<turn|>"));
  EXPECT_EQ(stream(ids), "|�<turn|>|�|");
  EXPECT_EQ(stream(ids, {.hide_control = true}), "||é|");
}

TEST_F(DetokenizerTest, IgnoresIdsOutsideTheVocabulary) {
  EXPECT_EQ(decode(tokenizer_, std::vector{-1, id("hello"), tokenizer_.vocab_size()}), "hello");
}

TEST_F(DetokenizerTest, CanBeUsedAgainAfterTheEnd) {
  Detokenizer detokenizer(tokenizer_);
  EXPECT_EQ(detokenizer.push(bytes("\xC3")[0]), "");
  EXPECT_EQ(detokenizer.finish(), "�");
  EXPECT_EQ(detokenizer.finish(), "");
  EXPECT_EQ(detokenizer.push(id("hello")), "hello");
}

}  // namespace
}  // namespace fourfold
