#include "tensor/grids.h"

#include <cstddef>
#include <span>
#include <string_view>

#include "base/check.h"

namespace fourfold {
namespace {

#include "tensor/grids.inc"

constexpr std::int8_t kIq2Levels[] = {8, 25, 43, 0};  // level 3 never occurs
constexpr std::int8_t kIq3XxsLevels[] = {4, 12, 20, 28, 36, 44, 52, 62};
constexpr std::int8_t kIq3SLevels[] = {1, 3, 5, 7, 9, 11, 13, 15};
constexpr std::int8_t kIq1Levels[] = {-1, 0, 1, 0};  // level 3 never occurs

unsigned parse_hex(std::string_view digits) {
  unsigned value = 0;
  for (const char c : digits) {
    value = value * 16 + static_cast<unsigned>(c <= '9' ? c - '0' : c - 'a' + 10);
  }
  return value;
}

// 8 values of 2 bits make 4 digits, 4 values of 3 bits make 3.
template <class T, std::size_t n, std::size_t values>
void expand(std::string_view codes, std::span<const std::int8_t> levels,
            std::array<std::array<T, values>, n>& grid) {
  constexpr std::size_t kDigits = values == 8 ? 4 : 3;
  constexpr unsigned kBits = values == 8 ? 2 : 3;
  CHECK(codes.size() == n * kDigits);
  for (std::size_t entry = 0; entry < n; ++entry) {
    unsigned code = parse_hex(codes.substr(entry * kDigits, kDigits));
    for (T& value : grid[entry]) {
      value = static_cast<T>(levels[code & ((1u << kBits) - 1)]);
      code >>= kBits;
    }
  }
}

Grids make_grids() {
  Grids grids;
  expand(kIq2XxsCodes, kIq2Levels, grids.iq2_xxs);
  expand(kIq2XsCodes, kIq2Levels, grids.iq2_xs);
  expand(kIq2SCodes, kIq2Levels, grids.iq2_s);
  expand(kIq3XxsCodes, kIq3XxsLevels, grids.iq3_xxs);
  expand(kIq3SCodes, kIq3SLevels, grids.iq3_s);
  expand(kIq1Codes, kIq1Levels, grids.iq1);
  return grids;
}

}  // namespace

const Grids& grids() {
  static const Grids kGrids = make_grids();
  return kGrids;
}

}  // namespace fourfold
