// Tools of Gemini's requests, and which of them may be called (http-apis.md 2.5).
#pragma once

#include <string>
#include <vector>

#include "api/field.h"
#include "base/result.h"
#include "chat/conversation.h"

namespace fourfold {

struct GeminiTools {
  std::vector<Tool> tools;
  ToolChoice choice;
};

// Tools that the vendor's server would run itself are refused, or reported in `warnings`.
Result<GeminiTools> read_gemini_tools(const Field& tools, const Field& config,
                                      bool ignore_server_tools, std::vector<std::string>& warnings);

}  // namespace fourfold
