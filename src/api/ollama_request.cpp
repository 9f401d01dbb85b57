#include "api/ollama_request.h"

#include <algorithm>
#include <array>
#include <string_view>
#include <utility>

#include "api/field.h"
#include "api/media.h"
#include "api/media_settings.h"
#include "api/openai_messages.h"
#include "api/thinking.h"
#include "api/tool_declaration.h"
#include "base/letter_case.h"
#include "base/utf8.h"
#include "chat/request_json.h"

namespace fourfold {
namespace {

constexpr std::int64_t kMostAlternatives = 20;
// A thinking model that is asked for less than this is not made to think (http-apis.md 1.7).
constexpr std::int64_t kShortAnswer = 512;

Error cannot(const OllamaModelTraits& model, std::string_view what) {
  return invalid_argument("\"{}\" does not support {}", model.name, what)
      .with({.reason = "unsupported_value", .field = std::string(what)});
}

// ---- messages ----

bool is_web_address(std::string_view text) {
  return text.starts_with("http://") || text.starts_with("https://");
}

// Base64, with or without the beginning of a data URL.
Result<Part> read_medium(const Field& field) {
  const auto text = TRY(field.string());
  if (is_web_address(text)) return fetching_is_off(field.path());
  return media_part_of_base64(text, field.path());
}

// Pictures go before the text, sounds behind it.
Status add_media(const Field& images, Message& message) {
  std::vector<Part> sounds, pictures;
  for (const Field& image : TRY(images.list())) {
    Part part = TRY(read_medium(image));
    auto& list = part.kind == Part::Kind::Audio ? sounds : pictures;
    list.push_back(std::move(part));
  }
  if (sounds.empty() && pictures.empty()) return {};
  message.is_part_list = true;
  message.parts.insert(message.parts.begin(), pictures.begin(), pictures.end());
  message.parts.insert(message.parts.end(), sounds.begin(), sounds.end());
  return {};
}

Part text_part(std::string text, const Field& field) {
  return {.kind = Part::Kind::Text, .text = std::move(text), .bytes = {}, .where = field.path()};
}

// OpenAI's parts, which some clients send here too. The bare base64 of a picture is of our own
// dialect.
Status add_part(const Field& part, Message& message) {
  TRY(part.require_object());
  const auto type = TRY(part["type"].string());
  if (type == "text") {
    message.parts.push_back(text_part(TRY(part["text"].string()), part));
  } else if (type == "image_url") {
    const Field url = part["image_url"];
    Part picture = TRY(read_medium(url.json().is_object() ? url["url"] : url));
    set_budget(picture, TRY(read_image_detail(url["detail"])));
    message.parts.push_back(std::move(picture));
  } else if (auto other = TRY(read_openai_part(part, {}))) {
    message.parts.push_back(std::move(*other));
  }
  return {};
}

Status add_content(const Field& content, Message& message) {
  if (content.absent()) return {};
  if (content.json().is_array()) {
    message.is_part_list = true;
    for (const Field& part : TRY(content.list())) TRY(add_part(part, message));
    return {};
  }
  message.parts.push_back(text_part(TRY(content.string()), content));
  return {};
}

Result<Role> read_role(const Field& field) {
  const auto text = TRY(field.string());
  const auto role = to_lower(text);
  if (role == "system" || role == "developer") return Role::System;
  if (role == "user") return Role::User;
  if (role == "assistant") return Role::Model;
  if (role == "tool") return Role::Tool;
  return field.error(
      fmt::format("{} (expected system, user, assistant or tool)", printable(text, 40)));
}

Result<ToolCall> read_call(const Field& field, MessageRules& rules,
                           std::vector<std::string>& warnings) {
  const Field function = field["function"];
  TRY(function.require_object());
  ToolCall call;
  call.id = TRY(field["id"].optional_string()).value_or("");
  call.name = TRY(function["name"].string());
  const Field arguments = function["arguments"];
  read_history_arguments(arguments.json(), arguments.path(), call, rules.broken_calls, warnings);
  return call;
}

// A content that is a list has its texts in a row.
Result<ToolResult> read_result(const Field& field) {
  ToolResult result;
  result.call_id = TRY(field["tool_call_id"].optional_string()).value_or("");
  result.name = TRY(field.first_of({"tool_name", "name"}).optional_string()).value_or("");
  Message content;
  TRY(add_content(field["content"], content));
  std::string text;
  for (auto& part : content.parts) {
    if (part.kind == Part::Kind::Text) {
      text += part.text;
    } else {
      result.media.push_back(std::move(part));
    }
  }
  result.value = JsonValue::of(std::move(text));
  Message media;
  TRY(add_media(field["images"], media));
  for (auto& part : media.parts) result.media.push_back(std::move(part));
  return result;
}

Result<Message> read_message(const Field& field, MessageRules& rules,
                             std::vector<std::string>& warnings) {
  TRY(field.require_object());
  Message message;
  message.role = TRY(read_role(field["role"]));
  if (message.role == Role::Tool) {
    message.results.push_back(TRY(read_result(field)));
    return message;
  }
  TRY(add_content(field["content"], message));
  TRY(add_media(field["images"], message));
  if (message.role != Role::Model) return message;
  message.thought = TRY(field["thinking"].optional_string()).value_or("");
  for (const Field& call : TRY(field["tool_calls"].list())) {
    message.calls.push_back(TRY(read_call(call, rules, warnings)));
  }
  return message;
}

// ---- what both requests have ----

Result<ResponseFormat> read_format(const Field& field) {
  ResponseFormat format;
  const JsonValue& value = field.json();
  if (field.absent() || (value.is_string() && value.text.empty())) return format;
  if (value.is_string() && value.text == "json") {
    format.kind = ResponseFormat::Kind::Json;
    return format;
  }
  if (!value.is_object()) {
    const auto shown = value.is_string() ? printable(value.text, 40) : to_json_text(value);
    return field.error(fmt::format("{} (expected \"json\" or a JSON schema)", shown));
  }
  format.kind = ResponseFormat::Kind::JsonSchema;
  format.schema = value;
  return format;
}

Result<Thinking> read_thinking(const Field& field, const OllamaModelTraits& model,
                               std::int64_t max_tokens) {
  constexpr auto kLevels = std::to_array<std::string_view>({"low", "medium", "high", "max"});
  const JsonValue& value = field.json();
  if (field.absent()) {
    const bool is_short = max_tokens > 0 && max_tokens < kShortAnswer;
    return thinking_if(model.thinks_by_default && model.capabilities.thinking && !is_short);
  }
  const bool is_level =
      value.is_string() && std::ranges::find(kLevels, value.text) != kLevels.end();
  if (!value.is_bool() && !is_level) {
    return field.error("expected true, false, \"low\", \"medium\", \"high\" or \"max\"");
  }
  const Thinking thinking =
      is_level ? thinking_of_level(value.text).value_or(thinking_on()) : thinking_if(value.boolean);
  if (thinking.on && !model.capabilities.thinking) return cannot(model, "thinking");
  return thinking;
}

Result<int> read_logprobs(const Field& body) {
  if (!TRY(body["logprobs"].boolean_or(false))) return -1;
  const auto n = TRY(body["top_logprobs"].optional_integer(0, kMostAlternatives));
  return static_cast<int>(n.value_or(0));
}

Result<Tool> read_tool(const Field& field) {
  const Field function = field["function"];
  TRY(function.require_object());
  // Not inside the braces: GCC 12 forgets members made before a TRY that returns.
  auto name = TRY(read_tool_name(function["name"], kToolNames));
  const bool strict = TRY(function["strict"].boolean_or(false));
  return make_tool({.name = std::move(name),
                    .description = function["description"],
                    .parameters = function["parameters"],
                    .response = function["response"],
                    .strict = strict});
}

Status read_tools(const Field& body, const OllamaModelTraits& model, Conversation& conversation) {
  for (const Field& field : TRY(body["tools"].list())) {
    conversation.tools.push_back(TRY(read_tool(field)));
  }
  TRY(check_tool_names_differ(conversation.tools, "tools"));
  if (!conversation.tools.empty() && !model.capabilities.tools) return cannot(model, "tools");
  const Field choice = body["tool_choice"];
  if (choice.absent()) return {};
  auto read = read_tool_choice(choice.json(), conversation.tools);
  if (!read) return choice.error(read.error().message);
  conversation.tool_choice = *std::move(read);
  return {};
}

Status read_common(const Field& body, const OllamaModelTraits& model, OllamaRequest& request) {
  TRY(body.require_object());
  ChatRequest& chat = request.chat;
  request.stream = TRY(body["stream"].boolean_or(true));
  const Field keep_alive = body["keep_alive"];
  if (!keep_alive.absent()) request.keep_alive = TRY(parse_keep_alive(keep_alive.json()));
  chat.sampling =
      TRY(parse_ollama_options(body["options"].json(), model.context, request.warnings));
  chat.sampling.n_logprobs = TRY(read_logprobs(body));
  chat.conversation.stop = chat.sampling.stop;
  chat.conversation.response_format = TRY(read_format(body["format"]));
  chat.conversation.thinking = TRY(read_thinking(body["think"], model, chat.sampling.max_tokens));
  chat.forget_oldest = TRY(body["truncate"].boolean_or(true));
  TRY(body["shift"].boolean_or(true));
  return {};
}

// ---- generate ----

Result<std::vector<TokenId>> read_context(const Field& field) {
  constexpr std::int64_t kMostIds = std::int64_t{1} << 31;
  std::vector<TokenId> ids;
  for (const Field& id : TRY(field.list())) {
    ids.push_back(static_cast<TokenId>(TRY(id.integer(0, kMostIds - 1))));
  }
  return ids;
}

// The prompt as it is, without a chat around it.
RawRequest raw_request(const OllamaRequest& request, std::string text, bool is_trusted) {
  RawRequest raw;
  raw.text = std::move(text);
  raw.trusted = is_trusted;
  raw.sampling = request.chat.sampling;
  return raw;
}

}  // namespace

Result<std::string> ollama_model_name(const JsonValue& body) {
  const Field root(&body, "");
  TRY(root.require_object());
  auto name = TRY(root.first_of({"model", "name"}).string());
  if (name.empty()) return root["model"].error("empty (expected the name of a model)");
  return name;
}

Result<std::vector<Message>> parse_ollama_messages(const JsonValue& body, MessageRules& rules,
                                                   std::vector<std::string>& warnings) {
  std::vector<Message> messages;
  const Field root(&body, "");
  for (const Field& field : TRY(root["messages"].list())) {
    messages.push_back(TRY(read_message(field, rules, warnings)));
  }
  return messages;
}

Result<OllamaRequest> parse_ollama_chat(const JsonValue& body, const OllamaModelTraits& model) {
  const Field root(&body, "");
  OllamaRequest request;
  TRY(read_common(root, model, request));
  Conversation& conversation = request.chat.conversation;
  MessageRules rules = model.rules;
  conversation.messages = TRY(parse_ollama_messages(body, rules, request.warnings));
  const auto media = TRY(read_media_kwargs(root["mm_processor_kwargs"]));
  add_media_defaults(conversation.messages, {}, media);
  TRY(read_tools(root, model, conversation));
  request.only_loads = conversation.messages.empty();
  if (!request.only_loads) TRY(settle_messages(conversation, rules));
  return request;
}

Result<OllamaRequest> parse_ollama_generate(const JsonValue& body, const OllamaModelTraits& model) {
  const Field root(&body, "");
  OllamaRequest request;
  TRY(read_common(root, model, request));
  auto prompt = TRY(root["prompt"].optional_string()).value_or("");
  const auto system = TRY(root["system"].optional_string()).value_or("");
  const auto form = TRY(root["template"].optional_string()).value_or("");
  request.context = TRY(read_context(root["context"]));
  if (!TRY(root["suffix"].optional_string()).value_or("").empty()) return cannot(model, "insert");
  if (TRY(root["raw"].boolean_or(false))) {
    if (!form.empty() || !system.empty() || !request.context.empty()) {
      return root["raw"].error("raw mode does not support template, system, or context");
    }
    request.raw = raw_request(request, prompt, /*is_trusted=*/true);
  } else if (!model.capabilities.chat) {
    request.raw = raw_request(request, prompt, /*is_trusted=*/false);
  }
  if (!form.empty()) request.warnings.push_back("template is ignored: the model has its own");
  const bool has_format =
      request.chat.conversation.response_format.kind != ResponseFormat::Kind::Text;
  if (request.raw && has_format) request.warnings.push_back("format is ignored in raw mode");

  Conversation& conversation = request.chat.conversation;
  Message message = Message::of(Role::User, std::move(prompt));
  TRY(add_media(root["images"], message));
  request.only_loads = message.parts.size() == 1 && message.parts[0].text.empty();
  if (request.raw || request.only_loads) {
    if (message.parts.size() > 1) {
      return root["images"].error("pictures and sounds need a chat (expected raw false)",
                                  "unsupported_value");
    }
    return request;
  }
  if (!system.empty()) conversation.messages.push_back(Message::of(Role::System, system));
  conversation.messages.push_back(std::move(message));
  const auto kwargs = TRY(read_media_kwargs(root["mm_processor_kwargs"]));
  add_media_defaults(conversation.messages, {}, kwargs);
  MessageRules rules = model.rules;
  rules.list_name = "prompt";
  TRY(settle_messages(conversation, rules));
  return request;
}

}  // namespace fourfold
