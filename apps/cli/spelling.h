// What somebody who typed a wrong name may have meant.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace fourfold {

// The known name that is closest to `typed`; empty when none is close.
std::string closest_name(std::string_view typed, const std::vector<std::string>& known);

}  // namespace fourfold
