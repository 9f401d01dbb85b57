#include "api/thinking.h"

#include "base/letter_case.h"

namespace fourfold {

std::optional<Thinking> thinking_of_level(std::string_view word) {
  using Level = Thinking::Level;
  const auto level = to_lower(word);
  if (level == "none" || level == "off" || level == "minimal") return thinking_off();
  if (level == "low") return thinking_on(Level::Low);
  if (level == "medium") return thinking_on(Level::Medium);
  if (level == "high" || level == "xhigh" || level == "max") return thinking_on(Level::High);
  return std::nullopt;
}

Thinking thinking_of_budget(std::int64_t n_tokens) {
  if (n_tokens == 0) return thinking_off();
  if (n_tokens < 0) return thinking_on();
  return {.on = true, .budget_tokens = n_tokens};
}

}  // namespace fourfold
