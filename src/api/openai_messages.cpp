#include "api/openai_messages.h"

#include <array>
#include <utility>

#include "api/media_settings.h"
#include "api/openai_tools.h"
#include "base/utf8.h"

namespace fourfold {
namespace {

using Kind = Part::Kind;

Part text_part(std::string text) { return {.kind = Kind::Text, .text = std::move(text)}; }

// {"image_url": {"url": …}}, or the bare string that Ollama's clients send.
Field url_of(const Field& part, std::string_view name) {
  const Field nested = part[name]["url"];
  return nested.absent() ? part[name] : nested;
}

// {"input_audio": {"data", "format"}} or {"input_video": {"data", "format"} or {"url"}}. The format
// is not believed: the bytes say what they are.
Result<Part> input_medium(const Field& part, std::string_view name, Kind kind) {
  const Field medium = part[name].absent() ? part : part[name];
  if (medium["data"].absent() && !medium["url"].absent()) {
    return media_from_url(medium["url"], kind);
  }
  return media_from_base64(medium["data"], kind);
}

// A text, a medium, or nothing.
using ReadPart = std::optional<Part>;

Result<ReadPart> as_read(Result<Part> part) {
  if (!part) return std::move(part).error();
  return ReadPart(std::move(part).value());
}

Result<ReadPart> read_text(const Field& text) {
  auto value = TRY(text.optional_string());
  if (!value) return ReadPart();
  return ReadPart(text_part(std::move(*value)));
}

// What is said of its detail counts for a picture.
Result<ReadPart> with_detail(Result<Part> read, const Field& detail) {
  auto part = TRY(std::move(read));
  set_budget(part, TRY(read_image_detail(detail)));
  return ReadPart(std::move(part));
}

// {"type": "image_url", "image_url": {"url", "detail"}}, and the Responses API's flat form.
Result<ReadPart> read_image(const Field& part, const HistoryHelp& help) {
  const Field url = part["image_url"];
  const Field detail = url["detail"].absent() ? part["detail"] : url["detail"];
  if (!url.absent()) {
    return with_detail(media_from_url(url_of(part, "image_url"), Kind::Image), detail);
  }
  if (!part["file_id"].absent()) return with_detail(part_of_file(part, help.read_file), detail);
  return url.error("missing");
}

Result<ReadPart> read_file(const Field& part, const HistoryHelp& help) {
  const Field file = part["file"].absent() ? part : part["file"];
  return with_detail(part_of_file(file, help.read_file), file["detail"]);
}

constexpr auto kUrlParts = std::to_array<std::pair<std::string_view, Kind>>(
    {{"audio_url", Kind::Audio}, {"video_url", Kind::Video}});
constexpr auto kBareParts = std::to_array<std::pair<std::string_view, Kind>>(
    {{"image", Kind::Image}, {"audio", Kind::Audio}, {"video", Kind::Video}});

// By its type, or, where that is missing, by what it holds.
std::string type_of_part(const Field& part) {
  if (part["type"].json().is_string()) return part["type"].json().text;
  for (const auto* name :
       {"text", "image_url", "input_audio", "audio_url", "video_url", "file", "refusal"}) {
    if (!part[name].absent()) return name;
  }
  return "";
}

Result<ReadPart> read_part(const Field& part, const HistoryHelp& help) {
  if (part.json().is_string()) return ReadPart(text_part(part.json().text));
  TRY(part.require_object());
  const std::string type = type_of_part(part);
  if (type.empty()) return ReadPart();
  if (type == "text" || type == "input_text" || type == "output_text" || type == "summary_text" ||
      type == "reasoning_text") {
    return read_text(part["text"]);
  }
  if (type == "refusal") return read_text(part["refusal"]);
  if (type == "image_url" || type == "input_image") return read_image(part, help);
  if (type == "input_audio") return as_read(input_medium(part, type, Kind::Audio));
  if (type == "input_video") return as_read(input_medium(part, type, Kind::Video));
  if (type == "file" || type == "input_file") return read_file(part, help);
  for (const auto& [name, kind] : kUrlParts) {
    if (type == name) return as_read(media_from_url(url_of(part, name), kind));
  }
  for (const auto& [name, kind] : kBareParts) {
    if (type != name) continue;
    // "url" and "base64" beside the type are how some libraries spell it.
    const Field source = part.first_of({name, "url", "base64"});
    return as_read(media_from_base64(source, kind));
  }
  return part["type"].error(printable(type) +
                            " is not supported (text, image_url, input_audio, video_url, file)");
}

Role role_of(std::string_view name) {
  if (name == "system" || name == "developer") return Role::System;
  if (name == "user") return Role::User;
  if (name == "assistant") return Role::Model;
  if (name == "tool" || name == "function") return Role::Tool;
  return Role::Other;
}

class MessageReader {
 public:
  explicit MessageReader(const HistoryHelp& help) : help_(help) {}

