// A chat request as all dialects share it: messages, tools, and how the answer should be.
//
// A message is said in the order thought, text, calls, results. Results come in two forms: as a
// message of Role::Tool after the calls (one result each), or native, in the message of the calls.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json_value.h"
#include "base/result.h"
#include "base/shared_bytes.h"
#include "tensor/soft_rows.h"

namespace fourfold {

enum class Role { System, Developer, User, Model, Tool, Other };

// How a medium is seen; what is unset follows vision-video.md 8.6.
struct MediaSettings {
  std::optional<int> budget;  // soft tokens of a picture or of a frame
  std::optional<double> fps;  // not together with n_frames
  std::optional<int> n_frames;
  std::optional<double> from_s, to_s;        // a cut of a film or of a sound
  std::optional<std::int64_t> video_tokens;  // of all frames of a film where shots are chosen
  std::optional<bool> sound;                 // of a film
};

// A stretch of what a medium becomes in the prompt: a trusted text, or one block of soft tokens
// between its begin and end markers.
struct MediaPiece {
  enum class Kind { Text, Image, Audio, Video };

  Kind kind = Kind::Text;
  std::string text;                // of Text: "00:05 "
  std::shared_ptr<SoftRows> rows;  // of the others; the values may come later, n_rows must not
};

struct Part {
  enum class Kind { Text, Image, Audio, Video, Unknown };

  Kind kind = Kind::Text;
  std::string text;             // of a text, else what names the part: its type
  SharedBytes bytes;            // of a medium, as they came
  std::string where;            // in the request, for messages: "contents[0].parts[1].inlineData"
  MediaSettings settings = {};  // of a medium
  std::vector<MediaPiece> pieces = {};  // of a medium that was looked at; rendered in its place
};

struct ToolCall {
  std::string id;  // may be empty
  std::string name;
  JsonValue arguments = JsonValue::object();  // always an object
  bool repaired = false;                      // the model's text was not quite as it should be
};

struct ToolResult {
  std::string call_id;      // may be empty
  std::string name;         // may be empty
  JsonValue value;          // an object is written as its fields
  std::vector<Part> media;  // follow the result
};

struct Message {
  Role role = Role::User;
  std::string role_name;  // of Role::Other
  // A content that is one string has one text part. Lists of parts are joined differently.
  bool is_part_list = false;
  std::vector<Part> parts;
  std::string thought;              // Model only
  std::vector<ToolCall> calls;      // Model only
  std::vector<ToolResult> results;  // one on Tool; native ones on Model

  static Message of(Role role, std::string text);
};

struct Tool {
  std::string name;
  // {"name", "description", "parameters", "response"} as the client sent it.
  JsonValue declaration = JsonValue::object();
  bool strict = false;  // a keyword of its schema that cannot be enforced is refused
};

struct ToolChoice {
  enum class Mode {
    Auto,      // the model may call
    None,      // tools are not even declared
    Required,  // it must call one of `names`, or any
  };

  Mode mode = Mode::Auto;
  std::vector<std::string> names;  // the only ones allowed; empty: all
  bool parallel = true;            // several calls in one answer
};

struct ResponseFormat {
  enum class Kind { Text, Json, JsonSchema, Regex, Grammar };

  Kind kind = Kind::Text;
  JsonValue schema;    // of JsonSchema
  std::string source;  // of Regex and Grammar
};

struct Thinking {
  enum class Level { Unset, Low, Medium, High };

  bool on = false;
  std::optional<std::int64_t> budget_tokens = {};  // wins over the level
  Level level = Level::Unset;
};

struct Conversation {
  std::vector<Message> messages;
  std::vector<Tool> tools;
  ToolChoice tool_choice;
  ResponseFormat response_format;
  Thinking thinking;
  std::vector<std::string> stop;  // texts that end the answer

  bool keep_thoughts = false;         // those of older messages with calls too
  bool add_generation_prompt = true;  // the prompt ends where the answer begins
  bool continue_last = false;         // the answer begins with the last message, of the model
};

// Without white space at both ends, as Python's str.strip() sees it.
std::string_view trim(std::string_view text);

// Text of the model without what it spelled as thoughts: every <|channel> with what follows, up to
// the next <channel|>. Trimmed.
std::string without_thoughts(std::string_view text);

}  // namespace fourfold
