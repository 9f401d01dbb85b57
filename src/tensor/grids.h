// The value grids of the IQ1, IQ2 and IQ3 block types.
#pragma once

#include <array>
#include <cstdint>

namespace fourfold {

// `n` entries of `values` levels each.
template <class T, int n, int values>
using Grid = std::array<std::array<T, values>, n>;

struct Grids {
  Grid<std::uint8_t, 256, 8> iq2_xxs;
  Grid<std::uint8_t, 512, 8> iq2_xs;
  Grid<std::uint8_t, 1024, 8> iq2_s;
  Grid<std::uint8_t, 256, 4> iq3_xxs;
  Grid<std::uint8_t, 512, 4> iq3_s;
  Grid<std::int8_t, 2048, 8> iq1;  // IQ1_S and IQ1_M
};

// Expanded at the first call.
const Grids& grids();

}  // namespace fourfold
