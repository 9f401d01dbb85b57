// Parses JSON from outside: no exceptions, a depth limit, the byte offset in every error.
//
//   const auto config = TRY_IN(path, parse_json(text));
//
// Strict RFC 8259; a leading UTF-8 byte order mark is skipped. Text that is not UTF-8, a lone
// surrogate escape, an integer beyond 64 bits and a number outside the range of a double are
// errors. What clients and models wrote is read by json_value.h, which keeps order and spelling.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string_view>

#include "base/result.h"

namespace fourfold {

struct JsonOptions {
  int max_depth = 128;                 // nested arrays and objects
  bool reject_duplicate_keys = false;  // otherwise the last value counts
};

// InvalidArgument "offset 17: what (what was expected)".
Result<nlohmann::json> parse_json(std::string_view text, const JsonOptions& options = {});

}  // namespace fourfold
