#include "api/openai_tools.h"

#include <algorithm>
#include <utility>

#include "api/tool_declaration.h"
#include "base/sha256.h"
#include "base/utf8.h"

namespace fourfold {
namespace {

constexpr std::size_t kMostNameBytes = 64;
constexpr std::size_t kHashDigits = 8;

bool is_name_character(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
         c == '-' || c == '.';
}

bool is_good_name(std::string_view name) {
  return !name.empty() && name.size() <= kMostNameBytes &&
         std::all_of(name.begin(), name.end(), is_name_character);
}

std::string joined(std::string_view name_space, std::string_view name) {
  std::string out(name_space);
  if (!out.ends_with('_')) out += "__";
  return out += name;
}

// A name for a pair whose joined name will not do: its head and a hash, the same in every request.
std::string short_form(std::string_view name_space, std::string_view name) {
  std::string head = joined(name_space, name);
  std::replace_if(
      head.begin(), head.end(), [](char c) { return !is_name_character(c); }, '_');
  head.resize(std::min(head.size(), kMostNameBytes - kHashDigits - 1));
  const std::string pair = std::string(name_space) + '\n' + std::string(name);
  return head + '_' + sha256_hex(pair).substr(0, kHashDigits);
}

const ClientTool* find_in(const std::vector<ClientTool>& tools, std::string_view model_name) {
  for (const auto& tool : tools) {
    if (tool.model_name == model_name) return &tool;
  }
  return nullptr;
}

}  // namespace

bool ToolNames::add_plain(std::string_view name, bool is_custom) {
  if (find(name)) return false;
  tools_.push_back({std::string(name), "", std::string(name), is_custom});
  return true;
}

const ClientTool* ToolNames::add(std::string_view name_space, std::string_view name,
                                 bool is_custom) {
  if (find_pair(name_space, name)) return nullptr;
  std::string model_name = joined(name_space, name);
  if (!is_good_name(model_name) || find(model_name)) model_name = short_form(name_space, name);
  tools_.push_back({std::move(model_name), std::string(name_space), std::string(name), is_custom});
  return &tools_.back();
}

const ClientTool* ToolNames::find(std::string_view model_name) const {
  return find_in(tools_, model_name);
}

const ClientTool* ToolNames::find_pair(std::string_view name_space, std::string_view name) const {
  for (const auto& tool : tools_) {
    if (tool.name_space == name_space && tool.name == name) return &tool;
  }
  return nullptr;
}

std::string ToolNames::model_name(std::string_view name_space, std::string_view name) const {
  if (name_space.empty()) return std::string(name);
  if (const ClientTool* tool = find_pair(name_space, name)) return tool->model_name;
  std::string plain = joined(name_space, name);
  return is_good_name(plain) ? plain : short_form(name_space, name);
}

namespace {

struct Namespace {
  std::string name;
  std::string description;
};

// Everything of a tool but its name for the model.
struct ReadTool {
  std::string name;
  Tool tool;
  bool is_custom = false;
};

std::string with_context(const std::string& context, std::string description) {
  if (context.empty()) return description;
  return description.empty() ? context : context + '\n' + description;
}

// {"function": {…}} or, flat, the members themselves.
Field inner(const Field& tool, std::string_view wrapper) {
  return tool[wrapper].absent() ? tool : tool[wrapper];
}

// The name of a tool in a namespace is free: it is joined and, if need be, shortened.
Result<std::string> read_name(const Field& name, bool is_child) {
  if (!is_child) return read_tool_name(name, kToolNames);
  auto text = TRY(name.string());
  if (text.empty()) return name.error("must not be empty");
  return text;
}

Result<ReadTool> read_function(const Field& function, bool is_child) {
  ReadTool out;
  out.name = TRY(read_name(function["name"], is_child));
  const bool is_strict = TRY(function["strict"].boolean_or(false));
  out.tool = TRY(make_tool({.name = out.name,
                            .description = function["description"],
                            .parameters = function["parameters"],
                            .response = function["response"],
                            .strict = is_strict}));
  return out;
}

// A custom tool's format as a schema of its one text, and as words for the model.
struct CustomFormat {
  JsonValue schema = JsonValue::object({{"type", JsonValue::of("string")}});
  std::string words;
};

Result<CustomFormat> read_custom_format(const Field& format, const std::string& tool_name,
                                        std::vector<std::string>& warnings) {
  CustomFormat out;
  const auto type = TRY(format["type"].optional_string()).value_or("text");
  if (type == "text") return out;
  if (type != "grammar") return format["type"].error("expected text or grammar");
  // Chat completions nest both once more.
  const Field grammar = inner(format, "grammar");
  const auto syntax = TRY(grammar["syntax"].string());
  const auto definition = TRY(grammar["definition"].string());
  out.words = fmt::format("The input must match this {} grammar:\n{}", syntax, definition);
  if (syntax == "regex") {
    out.schema.set("pattern", JsonValue::of(fmt::format("^(?:{})$", definition)));
  } else if (syntax == "lark") {
    // No grammar can stand inside the string of a call.
    warnings.push_back(fmt::format("tool {}: its lark grammar is not enforced", tool_name));
  } else {
    return grammar["syntax"].error("expected lark or regex");
  }
  return out;
}

Result<ReadTool> read_custom(const Field& custom, bool is_child,
                             std::vector<std::string>& warnings) {
  ReadTool out;
  out.is_custom = true;
  out.name = TRY(read_name(custom["name"], is_child));
  const auto description = TRY(custom["description"].optional_string()).value_or("");
  auto format = TRY(read_custom_format(custom["format"], out.name, warnings));
  const std::string words = with_context(description, std::move(format.words));
  if (!words.empty()) out.tool.declaration.set("description", JsonValue::of(words));
  out.tool.declaration.set(
      "parameters",
      JsonValue::object({{"type", JsonValue::of("object")},
                         {"properties", JsonValue::object({{"input", std::move(format.schema)}})},
                         {"required", JsonValue::array({JsonValue::of("input")})}}));
  return out;
}

class ToolReader {
 public:
  Status read(const Field& list) {
    const auto tools = TRY(list.list());
    for (const auto& tool : tools) {
      TRY(tool.require_object());
      if (type_of(tool) != "namespace") TRY(add_plain(tool));
    }
    // Joined names make way for plain ones.
    for (const auto& tool : tools) {
      if (type_of(tool) == "namespace") TRY(add_namespace(tool));
    }
    return {};
  }

