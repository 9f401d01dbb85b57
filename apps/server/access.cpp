#include "server/access.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <netdb.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>

#include "server/http/ascii.h"

namespace fourfold {
namespace {

constexpr std::string_view kExposedHeaders =
    "x-goog-upload-url, x-goog-upload-status, x-goog-upload-chunk-granularity, "
    "x-goog-upload-size-received, x-request-id, request-id, retry-after, retry-after-ms, "
    "x-should-retry, x-warning, x-media-seen";
constexpr std::string_view kMethods = "GET, HEAD, POST, PATCH, PUT, DELETE, OPTIONS";
constexpr std::size_t kMostQuotedBytes = 200;

const std::vector<std::string>& default_origins() {
  static const std::vector<std::string> kOrigins = {
      "http://localhost:*",
      "https://localhost:*",
      "http://127.0.0.1:*",
      "https://127.0.0.1:*",
      "http://[::1]:*",
      "https://[::1]:*",
      "http://0.0.0.0:*",
      "https://0.0.0.0:*",
      "app://",
      "file://",
      "tauri://",
      "vscode-webview://",
      "vscode-file://",
  };
  return kOrigins;
}

// ---- names and addresses ----

// "host" or "host:port".
struct Authority {
  std::string host;  // lower case, without brackets and final dot
  std::optional<int> port;
  bool is_any_port = false;  // ":*", of settings
};

bool is_host_char(char c) {
  return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_';
}

bool is_ipv6_char(char c) {
  return (c >= 'a' && c <= 'f') || (c >= '0' && c <= '9') || c == ':' || c == '.';
}

std::optional<int> parse_port(std::string_view text) {
  if (text.empty() || text.size() > 5) return std::nullopt;
  int port = 0;
  for (const char c : text) {
    if (c < '0' || c > '9') return std::nullopt;
    port = port * 10 + (c - '0');
  }
  return port <= 65535 ? std::optional(port) : std::nullopt;
}

std::optional<Authority> parse_authority(std::string_view text) {
  Authority authority;
  std::string_view rest;
  if (text.starts_with('[')) {
    const auto end = text.find(']');
    if (end == text.npos) return std::nullopt;
    authority.host = ascii_lower(text.substr(1, end - 1));
    rest = text.substr(end + 1);
    if (!std::ranges::all_of(authority.host, is_ipv6_char)) return std::nullopt;
  } else {
    const auto end = std::min(text.find(':'), text.size());
    authority.host = ascii_lower(text.substr(0, end));
    rest = text.substr(end);
    if (!std::ranges::all_of(authority.host, is_host_char)) return std::nullopt;
    if (authority.host.ends_with('.')) authority.host.pop_back();
  }
  if (rest.empty() || rest == ":") return authority;
  if (!rest.starts_with(':')) return std::nullopt;
  authority.is_any_port = rest == ":*";
  if (authority.is_any_port) return authority;
  authority.port = parse_port(rest.substr(1));
  if (!authority.port) return std::nullopt;
  return authority;
}

struct Address {
  std::array<std::uint8_t, 16> bytes = {};  // IPv4 in the first four
  bool is_ipv6 = false;

