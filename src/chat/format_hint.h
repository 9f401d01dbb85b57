// Tells the model in its system text which JSON is asked for: the constraint alone would push it to
// words that it does not expect.
#pragma once

#include "chat/conversation.h"

namespace fourfold {

// Conversations whose response format is JSON get a line at the end of their system text, or a
// system text. Others stay as they are.
Conversation with_format_hint(Conversation conversation);

}  // namespace fourfold
