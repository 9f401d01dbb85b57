#include "chat/thinking_budget.h"

#include <algorithm>

namespace fourfold {
namespace {

constexpr std::int64_t kLeastRoom = 128;

std::int64_t budget_of(Thinking::Level level) {
  switch (level) {
    case Thinking::Level::Low: return 1024;
    case Thinking::Level::Medium: return 8192;
    case Thinking::Level::High:
    case Thinking::Level::Unset: return 24576;
  }
  return 0;
}

std::int64_t answer_reserve(std::int64_t room) {
  return std::min<std::int64_t>(1024, std::max<std::int64_t>(64, room / 4));
}

}  // namespace

std::int64_t thinking_budget(const Thinking& thinking, std::int64_t room) {
  if (!thinking.on || room < kLeastRoom) return 0;
  const std::int64_t wanted = thinking.budget_tokens.value_or(budget_of(thinking.level));
  return std::clamp<std::int64_t>(wanted, 0, room - answer_reserve(room));
}

}  // namespace fourfold
