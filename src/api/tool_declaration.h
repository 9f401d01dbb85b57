// Tools as clients declare them → Tool, for all dialects.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "api/field.h"
#include "base/json_value.h"
#include "base/result.h"
#include "chat/conversation.h"

namespace fourfold {

struct ToolNameRules {
  std::string_view marks = "_-";  // beside letters and digits
  std::size_t most = 64;
  bool starts_with_letter = false;  // or with an underscore
};
inline constexpr ToolNameRules kGeminiToolNames = {
    .marks = "_.:-", .most = 128, .starts_with_letter = true};
// OpenAI's grammar, loosened: agents join names of servers and tools by dots and colons, too.
inline constexpr ToolNameRules kToolNames = {.marks = "_.:/-", .most = 128};

// `field` holds the name. InvalidArgument.
Result<std::string> read_tool_name(const Field& field, const ToolNameRules& rules);

struct DeclaredTool {
  std::string name;
  Field description;  // a string or absent
  Field parameters;   // a JSON Schema, true or absent
  Field response;     // likewise
  bool strict = false;
};

// A tool without parameters is one and the same however that is spelled (http-apis.md 1.7).
Result<Tool> make_tool(const DeclaredTool& declared);

// InvalidArgument if two tools have one name; `path` is that of the list.
Status check_tool_names_differ(const std::vector<Tool>& tools, std::string_view path);

}  // namespace fourfold
