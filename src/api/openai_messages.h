// The messages of a chat completion request → messages of a conversation.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "api/field.h"
#include "api/messages.h"
#include "api/openai_media.h"
#include "api/sealed_text.h"
#include "base/result.h"
#include "chat/conversation.h"

namespace fourfold {

// What reading a history needs besides the request. Both may be absent.
struct HistoryHelp {
  const Sealer* sealer = nullptr;  // opens thoughts that a client carried for us
  FileReader read_file;
};

struct ReadHistory {
  std::vector<Message> messages;
  std::vector<BrokenCall> broken_calls;
  std::vector<std::string> warnings;
};

Result<ReadHistory> read_openai_messages(const Field& list, const HistoryHelp& help);

// A content: a string, a list of parts, or nothing. Also of the Responses API, whose parts are
// named input_text, output_text, input_image …
Status read_openai_content(const Field& content, const HistoryHelp& help, Message& message,
                           std::vector<std::string>& warnings);

// One part of such a list: a text, a medium, or nothing that we know of.
Result<std::optional<Part>> read_openai_part(const Field& part, const HistoryHelp& help);

// What a tool gave back: a string, a list of parts, or nothing, which is the empty text.
Status read_openai_result(const Field& content, const HistoryHelp& help, ToolResult& result,
                          std::vector<std::string>& warnings);

}  // namespace fourfold
