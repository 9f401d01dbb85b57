// Parses JSON from outside: no exceptions, a depth limit, the byte offset in every error.
//
//   const auto config = TRY_IN(path, parse_json(text));
//
// Strict RFC 8259; a leading UTF-8 byte order mark is skipped. Text that is not UTF-8, a lone
// surrogate escape and a number outside the range of a double are errors.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string_view>

#include "base/result.h"

namespace fourfold {

struct JsonOptions {
  int max_depth = 128;                 // nested arrays and objects
  bool reject_duplicate_keys = false;  // otherwise the last value counts, at the first place
  // An integer that fits neither i64 nor u64 is an error, or with this its digits are kept as a
  // binary value that big_integer_text() reads. It never becomes a double.
  bool keep_big_integers = false;
};

// InvalidArgument "offset 17: what (what was expected)".
Result<nlohmann::json> parse_json(std::string_view text, const JsonOptions& options = {});

// The same with the keys of every object in the order of the text.
Result<nlohmann::ordered_json> parse_ordered_json(std::string_view text,
                                                  const JsonOptions& options = {});

// The digits of a kept big integer, with its sign; nullopt for every other value.
std::optional<std::string_view> big_integer_text(const nlohmann::json& value);
std::optional<std::string_view> big_integer_text(const nlohmann::ordered_json& value);

}  // namespace fourfold
