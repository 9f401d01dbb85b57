#include "server/head_rules.h"

#include <algorithm>

#include "api/identifiers.h"

namespace fourfold {
namespace {

std::string_view path_of(const RequestHead& head) {
  const std::string_view target = head.target;
  return target.substr(0, target.find('?'));
}

HeaderList id_headers(const std::string& request_id) {
  return {{"x-request-id", request_id}, {"request-id", request_id}};
}

Reply error_answer(Dialect dialect, const Error& error, const std::string& request_id,
                   HeaderList common_headers) {
  auto answer = error_reply(dialect, error, request_id);
  answer.headers.emplace_back("Content-Type", json_type(dialect));
  for (auto& header : common_headers) answer.headers.push_back(std::move(header));
  return {.status = answer.status,
          .headers = std::move(answer.headers),
          .body = std::move(answer.body)};
}

// --- Routes ---

std::string joined(const std::vector<std::string>& methods) {
  std::string list;
  for (const auto& method : methods) list += (list.empty() ? "" : ", ") + method;
  return list;
}

Error no_route(const NoRoute& unknown, const RequestHead& head) {
  if (unknown.allowed.empty()) {
    return not_found("{} {}: no such path", head.method, path_of(head));
  }
  return invalid_argument("{} {}: method not allowed (expected {})", head.method, path_of(head),
                          joined(unknown.allowed))
      .with({.reason = "method_not_allowed"});
}

// A browser that opens the address gets the page, everybody else Ollama's greeting.
bool prefers_page(const RequestHead& head) {
  return head.header("accept").find("text/html") != std::string_view::npos;
}

const RouteInfo& page_route() {
  static const RouteInfo& page = *std::ranges::find(all_routes(), "page", &RouteInfo::name);
  return page;
}

// --- Keys ---

bool may(const Key& key, const RouteInfo& route, const ServerSettings& settings) {
  if (route.scope == Scope::Public || key.scopes.contains(route.scope)) return true;
  // Who can reach a loopback address may look at the metrics with any key.
  return route.name == "ops.metrics" && is_loopback_host(settings.host);
}

Result<std::shared_ptr<const Key>> check_key(const RequestHead& head, const RouteMatch& match,
                                             const ServerState& server) {
  const Keys& keys = server.keys;
  if (keys.is_empty() || match.route->scope == Scope::Public) return std::shared_ptr<const Key>();
  const auto presented = presented_keys(head, match);
  if (presented.empty()) {
    return Error{Code::Unauthenticated, "an API key is required"}.with(
        {.reason = "missing_api_key"});
  }
  // Some clients send a dummy in one place and the key in another.
  std::shared_ptr<const Key> key;
  for (const auto& text : presented) {
    if (!key) key = keys.find(text);
  }
  if (!key) {
    return Error{Code::Unauthenticated, "API key not valid. Please pass a valid API key."}.with(
        {.reason = "invalid_api_key"});
  }
  if (may(*key, *match.route, server.settings)) return key;
  return Error{Code::PermissionDenied,
               fmt::format("this key lacks the scope \"{}\"", name(match.route->scope))}
      .with({.reason = "insufficient_scope"});
}

// Where a resumable upload begins, the file itself may come too.
BodyKind body_kind(const RequestHead& head, const RouteInfo& route) {
  const bool is_raw = head.header("x-goog-upload-protocol") == "raw";
  return is_raw && route.name == "gemini.files.upload" ? BodyKind::Upload : route.body;
}

}  // namespace

std::string_view json_type(Dialect dialect) {
  switch (dialect) {
    case Dialect::Gemini: return "application/json; charset=UTF-8";
    case Dialect::Ollama: return "application/json; charset=utf-8";
    default: return "application/json";
  }
}

std::string request_id_of(const RequestHead& head) {
  constexpr std::size_t kMostCharacters = 128;
  const std::string_view given = head.header("x-request-id");
  const bool is_usable = !given.empty() && given.size() <= kMostCharacters &&
                         std::ranges::all_of(given, [](char c) { return c > ' ' && c < 0x7f; });
  return is_usable ? std::string(given) : random_id("req_");
}

HeaderList reply_headers(const RequestHead& head, const ServerSettings& settings,
                         const std::string& request_id) {
  HeaderList headers = cors_headers(head, settings);
  for (auto& header : id_headers(request_id)) headers.push_back(std::move(header));
  return headers;
}

HeadDecision decide_head(const RequestHead& head, const ServerState& server,
                         const std::string& request_id) {
  const ServerSettings& settings = server.settings;
  auto found = find_route(head.method, head.target, settings.path_prefix);
  const auto* unknown = std::get_if<NoRoute>(&found);
  auto* match = std::get_if<RouteMatch>(&found);
  const Dialect dialect = unknown ? unknown->dialect : match->route->dialect;

  const auto refuse = [&](const Error& error, HeaderList headers) {
    return Refusal{dialect, error_answer(dialect, error, request_id, std::move(headers)),
                   error.message};
  };
  const Status access = judge_access(head, settings);
  // A page that may not ask is told nothing by CORS either.
  if (!access.ok()) return refuse(access.error(), id_headers(request_id));
  if (head.method == "OPTIONS") return Refusal{dialect, preflight_reply(head, settings), {}};

  HeaderList headers = reply_headers(head, settings, request_id);
  if (unknown) {
    if (!unknown->allowed.empty()) headers.emplace_back("Allow", joined(unknown->allowed));
    return refuse(no_route(*unknown, head), std::move(headers));
  }
  if (match->route->name == "ollama.root" && prefers_page(head)) match->route = &page_route();
  auto key = check_key(head, *match, server);
  if (!key.ok()) return refuse(key.error(), std::move(headers));
  return Admission{std::move(*match), std::move(*key)};
}

BodyPlan plan_body(const RequestHead& head, const Admission& admission, const ServerState& server,
                   const std::string& request_id) {
  // Some clients send a body where none is expected.
  constexpr std::uint64_t kMostNeedless = 64 * 1024;
  const ServerSettings& settings = server.settings;
  const RouteInfo& route = *admission.match.route;
  BodyPlan plan;
  const BodyKind kind = body_kind(head, route);
  plan.to_file = kind == BodyKind::Upload;
  switch (kind) {
    case BodyKind::None: plan.most_bytes = kMostNeedless; break;
    case BodyKind::Json: plan.most_bytes = settings.most_body_bytes; break;
    case BodyKind::Upload: plan.most_bytes = settings.most_upload_bytes; break;
  }
  const auto answer = [head, dialect = route.dialect, &settings, request_id](const Error& error) {
    return error_answer(dialect, error, request_id, reply_headers(head, settings, request_id));
  };
  plan.too_large = [answer](std::uint64_t most_bytes) {
    return answer(invalid_argument("request body: too large (at most {} bytes)", most_bytes)
                      .with({.reason = "body_too_large"}));
  };
  plan.malformed = [answer](std::string_view what) {
    return answer(invalid_argument("request body: {}", what));
  };
  return plan;
}

}  // namespace fourfold