  Status read_functions(const Field& list) {
    const auto functions = TRY(list.list());
    for (const auto& function : functions) {
      TRY(function.require_object());
      take_plain(TRY(read_function(function, false)));
    }
    return {};
  }

  DeclaredTools take() { return std::move(out_); }

 private:
  static std::string type_of(const Field& tool) {
    const Field type = tool["type"];
    return type.json().is_string() ? type.json().text : "function";
  }

  // nullopt: not for us.
  Result<std::optional<ReadTool>> read_one(const Field& tool, bool is_child) {
    const std::string type = type_of(tool);
    if (type == "function") {
      return std::optional(TRY(read_function(inner(tool, "function"), is_child)));
    }
    if (type == "custom") {
      return std::optional(TRY(read_custom(inner(tool, "custom"), is_child, out_.warnings)));
    }
    out_.warnings.push_back(fmt::format("tool type {} is not offered, left out", printable(type)));
    return std::optional<ReadTool>();
  }

  Status add_plain(const Field& tool) {
    auto read = TRY(read_one(tool, false));
    if (read) take_plain(std::move(*read));
    return {};
  }

  void take_plain(ReadTool read) {
    if (!out_.names.add_plain(read.name, read.is_custom)) {
      out_.warnings.push_back(fmt::format("tool {} is declared twice", printable(read.name)));
      return;
    }
    push(std::move(read.tool), read.name);
  }

  Status add_namespace(const Field& field) {
    Namespace space;
    space.name = TRY(field["name"].string());
    if (space.name.empty()) return field["name"].error("must not be empty");
    space.description = TRY(field["description"].optional_string()).value_or("");
    const auto children = TRY(field["tools"].list());
    for (const auto& child : children) {
      TRY(child.require_object());
      auto read = TRY(read_one(child, true));
      if (read) take_child(space, std::move(*read));
    }
    return {};
  }

  void take_child(const Namespace& space, ReadTool read) {
    const ClientTool* known = out_.names.add(space.name, read.name, read.is_custom);
    if (!known) {
      out_.warnings.push_back(fmt::format("tool {} is declared twice", printable(read.name)));
      return;
    }
    const JsonValue* own = read.tool.declaration.find("description");
    const auto words = with_context(space.description, own ? own->text : "");
    if (!words.empty()) read.tool.declaration.set("description", JsonValue::of(words));
    push(std::move(read.tool), known->model_name);
  }

