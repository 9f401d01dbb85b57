// A conversation that the official template would render badly, mended or refused: the policies of
// tokenizer-chat.md 2.1–2.3, 4.2, 4.4 and 4.5. What has no such defect stays as it is.
#pragma once

#include "base/result.h"
#include "chat/conversation.h"

namespace fourfold {

// - Refused: unknown roles and parts, media in the first system message, results without a call.
// - Schemas of tools are mended (tool_schema.h).
// - Every result has the name that is printed.
// - Calls without a result get one, "cancelled", when a message follows.
Result<Conversation> normalized(Conversation conversation);

}  // namespace fourfold
