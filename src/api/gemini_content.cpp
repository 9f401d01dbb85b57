#include "api/gemini_content.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "api/media.h"
#include "api/media_settings.h"
#include "base/base64.h"
#include "base/letter_case.h"
#include "base/utf8.h"

namespace fourfold {
namespace {

constexpr std::string_view kDataFields[] = {
    "text",           "inlineData",         "fileData", "functionCall", "functionResponse",
    "executableCode", "codeExecutionResult"};

Result<Role> role_of(const Field& content) {
  const auto role = TRY(content["role"].optional_string());
  const std::string name = to_lower(role.value_or("user"));
  if (name == "user" || name == "function" || name == "tool" || name.empty()) return Role::User;
  if (name == "model" || name == "assistant") return Role::Model;
  if (name == "system" || name == "developer") return Role::System;
  return content["role"].error(fmt::format("{} (expected user or model)", printable(*role)));
}

// ---- media ----

// What stands beside the data of a part, and what it says of the medium that the data turn out to
// be.
struct BesideData {
  MediaBudgets budgets;
  MediaSettings cut;
};

Result<BesideData> read_beside_data(const Field& part) {
  BesideData beside;
  beside.budgets = TRY(read_part_resolution(part["mediaResolution"]));
  TRY(read_video_metadata(part["videoMetadata"], beside.cut));
  return beside;
}

void settle(Part& part, const BesideData& beside) {
  const bool may_be_cut = part.kind == Part::Kind::Video || part.kind == Part::Kind::Audio;
  if (may_be_cut) part.settings = beside.cut;
  set_budget(part, beside.budgets);
}

// Files of text are text.
Result<Part> part_of_bytes(SharedBytes bytes, std::string_view mime, const Field& where) {
  const std::string type = to_lower(mime.substr(0, mime.find(';')));
  if (type == "application/pdf") {
    return where.error("PDF is not read (expected text, an image, audio or video)",
                       "unsupported_media");
  }
  if (kind_of_mime(type) != Part::Kind::Text && type != "application/json") {
    return make_media_part(std::move(bytes), where.path(), kind_of_mime(type));
  }
  if (!is_utf8(bytes.text())) return where.error(fmt::format("{} that is not UTF-8", type));
  return Part{.kind = Part::Kind::Text, .text = std::string(bytes.text()), .where = where.path()};
}

Result<Part> read_inline_data(const Field& data) {
  TRY(data.require_object());
  const auto mime = TRY(data["mimeType"].string());
  const auto text = TRY(data["data"].string());
  auto bytes = from_base64(text);
  if (!bytes) return data["data"].error(bytes.error().message);
  return part_of_bytes(std::move(bytes).value(), mime, data);
}

// The file that a URI of this server names; others are not fetched.
Result<StoredFile> load_file(const Field& uri_field, const GeminiContentOptions& options) {
  const auto uri = TRY(uri_field.string());
  constexpr std::string_view kFiles = "files/";
  const auto last = uri.rfind("/files/");
  std::string_view id;
  if (last != uri.npos) {
    id = std::string_view(uri).substr(last + 1 + kFiles.size());
  } else if (uri.starts_with(kFiles)) {
    id = std::string_view(uri).substr(kFiles.size());
  }
  if (id.empty() || !options.load_file) return fetching_is_off(uri_field.path());
  auto file = options.load_file(id.substr(0, id.find_first_of("?:/")));
  if (file) return file;
  // Another host's files are none of ours.
  Error error = std::move(file).error();
  error.message = fmt::format("{}: {}", uri_field.path(), error.message);
  return error;
}

Result<Part> read_file_data(const Field& data, const GeminiContentOptions& options) {
  TRY(data.require_object());
  auto file = TRY(load_file(data["fileUri"], options));
  const auto mime = TRY(data["mimeType"].optional_string());
  return part_of_bytes(std::move(file.bytes), mime.value_or(file.mime), data);
}

// ---- parts ----

std::string fenced(std::string_view language, std::string_view text) {
  return fmt::format("```{}\n{}\n```", language, text);
}

Result<std::string> read_code(const Field& code) {
  const auto language = to_lower(TRY(code["language"].optional_string()).value_or(""));
  const auto text = TRY(code["code"].optional_string()).value_or("");
  return fenced(language == "language_unspecified" ? "" : language, text);
}

// The one field of a part that holds its data; absent for a part that says nothing we know.
Result<Field> data_of(const Field& part) {
  Field found(nullptr, part.path());
  for (const auto name : kDataFields) {
    Field field = part[name];
    if (field.absent()) continue;
    if (!found.absent()) {
      return part.error(fmt::format("holds both {} and {} (expected one)",
                                    found.path().substr(part.path().size() + 1), name));
    }
    found = std::move(field);
  }
  return found;
}

// Reads the parts of one turn. Parts of all its contents go through one reader.
class TurnReader {
 public:
  TurnReader(Role role, const GeminiContentOptions& options, GeminiMessages& out)
      : options_(options), out_(out) {
    said_.role = role;
    said_.is_part_list = role != Role::System;
  }

