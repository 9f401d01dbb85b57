// The conjunction of JSON schemas as one schema: what allOf, and keywords beside $ref and anyOf,
// come to.
#pragma once

#include <string>
#include <string_view>

#include "base/json_value.h"
#include "base/result.h"

namespace fourfold {

// Both schemas are objects without $ref and allOf on their top level; values below may become
// {"allOf": […]} again. InvalidArgument if no single schema says the same (names the keyword),
// FailedPrecondition if nothing satisfies both. Several patterns of one string become an array
// under `pattern`.
Result<JsonValue> merged_schema(const JsonValue& a, const JsonValue& b);

// Keywords that describe and do not constrain.
bool is_annotation(std::string_view keyword);

}  // namespace fourfold
