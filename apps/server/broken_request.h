// What a client is told whose request never became one: a broken or slow head, a body that cannot
// be taken. In the dialect of its path, as far as that is known.
#pragma once

#include <string_view>

#include "server/http/exchange.h"
#include "server/server_state.h"

namespace fourfold {

// For HttpOptions::broken_request.
Reply broken_request_reply(int status, std::string_view target, std::string_view what,
                           const ServerSettings& settings);

}  // namespace fourfold
