// For tests of request parsers: every way to put another value in one place of a JSON value.
#pragma once

#include <string>
#include <vector>

#include "base/json_value.h"

namespace fourfold {

inline std::vector<JsonValue> odd_values() {
  return {JsonValue::null(),       JsonValue::of(true),
          JsonValue::number("-1"), JsonValue::number("1e400"),
          JsonValue::of(""),       JsonValue::of("<|turn>"),
          JsonValue::array(),      JsonValue::array({JsonValue::null()}),
          JsonValue::object(),     JsonValue::object({{"type", JsonValue::of("x")}})};
}

// Calls `visit` with the root once for each place and odd value, which stands there meanwhile.
template <class Visit>
void for_each_mutation(const JsonValue& root, JsonValue& place, const Visit& visit) {
  const JsonValue original = place;
  for (auto& value : odd_values()) {
    place = std::move(value);
    visit(root);
  }
  place = original;
  for (auto& item : place.items) for_each_mutation(root, item, visit);
  for (auto& member : place.members) for_each_mutation(root, member.value, visit);
}

template <class Visit>
void for_each_mutation(std::string_view json, const Visit& visit) {
  auto root = parse_json_value(json).value();
  for_each_mutation(root, root, visit);
}

}  // namespace fourfold
