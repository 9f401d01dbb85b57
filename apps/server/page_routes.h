// The chat page in answer to a call: GET / for browsers, and the assets that it names.
#pragma once

#include "server/call.h"

namespace fourfold {

// NotFound if the page has no such file.
Status send_page(Call& call);

}  // namespace fourfold
