#include "api/openai_logprobs.h"

#include <fmt/core.h>

#include <algorithm>

#include "api/openai_json.h"
#include "base/utf8.h"

namespace fourfold {
namespace {

constexpr float kImpossible = -9999.0f;

std::string well_formed(std::string_view bytes) {
  std::string out;
  while (!bytes.empty()) {
    const std::size_t length = utf8_sequence_length(bytes);
    out += length == 0 ? std::string_view("\uFFFD") : bytes.substr(0, length);
    bytes.remove_prefix(std::max<std::size_t>(length, 1));
  }
  return out;
}

JsonValue byte_list(std::string_view bytes) {
  JsonValue list = JsonValue::array();
  for (const char byte : bytes) {
    list.items.push_back(json_number(static_cast<int>(static_cast<unsigned char>(byte))));
  }
  return list;
}

JsonValue entry(const Tokenizer& tokenizer, TokenId id, float logprob) {
  return JsonValue::object({{"token", JsonValue::of(token_text(tokenizer, id))},
                            {"bytes", byte_list(tokenizer.bytes(id))},
                            {"logprob", logprob_number(logprob)}});
}

}  // namespace

std::string token_text(const Tokenizer& tokenizer, TokenId id) {
  return well_formed(tokenizer.bytes(id));
}

JsonValue logprob_number(float logprob) {
  return JsonValue::number(fmt::format("{}", std::max(logprob, kImpossible)));
}

bool has_logprob(const Tokenizer& tokenizer, const DrawnToken& drawn, bool shows_thoughts) {
  if (!tokenizer.is_valid(drawn.token.id) || tokenizer.is_control(drawn.token.id)) return false;
  return drawn.channel == Channel::Answer || (drawn.channel == Channel::Thought && shows_thoughts);
}

JsonValue logprob_entry(const Tokenizer& tokenizer, const SampledToken& token) {
  JsonValue out = entry(tokenizer, token.id, token.logprob);
  JsonValue top = JsonValue::array();
  for (const auto& other : token.top_logprobs) {
    top.items.push_back(entry(tokenizer, other.id, other.logprob));
  }
  out.set("top_logprobs", std::move(top));
  return out;
}

std::vector<JsonValue> logprob_entries(const Tokenizer& tokenizer,
                                       const std::vector<DrawnToken>& tokens, bool shows_thoughts) {
  std::vector<JsonValue> out;
  for (const auto& drawn : tokens) {
    if (has_logprob(tokenizer, drawn, shows_thoughts)) {
      out.push_back(logprob_entry(tokenizer, drawn.token));
    }
  }
  return out;
}

}  // namespace fourfold
