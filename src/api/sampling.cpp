#include "api/sampling.h"

#include <charconv>
#include <limits>

#include "base/utf8.h"

namespace fourfold {

Status read_number(const Field& field, double least, double most, std::optional<float>& out) {
  const auto value = TRY(field.optional_number(least, most));
  if (value) out = static_cast<float>(*value);
  return {};
}

Status read_integer(const Field& field, int least, int most, std::optional<int>& out) {
  const auto value = TRY(field.optional_integer(least, most));
  if (value) out = static_cast<int>(*value);
  return {};
}

Status read_seed(const Field& field, std::optional<std::uint64_t>& out) {
  using Limits = std::numeric_limits<std::int64_t>;
  const auto value = TRY(field.optional_integer(Limits::min(), Limits::max()));
  if (value) out = static_cast<std::uint64_t>(*value);
  return {};
}

Status read_max_tokens(const Field& field, std::int64_t& out) {
  const auto value = TRY(field.optional_integer(1, std::numeric_limits<std::int64_t>::max()));
  if (value && (out < 0 || *value < out)) out = *value;
  return {};
}

Status read_stop(const Field& field, std::size_t most, std::vector<std::string>& out) {
  auto texts = TRY(field.strings());
  if (texts.size() > most) {
    return field.error(fmt::format("{} texts (expected at most {})", texts.size(), most));
  }
  for (auto& text : texts) {
    if (!text.empty()) out.push_back(std::move(text));
  }
  return {};
}

Status read_logit_bias(const Field& field, std::vector<LogitBias>& out) {
  if (field.absent()) return {};
  TRY(field.require_object());
  for (const auto& [key, value] : field.json().members) {
    TokenId id = 0;
    const auto [end, error] = std::from_chars(key.data(), key.data() + key.size(), id);
    if (error != std::errc() || end != key.data() + key.size() || id < 0) {
      return field.error(fmt::format("{} is no token id", printable(key)));
    }
    const auto bias = TRY(field[key].number(-100.0, 100.0));
    out.push_back({.id = id, .bias = static_cast<float>(bias)});
  }
  return {};
}

}  // namespace fourfold
