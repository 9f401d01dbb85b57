#include "cli/spelling.h"

#include <algorithm>
#include <numeric>

namespace fourfold {
namespace {

// Insertions, deletions, replacements, and swaps of neighbours that turn a into b (optimal string
// alignment distance).
int edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::vector<int>> distance(a.size() + 1, std::vector<int>(b.size() + 1));
  for (std::size_t i = 0; i <= a.size(); ++i) distance[i][0] = static_cast<int>(i);
  std::iota(distance[0].begin(), distance[0].end(), 0);
  for (std::size_t i = 1; i <= a.size(); ++i) {
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const int replaced = distance[i - 1][j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
      distance[i][j] = std::min({distance[i - 1][j] + 1, distance[i][j - 1] + 1, replaced});
      const bool swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
      if (swapped) distance[i][j] = std::min(distance[i][j], distance[i - 2][j - 2] + 1);
    }
  }
  return distance[a.size()][b.size()];
}

}  // namespace

std::string closest_name(std::string_view typed, const std::vector<std::string>& known) {
  // "--max" means "--max-tokens", however many letters are missing.
  constexpr std::size_t kLeastPrefix = 3;
  const auto letters = typed.substr(std::min(typed.find_first_not_of('-'), typed.size()));
  std::string closest;
  int least = 1 + static_cast<int>(letters.size()) / 3;
  for (const auto& name : known) {
    const bool begins_so = letters.size() >= kLeastPrefix && name.starts_with(typed);
    const int distance = begins_so ? 1 : edit_distance(typed, name);
    if (distance < least || (distance == least && closest.empty())) {
      closest = name;
      least = distance;
    }
  }
  return closest;
}

}  // namespace fourfold
