// The number of a vocabulary piece. −1 stands for "no such piece".
#pragma once

#include <cstdint>

namespace fourfold {

using TokenId = std::int32_t;
inline constexpr TokenId kNoToken = -1;

}  // namespace fourfold