  Status read(const Field& value) {
    TRY(value.require_object());
    const auto role_name = TRY(value["role"].string());
    Message message;
    message.role = role_of(role_name);
    if (message.role == Role::Other) {
      return value["role"].error(printable(role_name) +
                                 " (expected system, developer, user, assistant or tool)");
    }
    if (message.role == Role::Tool) {
      message.results.push_back(TRY(read_result(value)));
    } else {
      TRY(read_openai_content(value["content"], help_, message, out_.warnings));
      if (message.role == Role::Model) TRY(read_assistant(value, message));
    }
    out_.messages.push_back(std::move(message));
    return {};
  }

  ReadHistory take() { return std::move(out_); }

 private:
  Result<ToolResult> read_result(const Field& value) {
    ToolResult result;
    result.call_id = TRY(value["tool_call_id"].optional_string()).value_or("");
    result.name = TRY(value["name"].optional_string()).value_or("");
    TRY(read_openai_result(value["content"], help_, result, out_.warnings));
    return result;
  }

  Status read_assistant(const Field& value, Message& message) {
    const Field thought = value.first_of({"reasoning_content", "reasoning", "thinking"});
    // Some clients keep objects of their own there.
    if (thought.json().is_string()) message.thought = thought.json().text;
    if (const auto refusal = TRY(value["refusal"].optional_string())) {
      message.parts.push_back(text_part(*refusal));
    }
    const auto calls = TRY(value["tool_calls"].list());
    for (const auto& call : calls) TRY(read_call(call, message));
    if (!value["function_call"].absent()) TRY(read_function(value["function_call"], {}, message));
    return {};
  }

  Status read_call(const Field& value, Message& message) {
    TRY(value.require_object());
    ToolCall call;
    call.id = TRY(value["id"].optional_string()).value_or("");
    take_signature(value["extra_content"]["google"]["thought_signature"], message);
    if (!value["custom"].absent()) {
      call.name = TRY(value["custom"]["name"].string());
      call.arguments =
          custom_arguments(TRY(value["custom"]["input"].optional_string()).value_or(""));
      message.calls.push_back(std::move(call));
      return {};
    }
    return read_function(value["function"], std::move(call), message);
  }

  Status read_function(const Field& function, ToolCall call, Message& message) {
    call.name = TRY(function["name"].string());
    const Field arguments = function["arguments"];
    read_history_arguments(arguments.json(), arguments.path(), call, out_.broken_calls,
                           out_.warnings);
    message.calls.push_back(std::move(call));
    return {};
  }

  // A thought that the client carried for us comes back in front of its call.
  void take_signature(const Field& signature, Message& message) {
    if (!help_.sealer || !message.thought.empty() || !signature.json().is_string()) return;
    if (auto thought = help_.sealer->open_sealed(signature.json().text)) {
      message.thought = std::move(*thought);
    }
  }

  const HistoryHelp& help_;
  ReadHistory out_;
};

}  // namespace

Result<std::optional<Part>> read_openai_part(const Field& part, const HistoryHelp& help) {
  return read_part(part, help);
}

Status read_openai_content(const Field& content, const HistoryHelp& help, Message& message,
                           std::vector<std::string>& warnings) {
  if (content.absent()) return {};
  if (content.json().is_string()) {
    message.parts.push_back(text_part(content.json().text));
    return {};
  }
  if (!content.json().is_array()) {
    return content.error(
        fmt::format("expected a string or a list of parts, not {}", content.json().kind_name()));
  }
  message.is_part_list = true;
  const auto parts = TRY(content.list());
  for (const auto& part : parts) {
    auto read = read_part(part, help);
    if (!read && message.role == Role::Model && !part["type"].absent() && read.error().detail &&
        read.error().detail->field == part["type"].path()) {
      // What a model once said in a form of its own does not end the conversation.
      warnings.push_back(part["type"].path() + " is not known, left out");
      continue;
    }
    auto taken = TRY(std::move(read));
    if (taken) message.parts.push_back(std::move(*taken));
  }
  return {};
}

Status read_openai_result(const Field& content, const HistoryHelp& help, ToolResult& result,
                          std::vector<std::string>& warnings) {
  if (!content.json().is_array()) {
    result.value = content.absent() ? JsonValue::of("") : content.json();
    return {};
  }
  Message message{.role = Role::Tool};
  TRY(read_openai_content(content, help, message, warnings));
  std::string text;
  for (auto& part : message.parts) {
    if (part.kind == Kind::Text) {
      text += part.text;
    } else {
      result.media.push_back(std::move(part));
    }
  }
  result.value = JsonValue::of(std::move(text));
  return {};
}

Result<ReadHistory> read_openai_messages(const Field& list, const HistoryHelp& help) {
  if (list.absent()) return list.error("missing (expected a list of messages)");
  MessageReader reader(help);
  const auto messages = TRY(list.list());
  if (messages.empty()) return list.error("expected at least one message");
  for (const auto& message : messages) TRY(reader.read(message));
  return reader.take();
}

}  // namespace fourfold
