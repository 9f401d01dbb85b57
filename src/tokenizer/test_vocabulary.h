// A vocabulary of some 400 pieces for tests, to be broken on purpose and written as either file.
//
//   auto vocabulary = TestVocabulary::gemma4();
//   vocabulary.merges.clear();
//   EXPECT_FALSE(Tokenizer::from_json(vocabulary.json()));
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "formats/test_files.h"
#include "tokenizer/token_id.h"

namespace fourfold {

struct TestVocabulary {
  std::vector<std::string> pieces;                          // by id
  std::vector<std::pair<std::string, std::string>> merges;  // by rank
  std::vector<float> scores;                                // GGUF only; empty: no such key
  std::vector<std::int32_t> types;                          // GGUF only; empty: no such key
  std::vector<std::string> user_defined;                    // tokenizer.json only

  // All control pieces and bytes, printable ASCII, some other characters, and words:
  // "he", "hel", "hell", "hello", "▁w", "▁world", runs of newlines, tabs and ▁ up to three.
  static TestVocabulary gemma4();
  // The same with Gemma 3's control pieces, scores instead of merges, and the user-defined pieces
  // <table>, \n\n, ▁▁ and ▁▁▁.
  static TestVocabulary gemma3();

  TokenId id(const std::string& piece) const;  // the last one; kNoToken
  void rename(const std::string& from, const std::string& to);

  // `sections` goes between "added_tokens" and "model", as in R"("decoder":null,)".
  std::string json(const std::string& sections = "") const;
  // The keys of a GGUF file, to which a test may add some.
  testing_files::GgufBuilder gguf(const std::string& model = "gemma4") const;
};

}  // namespace fourfold
