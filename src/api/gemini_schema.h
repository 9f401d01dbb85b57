// Gemini's Schema, an OpenAPI dialect with upper-case types, → JSON Schema (http-apis.md 2.3).
#pragma once

#include "base/json_value.h"

namespace fourfold {

// Types in lower case, counts as numbers, names in camelCase, decoration left out; `nullable` and
// `propertyOrdering` stay, our grammars and declarations know them. What is no Schema stays as it
// is: its reader says what is wrong with it.
JsonValue json_schema_of(const JsonValue& schema);

}  // namespace fourfold
