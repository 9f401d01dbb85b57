// Which pages may talk to the server (http-apis.md 6.4). Any page that the user visits can send
// requests to a local server, and with DNS rebinding read the answers too, so this is decided from
// the head of every request before anything else is.
//
//   TRY(judge_access(head, settings));                       // 403, without CORS headers
//   if (head.method == "OPTIONS") return preflight_reply(head, settings);
//   …  reply.headers += cors_headers(head, settings);
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "server/http/exchange.h"
#include "server/server_state.h"

namespace fourfold {

// What the machine calls itself.
struct LocalMachine {
  std::string name;                    // of the host, lower case
  std::vector<std::string> addresses;  // of its interfaces
};
LocalMachine this_machine();

// PermissionDenied "origin_not_allowed" that names the setting.
Status judge_access(const RequestHead& head, const ServerSettings& settings);
Status judge_access(const RequestHead& head, const ServerSettings& settings,
                    const LocalMachine& machine);

// Of an allowed origin; nothing for others and for requests without one.
HeaderList cors_headers(const RequestHead& head, const ServerSettings& settings);
// The answer to any OPTIONS that was let in.
Reply preflight_reply(const RequestHead& head, const ServerSettings& settings);

// "127.0.0.1", "::1", "[::1]", "localhost": what only this machine can reach.
bool is_loopback_host(std::string_view host);

// An entry of --origins: "https://a.example", with ":8080" or ":*" for every port; "app://" for
// every origin of a scheme; "null"; "*". InvalidArgument for anything else.
Status check_origin_setting(std::string_view origin);

}  // namespace fourfold