  friend bool operator==(const Address&, const Address&) = default;
};

std::optional<Address> parse_address(const std::string& text) {
  Address address;
  if (::inet_pton(AF_INET, text.c_str(), address.bytes.data()) == 1) return address;
  if (::inet_pton(AF_INET6, text.c_str(), address.bytes.data()) != 1) return std::nullopt;
  constexpr std::array<std::uint8_t, 12> kMapped = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
  if (std::equal(kMapped.begin(), kMapped.end(), address.bytes.begin())) {
    Address mapped;
    std::copy_n(address.bytes.begin() + 12, 4, mapped.bytes.begin());
    return mapped;
  }
  address.is_ipv6 = true;
  return address;
}

bool is_loopback(const Address& address) {
  const auto& b = address.bytes;
  if (!address.is_ipv6) return b[0] == 127;
  return std::all_of(b.begin(), b.begin() + 15, [](auto byte) { return byte == 0; }) && b[15] == 1;
}

bool is_unspecified(const Address& address) {
  return std::ranges::all_of(address.bytes, [](auto byte) { return byte == 0; });
}

// RFC 1918, unique local (RFC 4193) and link-local addresses.
bool is_private(const Address& address) {
  const auto& b = address.bytes;
  if (address.is_ipv6) return (b[0] & 0xfe) == 0xfc || (b[0] == 0xfe && (b[1] & 0xc0) == 0x80);
  return b[0] == 10 || (b[0] == 172 && b[1] >= 16 && b[1] < 32) || (b[0] == 192 && b[1] == 168) ||
         (b[0] == 169 && b[1] == 254);
}

bool is_name_of(std::string_view host, std::string_view domain) {
  return host == domain || (host.ends_with(domain) && host[host.size() - domain.size() - 1] == '.');
}

// A name that a stranger's DNS server cannot have made point to this machine.
bool is_local_name(const std::string& host, const LocalMachine& machine) {
  if (host.empty()) return false;
  if (const auto address = parse_address(host)) {
    if (is_loopback(*address) || is_private(*address) || is_unspecified(*address)) return true;
    return std::ranges::any_of(
        machine.addresses, [&](const std::string& own) { return parse_address(own) == address; });
  }
  if (host == machine.name || host.find('.') == host.npos) return true;
  return is_name_of(host, "localhost") || is_name_of(host, "local") || is_name_of(host, "internal");
}

bool passes_host_test(const Authority& host, const ServerSettings& settings,
                      const LocalMachine& machine) {
  const auto is_named = [&](const std::string& name) {
    const auto configured = parse_authority(name);
    return configured && configured->host == host.host;
  };
  return is_local_name(host.host, machine) || std::ranges::any_of(settings.hosts, is_named);
}

// ---- origins ----

struct Origin {
  std::string scheme;
  Authority authority;
};

bool is_scheme(std::string_view text) {
  return !text.empty() && text.front() >= 'a' && text.front() <= 'z' &&
         std::ranges::all_of(text, [](char c) { return is_host_char(c) || c == '+'; });
}

std::optional<Origin> parse_origin(std::string_view text) {
  const auto colon = text.find("://");
  if (colon == text.npos) return std::nullopt;
  const std::string scheme = ascii_lower(text.substr(0, colon));
  const auto authority = parse_authority(text.substr(colon + 3));
  if (!authority || !is_scheme(scheme)) return std::nullopt;
  return Origin{scheme, *authority};
}

int port_of(const Authority& authority, std::string_view scheme) {
  if (authority.port) return *authority.port;
  return scheme == "https" ? 443 : scheme == "http" ? 80 : 0;
}

bool is_web(std::string_view scheme) { return scheme == "http" || scheme == "https"; }

// `setting` may stand for a whole scheme or every port.
bool matches(const Origin& origin, const Origin& setting) {
  if (origin.scheme != setting.scheme) return false;
  if (setting.authority.host.empty()) return true;
  return origin.authority.host == setting.authority.host &&
         (setting.authority.is_any_port ||
          port_of(origin.authority, origin.scheme) == port_of(setting.authority, setting.scheme));
}

bool is_on_list(std::string_view text, const std::vector<std::string>& list) {
  const auto origin = parse_origin(text);
  // What only a setting may hold is no origin of a page.
  if (origin && origin->authority.is_any_port) return false;
  return std::ranges::any_of(list, [&](const std::string& entry) {
    if (entry == "*" || entry == text) return entry == "*" || entry == "null" || origin;
    const auto setting = parse_origin(entry);
    return origin && setting && matches(*origin, *setting);
  });
}

// The page that this server serves.
bool is_own_page(std::string_view text, const RequestHead& head, const ServerSettings& settings,
                 const LocalMachine& machine) {
  const auto origin = parse_origin(text);
  const auto host = parse_authority(head.header("host"));
  if (!origin || !host || !is_web(origin->scheme) || origin->authority.is_any_port) return false;
  return origin->authority.host == host->host &&
         port_of(origin->authority, origin->scheme) == port_of(*host, origin->scheme) &&
         passes_host_test(*host, settings, machine);
}

bool is_allowed_origin(std::string_view origin, const RequestHead& head,
                       const ServerSettings& settings, const LocalMachine& machine) {
  const auto& list = settings.origins.empty() ? default_origins() : settings.origins;
  return is_on_list(origin, list) || is_own_page(origin, head, settings, machine);
}

// ---- the request ----

std::string_view path_of(const RequestHead& head, const ServerSettings& settings) {
  std::string_view path = head.target;
  path = path.substr(0, path.find_first_of("?#"));
  const std::string_view prefix = settings.path_prefix;
  if (!prefix.empty() && path.starts_with(prefix)) {
    const auto rest = path.substr(prefix.size());
    if (rest.empty() || rest.starts_with('/')) path = rest;
  }
  while (path.ends_with('/')) path.remove_suffix(1);
  return path;
}

// What monitors and a first look may always ask. It tells nothing.
bool is_exempt(const RequestHead& head, const ServerSettings& settings) {
  if (head.method != "GET" && head.method != "HEAD") return false;
  const auto path = path_of(head, settings);
  return path.empty() || path == "/health" || path == "/v1/health" || path == "/live" ||
         path == "/ready";
}

bool changes_nothing(std::string_view method) {
  return method == "GET" || method == "HEAD" || method == "OPTIONS";
}

// Not quite a quote: a header that may be long and hold anything.
std::string quoted(std::string_view text) {
  std::string out = "\"";
  for (const char c : text.substr(0, kMostQuotedBytes)) out += c >= 0x20 && c < 0x7f ? c : '?';
  return out += text.size() > kMostQuotedBytes ? "…\"" : "\"";
}

Error refusal(std::string message) {
  return Error{Code::PermissionDenied, std::move(message)}.with({.reason = "origin_not_allowed"});
}

const LocalMachine kNoMachine;

// Asking the system for its addresses is for the few requests whose answer depends on them.
bool may_depend_on_machine(const RequestHead& head) {
  const auto host = parse_authority(head.header("host"));
  return host && !is_local_name(host->host, kNoMachine);
}

}  // namespace

LocalMachine this_machine() {
  LocalMachine machine;
  std::array<char, 256> name = {};
  if (::gethostname(name.data(), name.size() - 1) == 0) machine.name = ascii_lower(name.data());
  ::ifaddrs* all = nullptr;
  if (::getifaddrs(&all) != 0) return machine;
  for (const auto* one = all; one; one = one->ifa_next) {
    if (!one->ifa_addr) continue;
    const int family = one->ifa_addr->sa_family;
    if (family != AF_INET && family != AF_INET6) continue;
    const ::socklen_t size = family == AF_INET ? sizeof(::sockaddr_in) : sizeof(::sockaddr_in6);
    std::array<char, NI_MAXHOST> text = {};
    if (::getnameinfo(one->ifa_addr, size, text.data(), text.size(), nullptr, 0, NI_NUMERICHOST) ==
        0) {
      const std::string address = text.data();
      machine.addresses.push_back(address.substr(0, address.find('%')));  // without the zone
    }
  }
  ::freeifaddrs(all);
  return machine;
}

Status judge_access(const RequestHead& head, const ServerSettings& settings) {
  return judge_access(head, settings, may_depend_on_machine(head) ? this_machine() : kNoMachine);
}

Status judge_access(const RequestHead& head, const ServerSettings& settings,
                    const LocalMachine& machine) {
  if (is_exempt(head, settings)) return {};
  const std::string_view origin = head.header("origin");
  if (!origin.empty() && !is_allowed_origin(origin, head, settings, machine)) {
    return refusal(
        fmt::format("origin not allowed: {} (--origins would allow it)", quoted(origin)));
  }
  if (origin.empty() && ascii_equal(head.header("sec-fetch-site"), "cross-site") &&
      !changes_nothing(head.method)) {
    return refusal("origin not allowed: another site's page sent this without naming itself");
  }
  const std::string_view host = head.header("host");
  if (host.empty() || !is_loopback_host(settings.host)) return {};
  const auto parsed = parse_authority(host);
  if (parsed && !parsed->is_any_port && passes_host_test(*parsed, settings, machine)) return {};
  return refusal(fmt::format("host not allowed: {} (--hosts would allow it)", quoted(host)));
}

HeaderList cors_headers(const RequestHead& head, const ServerSettings& settings) {
  const std::string_view origin = head.header("origin");
  if (origin.empty()) return {};
  const LocalMachine machine = may_depend_on_machine(head) ? this_machine() : kNoMachine;
  if (!is_allowed_origin(origin, head, settings, machine)) return {};
  return {{"Access-Control-Allow-Origin", std::string(origin)},
          {"Vary", "Origin"},
          {"Access-Control-Expose-Headers", std::string(kExposedHeaders)}};
}

Reply preflight_reply(const RequestHead& head, const ServerSettings& settings) {
  Reply reply = {.status = 204, .headers = {{"Allow", std::string(kMethods)}}};
  const auto cors = cors_headers(head, settings);
  if (cors.empty()) return reply;
  reply.headers = {cors[0],
                   cors[1],
                   {"Access-Control-Allow-Methods", std::string(kMethods)},
                   {"Access-Control-Max-Age", "86400"}};
  // An echo: "*" would not cover Authorization.
  const std::string_view asked = head.header("access-control-request-headers");
  if (!asked.empty()) {
    reply.headers.emplace_back("Access-Control-Allow-Headers", std::string(asked));
  }
  if (ascii_equal(head.header("access-control-request-private-network"), "true")) {
    reply.headers.emplace_back("Access-Control-Allow-Private-Network", "true");
  }
  return reply;
}

bool is_loopback_host(std::string_view host) {
  std::string name = ascii_lower(host);
  if (name.starts_with('[') && name.ends_with(']')) name = name.substr(1, name.size() - 2);
  if (const auto address = parse_address(name)) return is_loopback(*address);
  return is_name_of(name, "localhost");
}

Status check_origin_setting(std::string_view origin) {
  if (origin == "*" || origin == "null" || parse_origin(origin)) return {};
  return invalid_argument(
      "origin \"{}\": expected scheme://host, scheme://host:port, scheme://host:*, scheme://, "
      "null or *",
      origin);
}

}  // namespace fourfold
