// Numbers as JSON values.
#pragma once

#include <fmt/core.h>

#include <cmath>
#include <concepts>
#include <string>

#include "base/json_value.h"

namespace fourfold {

template <std::integral Integer>
JsonValue json_number(Integer value) {
  return JsonValue::number(std::to_string(value));
}

// The shortest spelling that reads back as the same double; what JSON cannot say becomes null.
inline JsonValue json_number(double value) {
  return std::isfinite(value) ? JsonValue::number(fmt::format("{}", value)) : JsonValue::null();
}

}  // namespace fourfold
