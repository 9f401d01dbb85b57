#include "cli/sentences.h"

#include <gtest/gtest.h>

namespace fourfold {
namespace {

using Sentences = std::vector<std::string>;

Sentences cut(std::string_view text, std::size_t piece) {
  SentenceCutter cutter;
  Sentences all;
  for (std::size_t at = 0; at < text.size(); at += piece) {
    for (auto& sentence : cutter.push(text.substr(at, piece))) all.push_back(std::move(sentence));
  }
  if (auto rest = cutter.finish(); !rest.empty()) all.push_back(std::move(rest));
  return all;
}

TEST(SentenceCutter, CutsBehindTheMarkInAnyPieces) {
  struct Row {
    const char* text;
    Sentences expected;
  };
  for (const auto& [text, expected] : {
           Row{"Yes. No! Why? So", {"Yes.", "No!", "Why?", "So"}},
           Row{"It is 3.5 metres.", {"It is 3.5 metres."}},
           Row{"He said \"go.\" We went.", {"He said \"go.\"", "We went."}},
           Row{"One\ntwo\n\nthree", {"One", "two", "three"}},
           Row{"1. Water\n2. Light", {"1. Water", "2. Light"}},
           Row{"はい。いいえ！たぶん", {"はい。", "いいえ！", "たぶん"}},
           Row{"Well… perhaps.", {"Well…", "perhaps."}},
           Row{" \n ", {}},
           Row{"", {}},
       }) {
    for (const std::size_t piece : {1, 2, 3, 100}) EXPECT_EQ(cut(text, piece), expected) << text;
  }
}

TEST(SentenceCutter, GivesASentenceOnlyWhenItHasEnded) {
  SentenceCutter cutter;
  EXPECT_TRUE(cutter.push("Good morning.").empty());  // "Good morning.5"?
  EXPECT_EQ(cutter.push(" How"), Sentences{"Good morning."});
  EXPECT_EQ(cutter.finish(), "How");
  EXPECT_EQ(cutter.finish(), "");
}

}  // namespace
}  // namespace fourfold
