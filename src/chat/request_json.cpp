#include "chat/request_json.h"

#include <array>
#include <utility>

#include "base/utf8.h"

namespace fourfold {
namespace {

const JsonValue kNull;

// Null for what is absent.
const JsonValue& member_of(const JsonValue& object, std::string_view key) {
  const JsonValue* found = object.find(key);
  return found ? *found : kNull;
}

Error wrong_type(std::string_view where, std::string_view expected, const JsonValue& value) {
  return invalid_argument("{}: expected {}, not {}", where, expected, value.kind_name());
}

Result<std::string> optional_string(const JsonValue& object, std::string_view key) {
  const JsonValue& value = member_of(object, key);
  if (value.is_null()) return std::string();
  if (!value.is_string()) return wrong_type(key, "a string or null", value);
  return value.text;
}

Result<std::string> required_string(const JsonValue& object, std::string_view key) {
  const JsonValue& value = member_of(object, key);
  if (!value.is_string()) return wrong_type(key, "a string", value);
  return value.text;
}

Result<bool> optional_bool(const JsonValue& object, std::string_view key, bool otherwise) {
  const JsonValue& value = member_of(object, key);
  if (value.is_null()) return otherwise;
  if (!value.is_bool()) return wrong_type(key, "true or false", value);
  return value.boolean;
}

// The items of a list; none for null and what is absent.
Result<std::vector<JsonValue>> optional_list(const JsonValue& object, std::string_view key) {
  const JsonValue& value = member_of(object, key);
  if (value.is_null()) return std::vector<JsonValue>();
  if (!value.is_array()) return wrong_type(key, "a list or null", value);
  return value.items;
}

std::string item_name(std::string_view list, std::size_t index) {
  return fmt::format("{}[{}]", list, index);
}

// Reads every item of a list by `read`, whose errors get the item's name in front.
template <class Read>
auto read_list(const JsonValue& object, std::string_view key, Read read)
    -> Result<std::vector<std::decay_t<decltype(read(kNull).value())>>> {
  const auto list = TRY(optional_list(object, key));
  std::vector<std::decay_t<decltype(read(kNull).value())>> out;
  out.reserve(list.size());
  for (const auto& item : list) {
    out.push_back(TRY_IN(item_name(key, out.size()), read(item)));
  }
  return out;
}

Role role_of(std::string_view name) {
  if (name == "system") return Role::System;
  if (name == "developer") return Role::Developer;
  if (name == "user") return Role::User;
  if (name == "assistant") return Role::Model;
  if (name == "tool") return Role::Tool;
  return Role::Other;
}

Part::Kind part_kind(std::string_view type) {
  if (type == "text") return Part::Kind::Text;
  if (type == "image" || type == "image_url") return Part::Kind::Image;
  if (type == "audio" || type == "input_audio") return Part::Kind::Audio;
  if (type == "video") return Part::Kind::Video;
  return Part::Kind::Unknown;
}

// Other names of media, which the template does not know.
Part::Kind kind_of_readable(std::string_view type) {
  if (type == "input_image") return Part::Kind::Image;
  if (type == "audio_url") return Part::Kind::Audio;
  if (type == "video_url" || type == "input_video") return Part::Kind::Video;
  return part_kind(type);
}

// {"type": "image_url", "image_url": {"url": …}}, {"type": "input_audio", "input_audio": {"data":
// …}}, {"type": "image", "image": …}: the text that says where the medium lies. Bare base64 becomes
// a data: URL.
Result<std::string> media_source(const JsonValue& part, const std::string& type) {
  const JsonValue& named = member_of(part, type);
  if (named.is_string()) return named.text;
  for (const JsonValue* holder : {&named, &part}) {
    for (const auto* key : {"url", "path", "image_url"}) {
      const JsonValue& source = member_of(*holder, key);
      if (source.is_string()) return source.text;
    }
    const JsonValue& data = member_of(*holder, "data");
    if (data.is_string()) return "data:;base64," + data.text;
  }
  return invalid_argument("{}: missing (expected a data: URL or a path)", printable(type));
}

class PartReader {
 public:
  explicit PartReader(const RequestOptions& options) : options_(options) {}

  Result<Part> operator()(const JsonValue& value) const {
    if (!value.is_object()) {
      return invalid_argument("expected an object, not {}", value.kind_name());
    }
    Part part;
    const auto type = TRY(required_string(value, "type"));
    part.kind = options_.read_media ? kind_of_readable(type) : part_kind(type);
    if (part.kind == Part::Kind::Text) {
      part.text = TRY(required_string(value, "text"));
      return part;
    }
    part.text = type;
    if (!options_.read_media || part.kind == Part::Kind::Unknown) return part;
    const auto source = TRY(media_source(value, type));
    part.bytes = TRY(options_.read_media(source));
    return part;
  }

