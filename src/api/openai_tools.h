// The tools of an OpenAI request: functions, custom tools, namespaces of either, and the way back
// from the name that the model calls to the tool that the client knows (http-apis.md 3.7).
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "api/field.h"
#include "base/result.h"
#include "chat/conversation.h"

namespace fourfold {

// A tool as its client knows it.
struct ClientTool {
  std::string model_name;  // what the model calls
  std::string name_space;  // empty: none
  std::string name;
  bool is_custom = false;  // its argument is one text
};

// Which name stands for which tool. Names are never taken apart again: this table is the way back.
class ToolNames {
 public:
  // For a tool without a namespace; false if the name is taken.
  bool add_plain(std::string_view name, bool is_custom);
  // For a tool in a namespace, after all plain ones; nullptr if the pair is there already.
  const ClientTool* add(std::string_view name_space, std::string_view name, bool is_custom);

  const ClientTool* find(std::string_view model_name) const;
  // The name that a call of this pair has for the model, whether the tool is declared or not.
  std::string model_name(std::string_view name_space, std::string_view name) const;

 private:
  const ClientTool* find_pair(std::string_view name_space, std::string_view name) const;

  std::vector<ClientTool> tools_;
};

struct DeclaredTools {
  std::vector<Tool> tools;
  ToolNames names;
  std::vector<std::string> warnings;  // what was left out or loosened
};

// A list of tools, nested as chat completions have them or flat as the responses have them. Tools
// that the vendor's own server would run are left out and reported.
Result<DeclaredTools> read_openai_tools(const Field& list);
// "functions" of old clients: function objects without a wrapper.
Result<DeclaredTools> read_legacy_functions(const Field& list);

// "none", "auto", "required", one tool by name, or allowed_tools; absent: auto.
Result<ToolChoice> read_openai_tool_choice(const Field& choice, const DeclaredTools& declared,
                                           std::vector<std::string>& warnings);
// "function_call" of old clients.
Result<ToolChoice> read_legacy_function_call(const Field& choice, const DeclaredTools& declared);

// The text that a custom tool's call has for input.
std::string custom_input(const JsonValue& arguments);
// And the arguments that stand for it.
JsonValue custom_arguments(std::string input);

}  // namespace fourfold