  void push(Tool tool, const std::string& model_name) {
    tool.name = model_name;
    // The name goes first, as clients write it.
    tool.declaration.erase("name");
    auto members = std::move(tool.declaration.members);
    tool.declaration = JsonValue::object({{"name", JsonValue::of(model_name)}});
    for (auto& member : members) tool.declaration.members.push_back(std::move(member));
    out_.tools.push_back(std::move(tool));
  }

  DeclaredTools out_;
};

// The declared tool that {"type": …, "name": …, "namespace": …} means, or nothing for one that is
// not the client's to run.
Result<std::optional<std::string>> chosen_tool(const Field& choice, const DeclaredTools& declared,
                                               std::vector<std::string>& warnings) {
  const auto type = TRY(choice["type"].optional_string()).value_or("function");
  if (type != "function" && type != "custom") {
    warnings.push_back(fmt::format("tool_choice: type {} is not offered", printable(type)));
    return std::optional<std::string>();
  }
  const Field tool = inner(choice, type);
  const auto name = TRY(tool["name"].string());
  const auto name_space = TRY(tool["namespace"].optional_string()).value_or("");
  auto model_name = declared.names.model_name(name_space, name);
  if (!declared.names.find(model_name)) {
    return tool["name"].error(printable(name) + " is not a declared tool");
  }
  return std::optional(std::move(model_name));
}

Result<ToolChoice::Mode> mode_of(const Field& mode) {
  const auto text = TRY(mode.string());
  if (text == "none") return ToolChoice::Mode::None;
  if (text == "auto") return ToolChoice::Mode::Auto;
  if (text == "required" || text == "any") return ToolChoice::Mode::Required;
  return mode.error(printable(text) + " (expected none, auto or required)");
}

Result<ToolChoice> read_allowed_tools(const Field& choice, const DeclaredTools& declared,
                                      std::vector<std::string>& warnings) {
  const Field allowed = inner(choice, "allowed_tools");
  ToolChoice out;
  if (!allowed["mode"].absent()) out.mode = TRY(mode_of(allowed["mode"]));
  const auto tools = TRY(allowed["tools"].list());
  if (tools.empty()) return allowed["tools"].error("expected at least one tool");
  for (const auto& tool : tools) {
    auto name = TRY(chosen_tool(tool, declared, warnings));
    if (name) out.names.push_back(std::move(*name));
  }
  // None of them is ours to call.
  if (out.names.empty()) out.mode = ToolChoice::Mode::None;
  return out;
}

}  // namespace

Result<DeclaredTools> read_openai_tools(const Field& list) {
  ToolReader reader;
  TRY(reader.read(list));
  return reader.take();
}

Result<DeclaredTools> read_legacy_functions(const Field& list) {
  ToolReader reader;
  TRY(reader.read_functions(list));
  return reader.take();
}

Result<ToolChoice> read_openai_tool_choice(const Field& choice, const DeclaredTools& declared,
                                           std::vector<std::string>& warnings) {
  ToolChoice out;
  if (choice.absent()) return out;
  if (choice.json().is_string()) {
    out.mode = TRY(mode_of(choice));
  } else {
    TRY(choice.require_object());
    if (choice["type"].json().text == "allowed_tools") {
      return read_allowed_tools(choice, declared, warnings);
    }
    auto name = TRY(chosen_tool(choice, declared, warnings));
    if (!name) return out;
    out = {.mode = ToolChoice::Mode::Required, .names = {std::move(*name)}};
  }
  if (out.mode == ToolChoice::Mode::Required && declared.tools.empty()) {
    if (declared.warnings.empty()) return choice.error("a call is required, but no tool declared");
    out.mode = ToolChoice::Mode::Auto;
  }
  return out;
}

Result<ToolChoice> read_legacy_function_call(const Field& choice, const DeclaredTools& declared) {
  ToolChoice out{.parallel = false};
  if (choice.absent()) return out;
  if (choice.json().is_string()) {
    out.mode = TRY(mode_of(choice));
    return out;
  }
  const auto name = TRY(choice["name"].string());
  if (!declared.names.find(name)) {
    return choice["name"].error(printable(name) + " is not a declared function");
  }
  out.mode = ToolChoice::Mode::Required;
  out.names = {name};
  return out;
}

std::string custom_input(const JsonValue& arguments) {
  const JsonValue* input = arguments.find("input");
  if (input && input->is_string()) return input->text;
  // A model that did not keep to the one argument: all that it said.
  return to_json_text(arguments);
}

JsonValue custom_arguments(std::string input) {
  return JsonValue::object({{"input", JsonValue::of(std::move(input))}});
}

}  // namespace fourfold