 private:
  const RequestOptions& options_;
};

Status read_content(const JsonValue& value, const RequestOptions& options, Message& message) {
  const JsonValue& content = member_of(value, "content");
  if (content.is_null()) return {};
  if (content.is_string()) {
    message.parts.push_back({.kind = Part::Kind::Text, .text = content.text});
    return {};
  }
  if (!content.is_array()) return wrong_type("content", "a string, a list or null", content);
  message.is_part_list = true;
  message.parts = TRY(read_list(value, "content", PartReader(options)));
  return {};
}

// Texts of a list are joined as they are; media follow the result.
Status read_result_parts(const JsonValue& value, const RequestOptions& options,
                         ToolResult& result) {
  std::string text;
  const auto parts = TRY(read_list(value, "content", PartReader(options)));
  for (const auto& part : parts) {
    if (part.kind == Part::Kind::Text) {
      text += part.text;
    } else {
      result.media.push_back(part);
    }
  }
  result.value = JsonValue::of(std::move(text));
  return {};
}

Result<ToolResult> read_tool_message(const JsonValue& value, const RequestOptions& options) {
  const JsonValue& content = member_of(value, "content");
  ToolResult result;
  result.call_id = TRY(optional_string(value, "tool_call_id"));
  result.name = TRY(optional_string(value, "name"));
  if (content.is_array()) {
    TRY(read_result_parts(value, options, result));
  } else if (content.is_object() && options.as_template) {
    return invalid_argument("content: the template does not take an object");
  } else {
    result.value = content;
  }
  return result;
}

Result<ToolResult> read_native_result(const JsonValue& value) {
  if (!value.is_object()) return invalid_argument("expected an object, not {}", value.kind_name());
  const JsonValue* response = value.find("response");
  ToolResult result;
  result.name = TRY(optional_string(value, "name"));
  result.value = response ? *response : JsonValue::array();
  return result;
}

Result<ToolCall> read_call(const JsonValue& value, const RequestOptions& options) {
  const JsonValue& function = member_of(value, "function");
  if (!function.is_object()) return wrong_type("function", "an object", function);
  ToolCall call;
  call.id = TRY(optional_string(value, "id"));
  call.name = TRY(required_string(function, "name"));
  const JsonValue* arguments = function.find("arguments");
  if (options.as_template && (!arguments || arguments->is_string())) {
    return invalid_argument("arguments: the template takes only an object or null");
  }
  if (arguments) call.arguments = TRY_IN("arguments", read_arguments(*arguments));
  return call;
}

Status check_only_on_assistant(const Message& message) {
  if (message.role == Role::Model) return {};
  const char* what = !message.thought.empty()   ? "a thought"
                     : !message.calls.empty()   ? "tool_calls"
                     : !message.results.empty() ? "tool_responses"
                                                : nullptr;
  if (what) return invalid_argument("{}: only messages of role assistant have them", what);
  return {};
}

Result<std::string> read_thought(const JsonValue& value) {
  auto thought = TRY(optional_string(value, "reasoning"));
  auto second = TRY(optional_string(value, "reasoning_content"));
  return thought.empty() ? second : thought;
}

Result<Message> read_message(const JsonValue& value, const RequestOptions& options) {
  if (!value.is_object()) return invalid_argument("expected an object, not {}", value.kind_name());
  Message message;
  message.role_name = TRY(required_string(value, "role"));
  message.role = role_of(message.role_name);
  message.thought = TRY(read_thought(value));
  message.calls = TRY(
      read_list(value, "tool_calls", [&](const auto& call) { return read_call(call, options); }));
  message.results = TRY(read_list(value, "tool_responses", read_native_result));
  TRY(check_only_on_assistant(message));
  for (const auto* key : {"name", "tool_call_id"}) TRY(optional_string(value, key));
  if (message.role == Role::Tool) {
    message.results.push_back(TRY(read_tool_message(value, options)));
  } else {
    TRY(read_content(value, options, message));
  }
  return message;
}

// {"function": {"name": …}} or {"name": …}, the name of a tool that is declared.
Result<std::string> read_tool_name(const JsonValue& value, const std::vector<Tool>& tools) {
  const JsonValue& function = member_of(value, "function");
  const auto name = TRY(required_string(function.is_object() ? function : value, "name"));
  for (const auto& tool : tools) {
    if (tool.name == name) return name;
  }
  return invalid_argument("{}: no tool of this name is declared", printable(name));
}

Result<ToolChoice::Mode> tool_mode(const JsonValue& value) {
  if (value.text == "none") return ToolChoice::Mode::None;
  if (value.text == "auto") return ToolChoice::Mode::Auto;
  if (value.text == "required") return ToolChoice::Mode::Required;
  return invalid_argument("{} (expected none, auto or required)", printable(value.text));
}

Result<ToolChoice> read_allowed_tools(const JsonValue& choice, const std::vector<Tool>& tools) {
  const JsonValue& nested = member_of(choice, "allowed_tools");
  const JsonValue& allowed = nested.is_object() ? nested : choice;
  ToolChoice out;
  const JsonValue& mode = member_of(allowed, "mode");
  if (!mode.is_null()) out.mode = TRY_IN("mode", tool_mode(mode));
  out.names = TRY(
      read_list(allowed, "tools", [&](const auto& tool) { return read_tool_name(tool, tools); }));
  if (out.names.empty()) return invalid_argument("tools: expected at least one");
  return out;
}

}  // namespace

Result<std::vector<Message>> read_messages(const JsonValue& list, const RequestOptions& options) {
  if (!list.is_array()) return wrong_type("messages", "a list", list);
  std::vector<Message> messages;
  messages.reserve(list.items.size());
  for (const auto& item : list.items) {
    messages.push_back(TRY_IN(item_name("messages", messages.size()), read_message(item, options)));
  }
  return messages;
}

Result<ToolChoice> read_tool_choice(const JsonValue& value, const std::vector<Tool>& tools) {
  if (value.is_string()) return ToolChoice{.mode = TRY(tool_mode(value))};
  if (!value.is_object()) return wrong_type("tool_choice", "a string or an object", value);
  const auto type = TRY(required_string(value, "type"));
  if (type == "allowed_tools") return read_allowed_tools(value, tools);
  if (type != "function") {
    return invalid_argument("type: {} (expected function or allowed_tools)", printable(type));
  }
  auto name = TRY(read_tool_name(value, tools));
  return ToolChoice{.mode = ToolChoice::Mode::Required, .names = {std::move(name)}};
}

Result<ResponseFormat> read_response_format(const JsonValue& value) {
  using Kind = ResponseFormat::Kind;
  if (!value.is_object()) return wrong_type("response_format", "an object", value);
  const auto type = TRY(required_string(value, "type"));
  ResponseFormat format;
  if (type == "text") return format;
  if (type == "json_object") {
    format.kind = Kind::Json;
    return format;
  }
  if (type == "json_schema") {
    const JsonValue* schema = member_of(value, "json_schema").find("schema");
    if (!schema) return invalid_argument("json_schema.schema: missing");
    format.kind = Kind::JsonSchema;
    format.schema = *schema;
    return format;
  }
  if (type == "regex" || type == "grammar") {
    format.kind = type == "regex" ? Kind::Regex : Kind::Grammar;
    format.source = TRY(required_string(value, type));
    return format;
  }
  return invalid_argument("type: {} (expected text, json_object, json_schema, regex or grammar)",
                          printable(type));
}

Result<JsonValue> read_arguments(const JsonValue& arguments) {
  if (arguments.is_object()) return arguments;
  if (arguments.is_null()) return JsonValue::object();
  if (!arguments.is_string()) {
    return invalid_argument("expected an object or its JSON text, not {}", arguments.kind_name());
  }
  if (trim(arguments.text).empty()) return JsonValue::object();
  auto parsed = TRY(parse_json_value(arguments.text, {.replace_lone_surrogates = true}));
  if (parsed.is_null()) return JsonValue::object();
  if (parsed.is_object()) return parsed;
  return invalid_argument("expected the JSON text of an object, not of {}", parsed.kind_name());
}

Result<Tool> read_tool(const JsonValue& wrapped) {
  const JsonValue& function = member_of(wrapped, "function");
  if (!function.is_object()) return wrong_type("function", "an object", function);
  Tool tool;
  tool.name = TRY(required_string(function, "name"));
  TRY(optional_string(function, "description"));
  for (const auto* key : {"parameters", "response"}) {
    const JsonValue& schema = member_of(function, key);
    if (!schema.is_null() && !schema.is_object()) return wrong_type(key, "an object", schema);
  }
  tool.declaration = function;
  return tool;
}

Result<Conversation> parse_request(std::string_view text, const RequestOptions& options) {
  const auto request = TRY(parse_json_value(text, {.replace_lone_surrogates = true}));
  if (!request.is_object()) return wrong_type("request", "an object", request);
  Conversation out;
  out.messages = TRY(read_messages(member_of(request, "messages"), options));
  out.tools = TRY(read_list(request, "tools", read_tool));
  out.thinking.on = TRY(optional_bool(request, "enable_thinking", false));
  out.keep_thoughts = TRY(optional_bool(request, "preserve_thinking", false));
  out.add_generation_prompt = TRY(optional_bool(request, "add_generation_prompt", true));
  out.continue_last = TRY(optional_bool(request, "continue_final_message", false));
  return out;
}

}  // namespace fourfold
