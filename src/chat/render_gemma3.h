// The prompt of Gemma 3's text bodies (tokenizer-chat.md 2.10).
#pragma once

#include "base/result.h"
#include "chat/conversation.h"
#include "chat/prompt.h"

namespace fourfold {

// Unimplemented for what these bodies lack: tools, thinking and media.
Status write_gemma3(const Conversation& conversation, PromptWriter& out);

}  // namespace fourfold