  Status read_content(const Field& content) {
    starts_content_ = true;
    const auto parts = TRY(list_or_one(content["parts"]));
    for (const auto& part : parts) TRY(read_part(part));
    return {};
  }

  void finish() {
    if (sealed_thought_) said_.thought = std::move(*sealed_thought_);
    std::move(results_.begin(), results_.end(), std::back_inserter(out_.messages));
    const bool says_something =
        !said_.parts.empty() || !said_.thought.empty() || !said_.calls.empty();
    if (says_something || results_.empty()) out_.messages.push_back(std::move(said_));
  }

 private:
  Status read_part(const Field& part) {
    if (part.json().is_string()) {
      add_text(part.json().text);
      return {};
    }
    TRY(part.require_object());
    const Field data = TRY(data_of(part));
    TRY(read_signature(part["thoughtSignature"]));
    if (data.absent()) return {};
    const std::string_view name = std::string_view(data.path()).substr(part.path().size() + 1);
    if (name == "text") return read_text(part, data);
    if (name == "inlineData" || name == "inline_data" || name == "fileData" ||
        name == "file_data") {
      add(TRY(read_medium(part, data)));
      return {};
    }
    if (name == "functionCall" || name == "function_call") return read_call(data);
    if (name == "functionResponse" || name == "function_response") return read_result(data);
    if (name == "executableCode" || name == "executable_code") {
      add_text(TRY(read_code(data)));
    } else {
      add_text(fenced("", TRY(data["output"].optional_string()).value_or("")));
    }
    return {};
  }

  Status read_text(const Field& part, const Field& data) {
    auto text = TRY(data.string());
    const bool is_thought = TRY(part["thought"].boolean_or(false));
    if (!is_thought) {
      add_text(std::move(text));
    } else if (said_.role == Role::Model) {
      said_.thought += text;
    }
    return {};
  }

  Result<Part> read_medium(const Field& part, const Field& data) {
    const bool is_inline =
        data.path().ends_with("nlineData") || data.path().ends_with("nline_data");
    const auto beside = TRY(read_beside_data(part));
    Part medium = TRY(is_inline ? read_inline_data(data) : read_file_data(data, options_));
    settle(medium, beside);
    return medium;
  }

  // A thought that the client carried for us says what the parts may have lost.
  Status read_signature(const Field& signature) {
    if (signature.absent() || said_.role != Role::Model) return {};
    if (!signature.json().is_string() || !options_.sealer) return {};
    auto thought = options_.sealer->open_sealed(signature.json().text);
    if (thought && !sealed_thought_) sealed_thought_ = std::move(thought);
    return {};
  }

  Status read_call(const Field& field) {
    if (said_.role != Role::Model) return field.error("only contents of role model have calls");
    TRY(field.require_object());
    ToolCall call;
    call.id = TRY(field["id"].optional_string()).value_or("");
    call.name = TRY(field["name"].string());
    const Field args = field["args"];
    read_history_arguments(args.json(), args.path(), call, out_.broken_calls, out_.warnings);
    said_.calls.push_back(std::move(call));
    return {};
  }

