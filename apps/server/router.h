// Path and method → route (http-apis.md 1.1, 1.2). One table of all routes.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "api/error_reply.h"

namespace fourfold {

enum class Scope { Public, Generate, Files, Models, Admin };
std::string_view name(Scope scope);

// How a route takes its body.
enum class BodyKind { None, Json, Upload };

struct RouteInfo {
  std::string_view name;  // "gemini.generateContent": the handler's name
  Dialect dialect = Dialect::OpenAI;
  Scope scope = Scope::Generate;
  BodyKind body = BodyKind::Json;
};

struct RouteMatch {
  const RouteInfo* route = nullptr;
  std::map<std::string, std::string> parameters;  // "model", "id", "version"; percent-decoded
  std::multimap<std::string, std::string> query;  // percent-decoded
};

struct NoRoute {
  Dialect dialect = Dialect::OpenAI;  // of the path's prefix
  std::vector<std::string> allowed;   // methods of a known path; empty: the path is unknown
};

// `prefix` is the path prefix that a reverse proxy leaves in front, "" for none.
std::variant<RouteMatch, NoRoute> find_route(std::string_view method, std::string_view target,
                                             std::string_view prefix);
const std::vector<RouteInfo>& all_routes();

}  // namespace fourfold
