// Any bytes are encoded, trusted or not, and come back.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/check.h"
#include "base/utf8.h"
#include "tokenizer/detokenizer.h"
#include "tokenizer/test_vocabulary.h"
#include "tokenizer/tokenizer.h"

namespace fourfold {
namespace {

// A literal ▁ comes back as a space.
std::string with_spaces(std::string_view text) {
  constexpr std::string_view kMark = "▁";
  std::string out;
  while (!text.empty()) {
    const bool is_mark = text.starts_with(kMark);
    out += is_mark ? ' ' : text[0];
    text.remove_prefix(is_mark ? kMark.size() : 1);
  }
  return out;
}

void check_text(const Tokenizer& tokenizer, std::string_view text, Trust trust) {
  const auto ids = tokenizer.encode(text, trust);
  std::string bytes;
  for (const TokenId id : ids) {
    CHECK(trust == Trust::Trusted || !tokenizer.is_control(id));
    bytes += tokenizer.bytes(id);
  }
  CHECK(bytes == with_spaces(text));
  const std::string decoded = decode(tokenizer, ids);
  CHECK(is_utf8(decoded));
  CHECK(decoded == bytes || !is_utf8(text));

  Detokenizer detokenizer(tokenizer);
  std::string streamed;
  for (const TokenId id : ids) streamed += detokenizer.push(id);
  CHECK(streamed + detokenizer.finish() == decoded);
}

}  // namespace
}  // namespace fourfold

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace fourfold;
  static const Tokenizer tokenizer = Tokenizer::from_json(TestVocabulary::gemma4().json()).value();
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  check_text(tokenizer, text, Trust::Untrusted);
  check_text(tokenizer, text, Trust::Trusted);

  // Cut in two untrusted halves it is the same text.
  const Segment halves[] = {{text.substr(0, size / 2)}, {text.substr(size / 2)}};
  CHECK(tokenizer.encode(halves) == tokenizer.encode(text, Trust::Untrusted));
  return 0;
}
