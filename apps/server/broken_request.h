// What a client is told whose request never became one: a broken or slow head, a body that cannot
// be taken. In the dialect of its path, as far as that is known.
#pragma once

#include <string>
#include <string_view>

#include "server/http/exchange.h"
#include "server/server_state.h"

namespace fourfold {

// Of a path, whatever the method.
Dialect dialect_of(std::string_view target, const ServerSettings& settings);

Reply broken_request_reply(int status, std::string_view what, Dialect dialect,
                           const std::string& request_id);

}  // namespace fourfold
