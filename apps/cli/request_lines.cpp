#include "cli/request_lines.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <array>

#include <nlohmann/json.hpp>

#include "base/utf8.h"
#include "chat/request_json.h"
#include "cli/flags.h"
#include "cli/input.h"
#include "cli/interactive.h"
#include "cli/media.h"
#include "cli/tools.h"
#include "engine/media_part.h"

namespace fourfold {
namespace {

// Absent and null: the command line's own setting stays.
const JsonValue* find_setting(const JsonValue& request, std::string_view key) {
  const JsonValue* value = request.find(key);
  return value && value->is_null() ? nullptr : value;
}

template <class Target>
Status read_number(const JsonValue& request, const char* key, NumberRange range, Target& target) {
  const JsonValue* value = find_setting(request, key);
  if (!value) return {};
  if (!value->is_number()) return invalid_argument("{}: expected a number", key);
  target = static_cast<float>(TRY_IN(key, parse_number(value->text, range)));
  return {};
}

// A whole number of 0 or more.
template <class Target>
Status read_count(const JsonValue& request, const char* key, Target& target) {
  const JsonValue* value = find_setting(request, key);
  if (!value) return {};
  if (!value->is_integer()) {
    return invalid_argument("{}: expected a whole number of 0 or more", key);
  }
  target = static_cast<NumberOf<Target>>(TRY_IN(key, parse_integer(value->text, {.least = 0})));
  return {};
}

Status read_switch(const JsonValue& request, const char* key, bool& target) {
  const JsonValue* value = find_setting(request, key);
  if (!value) return {};
  if (!value->is_bool()) return invalid_argument("{}: expected true or false", key);
  target = value->boolean;
  return {};
}

Status read_stop(const JsonValue& request, SamplingChoice& sampling) {
  const JsonValue* stop = find_setting(request, "stop");
  if (!stop) return {};
  const auto texts = stop->is_array() ? stop->items : std::vector{*stop};
  sampling.stop.clear();
  for (const auto& text : texts) {
    if (!text.is_string()) return invalid_argument("stop: expected a string or a list of them");
    sampling.stop.push_back(text.text);
  }
  return {};
}

Status read_sampling(const JsonValue& request, SamplingChoice& sampling) {
  TRY(read_number(request, "temperature", {.least = 0}, sampling.temperature));
  TRY(read_number(request, "top_p", {.least = 0, .most = 1}, sampling.top_p));
  TRY(read_number(request, "min_p", {.least = 0, .most = 1}, sampling.min_p));
  TRY(read_count(request, "top_k", sampling.top_k));
  TRY(read_count(request, "seed", sampling.seed));
  TRY(read_count(request, "max_tokens", sampling.max_tokens));
  return read_stop(request, sampling);
}

Status check_keys(const JsonValue& request) {
  constexpr std::array kKnown = {"messages",
                                 "continue_final_message",
                                 "tools",
                                 "tool_choice",
                                 "parallel_tool_calls",
                                 "schema",
                                 "response_format",
                                 "think",
                                 "seed",
                                 "max_tokens",
                                 "temperature",
                                 "top_k",
                                 "top_p",
                                 "min_p",
                                 "stop"};
  for (const auto& member : request.members) {
    if (std::find(kKnown.begin(), kKnown.end(), member.key) == kKnown.end()) {
      return unimplemented("{}: not supported here (expected {})", printable(member.key),
                           fmt::join(kKnown, ", "));
    }
  }
  return {};
}

Status read_thinking(const JsonValue& request, Thinking& thinking) {
  const JsonValue* think = find_setting(request, "think");
  if (!think) return {};
  if (!think->is_bool() && !think->is_integer()) {
    return invalid_argument("think: expected true, false or a number of tokens");
  }
  thinking = TRY_IN("think", parse_thinking(to_json_text(*think)));
  return {};
}

Status read_tool_settings(const JsonValue& request, ChatSettings& settings) {
  if (const JsonValue* tools = find_setting(request, "tools")) {
    settings.tools = TRY(read_tools(*tools));
  }
  if (const JsonValue* choice = find_setting(request, "tool_choice")) {
    settings.tool_choice = TRY_IN("tool_choice", read_tool_choice(*choice, settings.tools));
  }
  return read_switch(request, "parallel_tool_calls", settings.tool_choice.parallel);
}

Status read_format(const JsonValue& request, ResponseFormat& format) {
  const JsonValue* schema = find_setting(request, "schema");
  const JsonValue* other = find_setting(request, "response_format");
  if (schema && other) return invalid_argument("schema: does not go with response_format");
  if (schema) format = {.kind = ResponseFormat::Kind::JsonSchema, .schema = *schema, .source = {}};
  if (other) format = TRY_IN("response_format", read_response_format(*other));
  return {};
}

Result<ChatSettings> read_settings(const JsonValue& request, const ChatSettings& usual) {
  ChatSettings settings = usual;
  settings.is_dialogue = false;
  TRY(read_switch(request, "continue_final_message", settings.continue_last));
  TRY(read_sampling(request, settings.sampling));
  TRY(read_thinking(request, settings.thinking));
  TRY(read_tool_settings(request, settings));
  TRY(read_format(request, settings.format));
  return settings;
}

// What the lines of a session share.
struct LineOptions {
  const MediaSettings& media;
  Context& context;
};

// The bytes say what a medium is.
Status settle_medium(const std::string& where, const MediaSettings& settings, Part& part) {
  if (part.kind == Part::Kind::Text || part.kind == Part::Kind::Unknown) return {};
  part = TRY(make_media_part(std::move(part.bytes), where, part.kind));
  part.settings = settings;
  return {};
}

Result<std::vector<Message>> read_some_messages(const JsonValue& request,
                                                const LineOptions& options) {
  const JsonValue* list = find_setting(request, "messages");
  if (!list || !list->is_array() || list->items.empty()) {
    return invalid_argument("messages: expected a list of messages");
  }
  RequestOptions reading;
  reading.read_media = [&](const std::string& source) {
    return read_media_source(source, options.context);
  };
  auto messages = TRY(read_messages(*list, reading));
  for (std::size_t i = 0; i < messages.size(); ++i) {
    auto& parts = messages[i].parts;
    for (std::size_t j = 0; j < parts.size(); ++j) {
      TRY(settle_medium(fmt::format("messages[{}].content[{}]", i, j), options.media, parts[j]));
    }
    for (auto& result : messages[i].results) {
      for (auto& part : result.media) {
        TRY(settle_medium(fmt::format("messages[{}]", i), options.media, part));
      }
    }
  }
  return messages;
}

// A request of its own: its history and settings leave no trace.
Result<JsonValue> answer_request(const JsonValue& request, const LineOptions& options, Chat& chat) {
  TRY(check_keys(request));
  if (chat.is_pretrained()) {
    return failed_precondition("messages: a pretrained model does not chat");
  }
  auto messages = TRY(read_some_messages(request, options));
  const ChatSettings usual = chat.settings();
  auto settings = TRY(read_settings(request, usual));
  TRY(chat.set(std::move(settings)));

  auto history = chat.replace({.system = {}, .messages = std::move(messages)});
  const auto answer = chat.answer(true);
  chat.replace(std::move(history));
  TRY(chat.set(usual));
  if (!answer.ok()) return answer.error();
  return chat.json(*answer);
}

Result<JsonValue> answer_turn(const std::string& text, Chat& chat) {
  const auto answer = TRY(chat.say(text, true));
  return chat.json(answer);
}

Result<JsonValue> answer_line(const std::string& line, const LineOptions& options, Chat& chat) {
  if (!line.starts_with('{') && !line.starts_with('"')) return answer_turn(line, chat);
  const auto request = TRY(parse_json_value(line));
  if (request.is_string()) return answer_turn(request.text, chat);
  return answer_request(request, options, chat);
}

}  // namespace

Result<int> answer_lines(Chat& chat, const MediaSettings& media, Context& context) {
  const LineOptions options{.media = media, .context = context};
  ChatCommands commands(chat, context);
  while (const auto line = read_stdin_line()) {
    if (trim(*line).empty()) continue;
    if (ChatCommands::is_command(*line)) {
      if (!commands.run(*line)) break;
      continue;
    }
    const auto answer = answer_line(*line, options, chat);
    if (answer.ok()) {
      context.print_json_value(*answer);
    } else {
      context.print_json(error_json(answer.error()));
    }
    if (!context.out().is_open()) break;
  }
  return kExitDone;
}

}  // namespace fourfold
