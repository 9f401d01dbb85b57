// What HTTP asks of a request head beyond its syntax.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "server/http/exchange.h"

namespace fourfold {

struct HeadProblem {
  int status = 400;
  std::string what;
};

// Nothing if the head can be served. A target in absolute form becomes "/path", and its authority
// the Host, as RFC 9112 3.2.2 asks. `is_chunked`: the last transfer coding is "chunked".
std::optional<HeadProblem> check_head(RequestHead& head, bool is_chunked);

// {"error":{"message":…,"type":…,"code":status}}
std::string broken_request_json(int status, std::string_view what);

}  // namespace fourfold
