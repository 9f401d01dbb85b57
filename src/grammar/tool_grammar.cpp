#include "grammar/tool_grammar.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "grammar/schema_grammar.h"

namespace fourfold {

namespace {

Result<std::vector<const ToolSpec*>> chosen_tools(const ToolSet& set) {
  std::set<std::string_view> seen;
  for (const auto& tool : set.tools) {
    if (tool.name.empty()) return invalid_argument("a tool without a name");
    if (tool.name.find_first_of("{}<>\n") != std::string::npos) {
      return invalid_argument("tool \"{}\": such a name cannot be called", tool.name);
    }
    if (!seen.insert(tool.name).second) return invalid_argument("two tools named {}", tool.name);
  }
  for (const auto& name : set.names) {
    if (!seen.contains(name)) return invalid_argument("no tool is named {}", name);
  }
  std::vector<const ToolSpec*> chosen;
  for (const auto& tool : set.tools) {
    const bool is_chosen =
        set.names.empty() || std::ranges::find(set.names, tool.name) != set.names.end();
    if (is_chosen) chosen.push_back(&tool);
  }
  if (chosen.empty()) return invalid_argument("no tools to call");
  return chosen;
}

}  // namespace

Result<GrammarSource> make_tool_grammar(const ToolSet& set, const ControlIds& control) {
  if (control.tool_call_open == kNoToken || control.tool_call_close == kNoToken ||
      control.quote == kNoToken) {
    return failed_precondition("this model has no tool calls");
  }
  const auto tools = TRY(chosen_tools(set));
  SchemaGrammar grammar({.notation = Notation::Call, .quote = control.quote});
  std::vector<std::string> calls;
  for (const auto* tool : tools) {
    grammar.set_loosen(tool->unsupported == Unsupported::Loosen);
    const auto arguments =
        TRY(grammar.arguments(tool->parameters, fmt::format("tool {}: $", tool->name)));
    calls.push_back(fmt::format("{} {}", lark_literal("call:" + tool->name), arguments));
  }
  const auto start = fmt::format("start: call{}\ncall: <[{}]> any_call <[{}]>\nany_call: {}",
                                 set.parallel ? "+" : "", control.tool_call_open,
                                 control.tool_call_close, fmt::join(calls, "\n  | "));
  return GrammarSource{grammar.source(start), grammar.loosened()};
}

}  // namespace fourfold
