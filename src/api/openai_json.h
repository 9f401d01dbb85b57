// Small pieces of JSON that OpenAI's replies are put together from.
#pragma once

#include <cmath>
#include <string>
#include <string_view>

#include "api/json_number.h"
#include "base/json_value.h"

namespace fourfold {

inline JsonValue json_text(std::string_view text) { return JsonValue::of(std::string(text)); }

// Milliseconds and rates: three decimals say all.
inline JsonValue json_rounded(double value) {
  return json_number(std::round(value * 1000.0) / 1000.0);
}

}  // namespace fourfold