  Status read_result(const Field& field) {
    TRY(field.require_object());
    if (said_.role == Role::Model) return field.error("contents of role model have no results");
    if (!follows_calls()) return field.error("a result without a functionCall before it");
    ToolResult result;
    result.call_id = TRY(field["id"].optional_string()).value_or("");
    result.name = TRY(field["name"].optional_string()).value_or("");
    const Field response = field["response"];
    result.value = response.absent() ? JsonValue::of("") : response.json();
    const auto parts = TRY(list_or_one(field["parts"]));
    for (const auto& part : parts) {
      const Field data = TRY(data_of(part));
      if (!data.absent()) result.media.push_back(TRY(read_medium(part, data)));
    }
    Message message;
    message.role = Role::Tool;
    message.results.push_back(std::move(result));
    results_.push_back(std::move(message));
    return {};
  }

  // System texts between calls and results are moved later.
  bool follows_calls() const {
    const auto& messages = out_.messages;
    const auto calling =
        std::find_if(messages.rbegin(), messages.rend(), [](const Message& before) {
          return before.role != Role::System && before.role != Role::Tool;
        });
    return calling != messages.rend() && !calling->calls.empty();
  }

  void add_text(std::string text) {
    if (text.empty()) return;
    add({.kind = Part::Kind::Text, .text = std::move(text)});
  }

  // The text of a model comes in pieces, cut anywhere: they are joined as they came. Texts of
  // different contents of a user are a line apart, and so are all parts of a system text.
  void add(Part part) {
    const bool follows_text = !said_.parts.empty() && part.kind == Part::Kind::Text &&
                              said_.parts.back().kind == Part::Kind::Text;
    const bool is_system = said_.role == Role::System;
    if (follows_text && (said_.role == Role::Model || is_system || starts_content_)) {
      if (said_.role != Role::Model) said_.parts.back().text += '\n';
      said_.parts.back().text += part.text;
    } else {
      said_.parts.push_back(std::move(part));
    }
    starts_content_ = false;
  }

  const GeminiContentOptions& options_;
  GeminiMessages& out_;
  Message said_;
  std::vector<Message> results_;
  std::optional<std::string> sealed_thought_;
  bool starts_content_ = true;
};

// Nothing but parts that say nothing: it does not part its neighbours.
bool is_blank(const Field& content) {
  const JsonValue& parts = content["parts"].json();
  if (parts.is_null()) return true;
  return parts.is_array() && std::ranges::all_of(parts.items, [](const JsonValue& part) {
           const JsonValue* text = part.find("text");
           const bool is_empty_text = text && text->is_string() && text->text.empty();
           return part.is_object() &&
                  (part.members.empty() || (part.members.size() == 1 && is_empty_text));
         });
}

}  // namespace

Result<std::vector<Field>> list_or_one(const Field& field) {
  if (!field.json().is_object()) return field.list();
  return std::vector<Field>{field};
}

Result<Part> part_of_file_uri(const Field& uri, Part::Kind kind,
                              const GeminiContentOptions& options) {
  auto file = TRY(load_file(uri, options));
  return make_media_part(std::move(file.bytes), uri.path(), kind);
}

Status read_gemini_contents(const Field& contents, const GeminiContentOptions& options,
                            GeminiMessages& out) {
  if (contents.json().is_string()) {
    out.messages.push_back(Message::of(Role::User, contents.json().text));
    return {};
  }
  const auto list = TRY(list_or_one(contents));
  std::optional<TurnReader> turn;
  Role role = Role::Other;
  for (const auto& content : list) {
    TRY(content.require_object());
    const Role next = TRY(role_of(content));
    if (turn && next != role && is_blank(content)) continue;
    if (!turn || next != role || role == Role::System) {
      if (turn) turn->finish();
      turn.emplace(next, options, out);
      role = next;
    }
    TRY(turn->read_content(content));
  }
  if (turn) turn->finish();
  return {};
}

Result<std::vector<Part>> read_system_instruction(const Field& instruction,
                                                  const GeminiContentOptions& options) {
  if (instruction.absent()) return std::vector<Part>();
  if (instruction.json().is_string()) {
    return std::vector<Part>{{.kind = Part::Kind::Text, .text = instruction.json().text}};
  }
  TRY(instruction.require_object());
  GeminiMessages out;
  TurnReader turn(Role::System, options, out);
  TRY(turn.read_content(instruction));
  turn.finish();
  return std::move(out.messages.front().parts);
}

}  // namespace fourfold
