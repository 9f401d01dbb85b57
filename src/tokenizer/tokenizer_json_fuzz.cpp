// Any bytes are refused as a tokenizer.json or give a tokenizer that encodes and decodes.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/check.h"
#include "tokenizer/detokenizer.h"
#include "tokenizer/tokenizer.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace fourfold;
  const auto tokenizer = Tokenizer::from_json({reinterpret_cast<const char*>(data), size});
  if (!tokenizer) {
    CHECK(!tokenizer.error().message.empty());
    return 0;
  }
  const std::string_view text = "<|turn>user\nhello  world\t\xFF";
  const auto ids = tokenizer->encode(text, Trust::Trusted);
  for (const auto id : ids) CHECK(tokenizer->is_valid(id));
  CHECK(!decode(*tokenizer, ids).empty());
  return 0;
}
