#include "api/anthropic_content.h"

#include <string_view>
#include <utility>

#include "api/media.h"
#include "api/openai_media.h"
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

// Blocks become parts. A block stands in messages and in results alike.
class BlockReader {
 public:
  explicit BlockReader(const FileReader& read_file) : read_file_(read_file) {}

  Status read(const Field& block, std::vector<Part>& parts) const {
    TRY(block.require_object());
    const auto type = TRY(block["type"].string());
    if (type == "document") return read_document(block, parts);
    if (type == "text") {
      parts.push_back(text_part(TRY(block["text"].string()), block));
    } else if (type == "image") {
      parts.push_back(TRY(read_image(block)));
    } else {
      return unknown_type(block, type, "text, image or document");
    }
    return {};
  }

 private:
  Result<Part> read_image(const Field& block) const {
    const Field source = block["source"];
    TRY(source.require_object());
    const auto type = TRY(source["type"].string());
    const Field url = source["url"];
    if (type == "file") return part_of_file(source, read_file_);
    if (type == "url") return media_from_url(url, Part::Kind::Image);
    if (type != "base64") return elsewhere(source, type);
    return media_part_of_base64(TRY(source["data"].string()), block.path(), Part::Kind::Image);
  }

  // Several blocks of text become one; a picture among them keeps its place.
  Status read_document(const Field& block, std::vector<Part>& parts) const {
    const Field source = block["source"];
    TRY(source.require_object());
    const auto type = TRY(source["type"].string());
    const Field content = source["content"];
    if (type == "text") {
      parts.push_back(text_part(TRY(source["data"].string()), block));
    } else if (type == "base64") {
      parts.push_back(TRY(read_encoded_document(block, source)));
    } else if (type == "file") {
      parts.push_back(TRY(part_of_file(source, read_file_)));
    } else if (type != "content") {
      return elsewhere(source, type);
    } else if (content.json().is_string()) {
      parts.push_back(text_part(content.json().text, block));
    } else {
      return read_blocks_of_document(content, parts);
    }
    return {};
  }

  Status read_blocks_of_document(const Field& content, std::vector<Part>& parts) const {
    std::vector<Part> inner;
    for (const Field& block : TRY(content.list())) TRY(read(block, inner));
    bool follows_text = false;
    for (auto& part : inner) {
      const bool is_text = part.kind == Part::Kind::Text;
      if (is_text && follows_text) {
        parts.back().text += part.text;
      } else {
        parts.push_back(std::move(part));
      }
      follows_text = is_text;
    }
    return {};
  }

  const FileReader& read_file_;
};

// ---- blocks of one side ----

// A failed tool is told to the model as the family's own tools tell it.
JsonValue result_value(std::string text, bool is_error) {
  auto value = JsonValue::of(std::move(text));
  return is_error ? JsonValue::object({{"error", std::move(value)}}) : value;
}

Result<ToolResult> read_result(const Field& block, const BlockReader& reader) {
  ToolResult result;
  result.call_id = TRY(block["tool_use_id"].string());
  const bool is_error = TRY(block["is_error"].boolean_or(false));
  const Field content = block["content"];
  std::string text;
  if (content.json().is_string()) {
    text = content.json().text;
  } else {
    std::vector<Part> parts;
    for (const Field& inner : TRY(content.list())) TRY(reader.read(inner, parts));
    for (auto& part : parts) {
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

Result<Message> read_assistant(const Field& content, const AnthropicOptions& options,
                               MessageRules& rules, std::vector<std::string>& warnings) {
  const Sealer* sealer = options.sealer;
  const BlockReader reader(options.read_file);
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
      TRY(reader.read(block, message.parts));
    }
  }
  return message;
}

Result<std::vector<Message>> read_user(const Field& content, const AnthropicOptions& options) {
  const BlockReader reader(options.read_file);
  std::vector<Message> messages;
  Message said;
  said.is_part_list = true;
  for (const Field& block : TRY(content.list())) {
    TRY(block.require_object());
    if (TRY(block["type"].string()) == "tool_result") {
      Message result;
      result.role = Role::Tool;
      result.results.push_back(TRY(read_result(block, reader)));
      messages.push_back(std::move(result));
    } else {
      TRY(reader.read(block, said.parts));
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

Result<std::vector<Message>> read_anthropic_message(const Field& message,
                                                    const AnthropicOptions& options,
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
  if (role == "user") return read_user(content, options);
  return std::vector<Message>{TRY(read_assistant(content, options, rules, warnings))};
}

}  // namespace fourfold
