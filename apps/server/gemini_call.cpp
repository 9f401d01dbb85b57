#include "server/gemini_call.h"

#include <algorithm>

#include "base/letter_case.h"
#include "server/files.h"

namespace fourfold {
namespace {

// The first of a list; empty if it is none of what a host or path consists of: it would end in
// addresses that clients follow.
std::string_view first_plain(std::string_view list) {
  std::string_view first = list.substr(0, list.find(','));
  while (first.ends_with(' ')) first.remove_suffix(1);
  const bool is_plain = std::ranges::all_of(first, [](char c) {
    const bool is_alphanumeric =
        (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    return is_alphanumeric || std::string_view(".:-_[]/~").find(c) != std::string_view::npos;
  });
  return is_plain ? first : std::string_view();
}

std::string_view without_last_slashes(std::string_view path) {
  while (path.ends_with('/')) path.remove_suffix(1);
  return path;
}

}  // namespace

GeminiRequestOptions gemini_options(Call& call, std::string model) {
  ServerState& server = call.server();
  const ServerSettings& settings = server.settings;
  const auto think = settings.think_default.find(Dialect::Gemini);
  GeminiRequestOptions options;
  options.model = std::move(model);
  options.thinks_by_default = think != settings.think_default.end() && think->second;
  options.ignore_server_tools = settings.ignore_server_tools;
  options.billing_prefixes = settings.billing_prefixes;
  options.refuse_broken_calls = settings.refuse_broken_calls;
  options.content.sealer = &server.sealer;
  options.content.load_file = [&server](std::string_view id) { return server.files.load(id); };
  return options;
}

Result<std::optional<CachedContent>> cached_content_of(Call& call, const JsonValue& body,
                                                       std::string_view model) {
  const auto id = TRY(cached_content_id(body));
  if (id.empty()) return std::optional<CachedContent>();
  auto content = TRY(call.server().caches.find(id));
  const auto facts = call.server().models.find(model);
  if (facts && facts->id != content.model) {
    return invalid_argument("cachedContent: made with models/{}, not with models/{}", content.model,
                            facts->id)
        .with({.reason = "", .field = "cachedContent"});
  }
  return std::optional(std::move(content));
}

Result<PageRequest> page_request(const Call& call) {
  const auto either = [&](const std::string& camel, const std::string& snake) {
    const auto value = call.query(camel);
    return value.empty() ? call.query(snake) : value;
  };
  return parse_page(either("pageSize", "page_size"), either("pageToken", "page_token"));
}

std::string public_base(Call& call) {
  const RequestHead& head = call.request().head;
  const ServerSettings& settings = call.server().settings;
  const auto scheme = to_lower(first_plain(head.header("x-forwarded-proto")));
  std::string_view host = first_plain(head.header("x-forwarded-host"));
  if (host.empty()) host = first_plain(head.header("host"));
  const std::string fallback = fmt::format("{}:{}", settings.host, settings.port);
  const auto outer = without_last_slashes(first_plain(head.header("x-forwarded-prefix")));
  const auto inner = without_last_slashes(settings.path_prefix);
  const bool has_inner = head.target.starts_with(inner);
  return fmt::format("{}://{}{}{}", scheme == "https" ? "https" : "http",
                     host.empty() ? std::string_view(fallback) : host, outer,
                     has_inner ? inner : std::string_view());
}

}  // namespace fourfold
