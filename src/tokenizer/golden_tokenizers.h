// The tokenizers of tests/golden/tokenizer for the tests of other folders, opened once a program.
// That all their file forms give the same ids is tokenizer_golden_test's matter.
#pragma once

#include "tokenizer/tokenizer.h"

namespace fourfold {

// 4,000 pieces.
inline const Tokenizer& small_tokenizer() {
  static const auto tokenizer =
      Tokenizer::open(FOURFOLD_SOURCE_DIR "/tests/golden/tokenizer/tokenizer-small.gguf");
  return *tokenizer;
}

// 262,144 pieces.
inline const Tokenizer& full_tokenizer() {
  static const auto tokenizer =
      Tokenizer::open(FOURFOLD_BUILD_DIR "/golden/tokenizer/tokenizer.json");
  return *tokenizer;
}

}  // namespace fourfold
