#include "api/gemini_tools.h"

#include <algorithm>

#include "api/gemini_content.h"
#include "api/gemini_schema.h"
#include "api/tool_declaration.h"
#include "base/letter_case.h"
#include "base/utf8.h"

namespace fourfold {
namespace {

constexpr std::size_t kMostTools = 512;
constexpr std::string_view kServerTools[] = {
    "googleSearch", "googleSearchRetrieval", "enterpriseWebSearch", "codeExecution", "urlContext",
    "googleMaps",   "computerUse",           "fileSearch",          "mcpServers",    "retrieval"};

// A schema in one of two spellings.
struct SchemaChoice {
  JsonValue schema;
  std::string path;

  Field field() const { return {&schema, path}; }
};

Result<SchemaChoice> read_schema(const Field& declaration, std::string_view schema_name,
                                 std::string_view json_schema_name) {
  const Field schema = declaration[schema_name], json_schema = declaration[json_schema_name];
  if (!schema.absent() && !json_schema.absent()) {
    return declaration.error(
        fmt::format("holds both {} and {} (expected one)", schema_name, json_schema_name));
  }
  if (json_schema.absent()) return SchemaChoice{json_schema_of(schema.json()), schema.path()};
  return SchemaChoice{json_schema.json(), json_schema.path()};
}

Result<Tool> read_declaration(const Field& declaration) {
  TRY(declaration.require_object());
  const auto parameters = TRY(read_schema(declaration, "parameters", "parametersJsonSchema"));
  const auto response = TRY(read_schema(declaration, "response", "responseJsonSchema"));
  return make_tool({.name = TRY(read_tool_name(declaration["name"], kGeminiToolNames)),
                    .description = declaration["description"],
                    .parameters = parameters.field(),
                    .response = response.field()});
}

Status check_server_tools(const Field& tool, bool ignore, std::vector<std::string>& warnings) {
  for (const auto name : kServerTools) {
    const Field field = tool[name];
    if (field.absent()) continue;
    if (!ignore) {
      return field.error("this server runs no such tool (expected functionDeclarations)",
                         "unsupported_value");
    }
    warnings.push_back(fmt::format("{}: ignored", field.path()));
  }
  return {};
}

Status check_names_are_declared(const Field& names, const std::vector<std::string>& allowed,
                                const std::vector<Tool>& tools) {
  for (const auto& name : allowed) {
    const bool is_declared =
        std::ranges::any_of(tools, [&](const Tool& tool) { return tool.name == name; });
    if (!is_declared) {
      return names.error(fmt::format("{}: no function of this name is declared", printable(name)));
    }
  }
  return {};
}

Status read_calling_config(const Field& config, GeminiTools& out) {
  if (config.absent()) return {};
  TRY(config.require_object());
  const auto given = TRY(config["mode"].optional_string()).value_or("");
  const auto mode = to_lower(given);
  const Field names = config["allowedFunctionNames"];
  auto allowed = TRY(names.strings());
  const bool is_any = mode == "any", is_validated = mode == "validated";
  const bool is_auto = mode.empty() || mode == "auto" || mode == "mode_unspecified";
  if (!is_any && !is_validated && !is_auto && mode != "none") {
    return config["mode"].error(
        fmt::format("{} (expected AUTO, ANY, NONE or VALIDATED)", printable(given)));
  }
  if (mode == "none") out.choice.mode = ToolChoice::Mode::None;
  if (is_validated) {
    for (auto& tool : out.tools) tool.strict = true;
  }
  if (is_any) {
    if (out.tools.empty()) return config["mode"].error("ANY without functionDeclarations");
    out.choice.mode = ToolChoice::Mode::Required;
  }
  if (!is_any && !is_validated) return {};
  TRY(check_names_are_declared(names, allowed, out.tools));
  out.choice.names = std::move(allowed);
  return {};
}

}  // namespace

Result<GeminiTools> read_gemini_tools(const Field& tools, const Field& config,
                                      bool ignore_server_tools,
                                      std::vector<std::string>& warnings) {
  GeminiTools out;
  const auto list = TRY(list_or_one(tools));
  for (const auto& tool : list) {
    TRY(tool.require_object());
    TRY(check_server_tools(tool, ignore_server_tools, warnings));
    const auto declarations = TRY(list_or_one(tool["functionDeclarations"]));
    for (const auto& declaration : declarations) {
      out.tools.push_back(TRY(read_declaration(declaration)));
    }
  }
  if (out.tools.size() > kMostTools) {
    return tools.error(
        fmt::format("{} functions (expected at most {})", out.tools.size(), kMostTools));
  }
  TRY(check_tool_names_differ(out.tools, tools.path()));
  if (!config.absent()) TRY(config.require_object());
  TRY(read_calling_config(config["functionCallingConfig"], out));
  return out;
}

}  // namespace fourfold
