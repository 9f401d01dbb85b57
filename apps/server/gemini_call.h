// What the handlers of Gemini's dialect share.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "api/gemini_request.h"
#include "api/model_list.h"
#include "server/caches.h"
#include "server/call.h"

namespace fourfold {

// As the server's settings want requests to be read. `model` is that of the path.
GeminiRequestOptions gemini_options(Call& call, std::string model);

// The cached content that a body names; nullopt if it names none. InvalidArgument if it was made
// with another model.
Result<std::optional<CachedContent>> cached_content_of(Call& call, const JsonValue& body,
                                                       std::string_view model);

// Of the query.
Result<PageRequest> page_request(const Call& call);

// "https://host/prefix": how the client reached this server, for addresses in replies.
std::string public_base(Call& call);

}  // namespace fourfold
