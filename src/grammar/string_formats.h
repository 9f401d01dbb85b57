// The formats of strings that a schema may ask for, as regular expressions.
#pragma once

#include <optional>
#include <string_view>

namespace fourfold {

// An ECMA-262 expression for the whole string; nullopt if the format is not held. Texts that it
// describes are valid; of some formats it leaves out rare forms.
std::optional<std::string_view> find_string_format(std::string_view name);

// Whether the standard (JSON Schema 2020-12) gives this format a meaning: names that it does not
// know only describe.
bool is_standard_format(std::string_view name);

}  // namespace fourfold
