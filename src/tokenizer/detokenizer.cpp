#include "tokenizer/detokenizer.h"

#include <algorithm>
#include <cstddef>

#include "base/utf8.h"

namespace fourfold {
namespace {

constexpr std::string_view kReplacement = "\uFFFD";

// How many bytes of `text` are the beginning of some well-formed character (Unicode table 3-7).
std::size_t begun_size(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char lead = byte(0);
  const std::size_t whole = lead < 0xC2   ? 0
                            : lead < 0xE0 ? 2
                            : lead < 0xF0 ? 3
                            : lead < 0xF5 ? 4
                                          : 0;
  if (whole == 0) return 0;
  unsigned char low = lead == 0xE0 ? 0xA0 : lead == 0xF0 ? 0x90 : 0x80;
  unsigned char high = lead == 0xED ? 0x9F : lead == 0xF4 ? 0x8F : 0xBF;
  std::size_t size = 1;
  while (size < std::min(whole, text.size()) && byte(size) >= low && byte(size) <= high) {
    ++size;
    low = 0x80;
    high = 0xBF;
  }
  return size;
}

}  // namespace

void Detokenizer::append(TokenId id, std::string& out) {
  if (!tokenizer_->is_valid(id)) return;
  const bool is_control = tokenizer_->is_control(id);
  if (is_control && options_.hide_control) return;
  held_ += tokenizer_->bytes(id);
  release(is_control, out);
}

// Moves everything that is certain from held_ to `out`.
void Detokenizer::release(bool at_end, std::string& out) {
  std::string_view rest = held_;
  while (!rest.empty()) {
    const std::size_t whole = utf8_sequence_length(rest);
    if (whole != 0) {
      out += rest.substr(0, whole);
      rest.remove_prefix(whole);
      continue;
    }
    const std::size_t begun = begun_size(rest);
    if (begun == rest.size() && !at_end) break;
    out += kReplacement;
    rest.remove_prefix(std::max<std::size_t>(begun, 1));
  }
  held_.erase(0, held_.size() - rest.size());
}

std::string Detokenizer::push(TokenId id) {
  std::string out;
  append(id, out);
  return out;
}

std::string Detokenizer::finish() {
  std::string out;
  release(/*at_end=*/true, out);
  return out;
}

std::string decode(const Tokenizer& tokenizer, std::span<const TokenId> ids,
                   DetokenizeOptions options) {
  Detokenizer detokenizer(tokenizer, options);
  std::string out;
  for (const TokenId id : ids) detokenizer.append(id, out);
  return out + detokenizer.finish();
}

}  // namespace fourfold
