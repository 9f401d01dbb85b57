#include "api/anthropic_content.h"

#include <string_view>
#include <utility>

#include "api/media.h"
#include "base/base64.h"
#include "base/utf8.h"

namespace fourfold {
namespace {

constexpr std::string_view kUnsupported = "unsupported_value";

Part text_part(std::string text, const Field& field) {
  return {.kind = Part::Kind::Text, .text = std::move(text), .bytes = {}, .where = field.path()};
}

Error unknown_type(const Field& block, std::string_view type, std::string_view expected) {
  return block["type"].error(fmt::format("{} (expected {})", printable(type, 40), expected));
}

// ---- sources of pictures and documents ----

// Nothing outside the request is opened.
Error elsewhere(const Field& source, std::string_view type) {
  if (type == "url") return fetching_is_off(source["url"].path());
  return source["type"].error(
      fmt::format("{} is not supported (expected base64)", printable(type, 40)), kUnsupported);
}

Result<Part> read_image(const Field& block) {
  const Field source = block["source"];
  TRY(source.require_object());
  const auto type = TRY(source["type"].string());
  if (type != "base64") return elsewhere(source, type);
  return media_part_of_base64(TRY(source["data"].string()), block.path(), Part::Kind::Image);
}

Result<Part> read_part(const Field& block);

Result<std::vector<Part>> read_parts(const Field& blocks) {
  std::vector<Part> parts;
  for (const Field& block : TRY(blocks.list())) parts.push_back(TRY(read_part(block)));
  return parts;
}

Result<Part> read_encoded_document(const Field& block, const Field& source) {
  const auto media_type = TRY(source["media_type"].string());
  const auto data = TRY(source["data"].string());
  switch (kind_of_mime(media_type)) {
    case Part::Kind::Image: return media_part_of_base64(data, block.path(), Part::Kind::Image);
    case Part::Kind::Text: break;
    default:
      return source["media_type"].error(
          fmt::format("{} is not supported (expected text or a picture)",
                      printable(media_type, 40)),
          kUnsupported);
  }
  auto bytes = from_base64(data);
  if (!bytes) return source["data"].error(bytes.error().message);
  if (!is_utf8(*bytes)) return source["data"].error("the text is not UTF-8");
  return text_part(*std::move(bytes), block);
}

// A document of several blocks becomes one text; a picture in it stands for itself.
Result<Part> read_document(const Field& block) {
  const Field source = block["source"];
  TRY(source.require_object());
  const auto type = TRY(source["type"].string());
  if (type == "text") return text_part(TRY(source["data"].string()), block);
  if (type == "base64") return read_encoded_document(block, source);
  if (type != "content") return elsewhere(source, type);
  const Field content = source["content"];
  if (content.json().is_string()) return text_part(content.json().text, block);
  auto parts = TRY(read_parts(content));
  if (parts.size() == 1) return std::move(parts.front());
  std::string text;
  for (const auto& part : parts) {
    if (part.kind != Part::Kind::Text) {
      return content.error("a picture between texts is not supported", kUnsupported);
    }
    text += part.text;
  }
  return text_part(std::move(text), block);
}

// What stands both in messages and in results.
Result<Part> read_part(const Field& block) {
  TRY(block.require_object());
  const auto type = TRY(block["type"].string());
  if (type == "text") return text_part(TRY(block["text"].string()), block);
  if (type == "image") return read_image(block);
  if (type == "document") return read_document(block);
  return unknown_type(block, type, "text, image or document");
}

// ---- blocks of one side ----

// A failed tool is told to the model as the family's own tools tell it.
JsonValue result_value(std::string text, bool is_error) {
  auto value = JsonValue::of(std::move(text));
  return is_error ? JsonValue::object({{"error", std::move(value)}}) : value;
}

Result<ToolResult> read_result(const Field& block) {
  ToolResult result;
  result.call_id = TRY(block["tool_use_id"].string());
  const bool is_error = TRY(block["is_error"].boolean_or(false));
  const Field content = block["content"];
  std::string text;
  if (content.json().is_string()) {
    text = content.json().text;
  } else {
    for (auto& part : TRY(read_parts(content))) {
      if (part.kind == Part::Kind::Text) {
        text += part.text;
      } else {
        result.media.push_back(std::move(part));
      }
    }
  }
  result.value = result_value(std::move(text), is_error);
  return result;
}

// The text that was sealed, if the signature is ours; a client may have shortened what it shows.
std::string thought_of(const Field& text, const Field& seal, const Sealer* sealer) {
  const JsonValue& value = seal.json();
  if (sealer && value.is_string() && !value.text.empty()) {
    if (auto opened = sealer->open_sealed(value.text)) return *std::move(opened);
  }
  return text.json().is_string() ? text.json().text : "";
}

void add_thought(Message& message, std::string_view thought) {
  if (thought.empty()) return;
  if (!message.thought.empty()) message.thought += '\n';
  message.thought += thought;
}

Result<ToolCall> read_call(const Field& block, MessageRules& rules,
                           std::vector<std::string>& warnings) {
  ToolCall call;
  call.id = TRY(block["id"].optional_string()).value_or("");
  call.name = TRY(block["name"].string());
  const Field input = block["input"];
  read_history_arguments(input.json(), input.path(), call, rules.broken_calls, warnings);
  return call;
}

Result<Message> read_assistant(const Field& content, const Sealer* sealer, MessageRules& rules,
                               std::vector<std::string>& warnings) {
  Message message;
  message.role = Role::Model;
  message.is_part_list = true;
  for (const Field& block : TRY(content.list())) {
    TRY(block.require_object());
    TRY(block["type"].string());
    const std::string_view type = block["type"].json().text;
    if (type == "thinking") {
      add_thought(message, thought_of(block["thinking"], block["signature"], sealer));
    } else if (type == "redacted_thinking") {
      add_thought(message, thought_of(block["thinking"], block["data"], sealer));
    } else if (type == "tool_use") {
      message.calls.push_back(TRY(read_call(block, rules, warnings)));
    } else if (type.starts_with("server_tool_") || type.ends_with("_tool_result")) {
      warnings.push_back(fmt::format("{}: ignored", block.path()));  // of a tool elsewhere
    } else {
      message.parts.push_back(TRY(read_part(block)));
    }
  }
  return message;
}

Result<std::vector<Message>> read_user(const Field& content) {
  std::vector<Message> messages;
  Message said;
  said.is_part_list = true;
  for (const Field& block : TRY(content.list())) {
    TRY(block.require_object());
    if (TRY(block["type"].string()) == "tool_result") {
      Message result;
      result.role = Role::Tool;
      result.results.push_back(TRY(read_result(block)));
      messages.push_back(std::move(result));
    } else {
      said.parts.push_back(TRY(read_part(block)));
    }
  }
  if (!said.parts.empty() || messages.empty()) messages.push_back(std::move(said));
  return messages;
}

Result<Message> read_system(const Field& content) {
  Message message;
  message.role = Role::System;
  if (content.json().is_string()) {
    message.parts.push_back(text_part(content.json().text, content));
    return message;
  }
  message.is_part_list = true;
  for (const Field& block : TRY(content.list())) {
    TRY(block.require_object());
    const auto type = TRY(block["type"].string());
    if (type != "text") return unknown_type(block, type, "text");
    message.parts.push_back(text_part(TRY(block["text"].string()), block));
  }
  return message;
}

}  // namespace

Result<std::vector<Message>> read_anthropic_system(const Field& system) {
  if (system.absent()) return std::vector<Message>();
  return std::vector<Message>{TRY(read_system(system))};
}

Result<std::vector<Message>> read_anthropic_message(const Field& message, const Sealer* sealer,
                                                    MessageRules& rules,
                                                    std::vector<std::string>& warnings) {
  TRY(message.require_object());
  const auto role = TRY(message["role"].string());
  const Field content = message["content"];
  if (role == "system") return std::vector<Message>{TRY(read_system(content))};
  if (role != "user" && role != "assistant") {
    return message["role"].error(
        fmt::format("{} (expected user, assistant or system)", printable(role, 40)));
  }
  if (content.json().is_string()) {
    Message said = Message::of(role == "user" ? Role::User : Role::Model, content.json().text);
    said.parts.front().where = content.path();
    return std::vector<Message>{std::move(said)};
  }
  if (role == "user") return read_user(content);
  return std::vector<Message>{TRY(read_assistant(content, sealer, rules, warnings))};
}

}  // namespace fourfold
