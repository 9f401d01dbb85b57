// The chat page over HTTP.
#pragma once

#include <optional>

#include "server/http/exchange.h"

namespace fourfold {

// The file that a GET of "/" or "/assets/…" asks for, nullopt if the page has none of this name.
std::optional<Reply> page_reply(const RequestHead& head);

}  // namespace fourfold
