#include "api/tool_declaration.h"

#include <set>

#include "api/messages.h"
#include "base/utf8.h"

namespace fourfold {
namespace {

bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
bool is_digit(char c) { return c >= '0' && c <= '9'; }

bool is_tool_name(std::string_view name, const ToolNameRules& rules) {
  if (name.empty() || name.size() > rules.most) return false;
  if (rules.starts_with_letter && !is_letter(name.front()) && name.front() != '_') return false;
  for (const char c : name) {
    if (!is_letter(c) && !is_digit(c) && rules.marks.find(c) == rules.marks.npos) return false;
  }
  return true;
}

}  // namespace

Result<std::string> read_tool_name(const Field& field, const ToolNameRules& rules) {
  auto name = TRY(field.string());
  if (is_tool_name(name, rules)) return name;
  return field.error(fmt::format(
      "{} is no name of a tool (expected 1 to {} letters, digits and {}{})", printable(name),
      rules.most, rules.marks, rules.starts_with_letter ? ", a letter or _ first" : ""));
}

Result<Tool> make_tool(const DeclaredTool& declared) {
  Tool tool;
  tool.name = declared.name;
  tool.strict = declared.strict;
  tool.declaration.set("name", JsonValue::of(declared.name));
  const auto description = TRY(declared.description.optional_string());
  if (description) tool.declaration.set("description", JsonValue::of(*description));
  const bool has_parameters =
      !declared.parameters.absent() && !has_no_parameters(&declared.parameters.json());
  if (has_parameters) {
    TRY(declared.parameters.require_object());
    tool.declaration.set("parameters", declared.parameters.json());
  }
  if (!declared.response.absent()) {
    TRY(declared.response.require_object());
    tool.declaration.set("response", declared.response.json());
  }
  return tool;
}

Status check_tool_names_differ(const std::vector<Tool>& tools, std::string_view path) {
  std::set<std::string_view> seen;
  for (const auto& tool : tools) {
    if (seen.insert(tool.name).second) continue;
    return invalid_argument("{}: {} is declared twice", path, printable(tool.name))
        .with({.reason = "", .field = std::string(path)});
  }
  return {};
}

}  // namespace fourfold
