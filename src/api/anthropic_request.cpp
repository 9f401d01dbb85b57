#include "api/anthropic_request.h"

#include <algorithm>
#include <array>
#include <limits>
#include <utility>

#include "api/anthropic_content.h"
#include "api/field.h"
#include "api/media_settings.h"
#include "api/sampling.h"
#include "api/thinking.h"
#include "api/tool_declaration.h"
#include "base/utf8.h"

namespace fourfold {
namespace {

constexpr std::int64_t kDefaultMaxTokens = 4096;
constexpr std::int64_t kMostTokens = std::int64_t{1} << 40;

// ---- tools ----

// Tools of the protocol that a client runs itself, but whose schema only the hosted models know.
bool is_client_tool(std::string_view type) {
  constexpr auto kPrefixes =
      std::to_array<std::string_view>({"bash_", "text_editor_", "computer_", "memory_"});
  return std::ranges::any_of(kPrefixes, [&](auto prefix) { return type.starts_with(prefix); });
}

Result<Tool> read_custom_tool(const Field& field) {
  // Not inside the braces: GCC 12 forgets members made before a TRY that returns.
  auto name = TRY(read_tool_name(field["name"], kToolNames));
  const bool strict = TRY(field["strict"].boolean_or(false));
  return make_tool({.name = std::move(name),
                    .description = field["description"],
                    .parameters = field["input_schema"],
                    .response = Field(nullptr, ""),
                    .strict = strict});
}

Status read_tools(const Field& tools, AnthropicRequest& request) {
  for (const Field& field : TRY(tools.list())) {
    TRY(field.require_object());
    const auto type = TRY(field["type"].optional_string()).value_or("custom");
    if (type == "custom" || field["input_schema"].json().is_object()) {
      request.chat.conversation.tools.push_back(TRY(read_custom_tool(field)));
    } else if (is_client_tool(type)) {
      return field["input_schema"].error(
          fmt::format("missing (tool type {} is known to hosted models only)", printable(type, 40)),
          "unsupported_value");
    } else {
      request.warnings.push_back(fmt::format("tool {} is not offered", printable(type, 40)));
    }
  }
  return check_tool_names_differ(request.chat.conversation.tools, tools.path());
}

Result<ToolChoice> read_tool_choice(const Field& field, const std::vector<Tool>& tools) {
  ToolChoice choice;
  if (field.absent()) return choice;
  TRY(field.require_object());
  const auto type = TRY(field["type"].string());
  choice.parallel = !TRY(field["disable_parallel_tool_use"].boolean_or(false));
  if (type == "auto") return choice;
  if (type == "none") {
    choice.mode = ToolChoice::Mode::None;
    return choice;
  }
  if (type != "any" && type != "tool") {
    return field["type"].error(
        fmt::format("{} (expected auto, any, tool or none)", printable(type, 40)));
  }
  choice.mode = ToolChoice::Mode::Required;
  if (tools.empty()) return field.error("no tool is declared");
  if (type == "any") return choice;
  auto name = TRY(field["name"].string());
  if (std::ranges::none_of(tools, [&](const Tool& tool) { return tool.name == name; })) {
    return field["name"].error(fmt::format("no tool {} is declared", printable(name, 80)));
  }
  choice.names = {std::move(name)};
  return choice;
}

// ---- thinking and output ----

// nullopt if nothing is said.
Result<std::optional<Thinking>> read_effort(const Field& field) {
  if (field.absent()) return std::optional<Thinking>();
  const auto word = TRY(field.string());
  const auto thinking = thinking_of_level(word);
  if (thinking && thinking->on) return thinking;
  return field.error(
      fmt::format("{} (expected low, medium, high, xhigh or max)", printable(word, 40)));
}

Status read_thinking(const Field& body, const AnthropicOptions& options,
                     AnthropicRequest& request) {
  Thinking& thinking = request.chat.conversation.thinking;
  const auto effort = TRY(read_effort(body["output_config"]["effort"]));
  thinking = effort.value_or(thinking_if(options.thinks_by_default));
  const Field field = body["thinking"];
  if (field.absent()) return {};
  TRY(field.require_object());
  const auto type = TRY(field["type"].string());
  if (type != "enabled" && type != "adaptive" && type != "disabled") {
    return field["type"].error(
        fmt::format("{} (expected enabled, adaptive or disabled)", printable(type, 40)));
  }
  thinking = type == "disabled" ? thinking_off() : effort.value_or(thinking_on());
  if (type == "enabled") {
    thinking.budget_tokens = TRY(field["budget_tokens"].optional_integer(1, kMostTokens));
  }
  request.hides_thoughts = TRY(field["display"].optional_string()).value_or("") == "omitted";
  return {};
}

Result<ResponseFormat> read_format(const Field& field) {
  ResponseFormat format;
  if (field.absent()) return format;
  TRY(field.require_object());
  const auto type = TRY(field["type"].string());
  if (type == "text") return format;
  if (type != "json_schema") {
    return field["type"].error(fmt::format("{} (expected json_schema)", printable(type, 40)));
  }
  TRY(field["schema"].require_object());
  format.kind = ResponseFormat::Kind::JsonSchema;
  format.schema = field["schema"].json();
  return format;
}

Status read_sampling(const Field& body, ChatRequest& chat) {
  constexpr std::size_t kMostStops = 8192;
  SamplingChoice& sampling = chat.sampling;
  TRY(read_max_tokens(body["max_tokens"], sampling.max_tokens));
  if (sampling.max_tokens < 0) sampling.max_tokens = kDefaultMaxTokens;
  TRY(read_number(body["temperature"], 0.0, 1.0, sampling.temperature));
  TRY(read_number(body["top_p"], 0.0, 1.0, sampling.top_p));
  TRY(read_integer(body["top_k"], 0, std::numeric_limits<int>::max(), sampling.top_k));
  TRY(read_stop(body["stop_sequences"], kMostStops, sampling.stop));
  chat.conversation.stop = sampling.stop;
  return {};
}

// ---- messages ----

Status read_messages(const Field& body, const AnthropicOptions& options,
                     AnthropicRequest& request) {
  Conversation& conversation = request.chat.conversation;
  MessageRules rules = options.rules;
  rules.needs_more_than_system = true;
  rules.list_name = "messages";
  conversation.messages = TRY(read_anthropic_system(body["system"]));
  const Field list = body["messages"];
  const auto fields = TRY(list.list());
  if (fields.empty()) return list.error("empty (expected at least one message)");
  for (const Field& field : fields) {
    for (auto& message : TRY(read_anthropic_message(field, options, rules, request.warnings))) {
      conversation.messages.push_back(std::move(message));
    }
  }
  const auto media = TRY(read_media_kwargs(body["mm_processor_kwargs"]));
  add_media_defaults(conversation.messages, {}, media);
  TRY(settle_messages(conversation, rules));
  const Message& last = conversation.messages.back();
  conversation.continue_last =
      last.role == Role::Model && last.calls.empty() && !last.parts.empty();
  return {};
}

}  // namespace

Result<AnthropicRequest> parse_anthropic(const JsonValue& body, const AnthropicOptions& options) {
  const Field root(&body, "");
  TRY(root.require_object());
  AnthropicRequest request;
  request.model = TRY(root["model"].string());
  if (request.model.empty()) return root["model"].error("empty (expected the name of a model)");
  request.stream = TRY(root["stream"].boolean_or(false));
  TRY(read_sampling(root, request.chat));
  TRY(read_messages(root, options, request));
  Conversation& conversation = request.chat.conversation;
  TRY(read_tools(root["tools"], request));
  conversation.tool_choice = TRY(read_tool_choice(root["tool_choice"], conversation.tools));
  TRY(read_thinking(root, options, request));
  // The older name of output_config.format.
  const Field format = root["output_config"]["format"];
  conversation.response_format = TRY(read_format(format.absent() ? root["output_format"] : format));
  return request;
}

}  // namespace fourfold
