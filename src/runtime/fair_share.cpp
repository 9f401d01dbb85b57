#include "runtime/fair_share.h"

#include <algorithm>

namespace fourfold {
namespace {

// Rows of a round: few, so that a short prompt does not wait for much of a long one.
constexpr std::int64_t kQuantum = 64;
// What a user can owe at most. Answers that ran alone for long are not held against anybody.
constexpr std::int64_t kMostDebt = 16 * kQuantum;

}  // namespace

void FairShare::join(const std::string& user) {
  User& entry = users_[user];
  if (entry.n_sequences++ == 0) entry = {.n_sequences = 1, .joined = n_joined_++, .credit = 0};
}

void FairShare::leave(const std::string& user) {
  const auto entry = users_.find(user);
  if (entry != users_.end() && --entry->second.n_sequences == 0) users_.erase(entry);
}

std::size_t FairShare::choose(std::span<const std::string* const> users) {
  std::int64_t most = -kMostDebt;
  for (const std::string* user : users) most = std::max(most, users_[*user].credit);
  if (most <= 0) {
    const std::int64_t n_rounds = 1 - most / kQuantum;
    std::map<std::string, User*> waiting;
    for (const std::string* user : users) waiting[*user] = &users_[*user];
    for (const auto& [user, entry] : waiting) entry->credit += n_rounds * kQuantum;
  }
  // The most credit rather than the next in the round: one whose rows cannot wait (its prompt runs
  // already) gets credit out of turn, and would keep the first place with it.
  std::size_t best = 0;
  for (std::size_t i = 1; i < users.size(); ++i) {
    const User& user = users_[*users[i]];
    const User& other = users_[*users[best]];
    if (user.credit != other.credit ? user.credit > other.credit : user.joined < other.joined) {
      best = i;
    }
  }
  return best;
}

void FairShare::charge(const std::string& user, std::int64_t n_rows) {
  const auto entry = users_.find(user);
  if (entry == users_.end()) return;
  entry->second.credit = std::max(entry->second.credit - n_rows, -kMostDebt);
}

}  // namespace fourfold
