#include "server/broken_request.h"

#include <utility>

#include "server/head_rules.h"
#include "server/router.h"

namespace fourfold {
namespace {

Error error_of(int status, std::string_view what) {
  if (status == 503) return {Code::Unavailable, std::string(what)};
  if (status == 501) return unimplemented("{}", what);
  return status >= 500 ? internal_error("{}", what) : invalid_argument("{}", what);
}

}  // namespace

Dialect dialect_of(std::string_view target, const ServerSettings& settings) {
  const auto found = find_route("GET", target, settings.path_prefix);
  if (const auto* match = std::get_if<RouteMatch>(&found)) return match->route->dialect;
  return std::get<NoRoute>(found).dialect;
}

Reply broken_request_reply(int status, std::string_view what, Dialect dialect,
                           const std::string& request_id) {
  auto told = error_reply(dialect, error_of(status, what), request_id);
  told.headers.emplace_back("Content-Type", json_type(dialect));
  told.headers.emplace_back("x-request-id", request_id);
  told.headers.emplace_back("request-id", request_id);
  // The table of errors knows 400 where HTTP has a status of its own (408, 417, 431).
  if (status < 500) told.status = status;
  return {.status = told.status, .headers = std::move(told.headers), .body = std::move(told.body)};
}

}  // namespace fourfold
