#include "cli/request_lines.h"

#include <fmt/ranges.h>
#include <algorithm>
#include <array>

#include <nlohmann/json.hpp>

#include "base/json.h"
#include "base/utf8.h"
#include "cli/input.h"
#include "cli/interactive.h"

namespace fourfold {
namespace {

using nlohmann::json;

Result<Role> parse_role(const std::string& role) {
  if (role == "system" || role == "developer") return Role::System;
  if (role == "user") return Role::User;
  if (role == "assistant" || role == "model") return Role::Model;
  return invalid_argument("role: {} (expected system, user or assistant)", printable(role));
}

Result<std::string> string_member(const json& object, const char* key) {
  const auto found = object.find(key);
  if (found == object.end() || !found->is_string()) {
    return invalid_argument("{}: expected a string", key);
  }
  return *found->get_ptr<const std::string*>();
}

Result<std::vector<Message>> parse_messages(const json& request) {
  const auto list = request.find("messages");
  if (list == request.end() || !list->is_array() || list->empty()) {
    return invalid_argument("messages: expected a list of messages");
  }
  std::vector<Message> messages;
  for (const auto& item : *list) {
    const auto where = fmt::format("messages[{}]", messages.size());
    if (!item.is_object()) return invalid_argument("{}: expected an object", where);
    const auto role = TRY_IN(where, string_member(item, "role"));
    const Role speaker = TRY_IN(where, parse_role(role));
    auto text = TRY_IN(where, string_member(item, "content"));
    messages.push_back(Message::of(speaker, std::move(text)));
  }
  return messages;
}

// Absent and null: the command line's own setting stays.
const json* find_setting(const json& request, const char* key) {
  const auto found = request.find(key);
  return found == request.end() || found->is_null() ? nullptr : &*found;
}

Result<std::optional<std::int64_t>> count_member(const json& request, const char* key) {
  const json* value = find_setting(request, key);
  if (!value) return std::optional<std::int64_t>();
  if (!value->is_number_unsigned()) {
    return invalid_argument("{}: expected a whole number of 0 or more", key);
  }
  return std::optional(static_cast<std::int64_t>(*value->get_ptr<const std::uint64_t*>()));
}

Status read_sampling(const json& request, SamplingFlags& sampling) {
  if (const json* temperature = find_setting(request, "temperature")) {
    if (!temperature->is_number()) return invalid_argument("temperature: expected a number");
    sampling.temperature = temperature->get<float>();
  }
  if (const auto seed = TRY(count_member(request, "seed"))) {
    sampling.seed = static_cast<std::uint64_t>(*seed);
  }
  if (const auto n = TRY(count_member(request, "max_tokens"))) sampling.max_tokens = *n;
  return {};
}

Status check_keys(const json& request) {
  constexpr std::array kKnown = {"messages", "tools",      "schema",     "think",
                                 "seed",     "max_tokens", "temperature"};
  for (const auto& [key, value] : request.items()) {
    if (std::find(kKnown.begin(), kKnown.end(), key) == kKnown.end()) {
      return unimplemented("{}: not supported here (expected {})", printable(key),
                           fmt::join(kKnown, ", "));
    }
  }
  return {};
}

Result<Thinking> read_thinking(const json& request, const Thinking& usual) {
  const json* think = find_setting(request, "think");
  if (!think) return usual;
  if (!think->is_boolean() && !think->is_number_unsigned()) {
    return invalid_argument("think: expected true, false or a number of tokens");
  }
  return parse_thinking(think->dump());
}

// Tools and schema keep the order and spelling of their text.
Status read_shapes(const JsonValue& request, ChatSettings& settings) {
  const auto find = [&](std::string_view key) {
    const JsonValue* value = request.find(key);
    return value && value->is_null() ? nullptr : value;
  };
  if (const JsonValue* tools = find("tools")) settings.tools = TRY(read_tools(*tools));
  if (const JsonValue* schema = find("schema")) {
    settings.format = {.kind = ResponseFormat::Kind::JsonSchema, .schema = *schema, .source = {}};
  }
  return {};
}

Result<ChatSettings> read_settings(const json& request, const std::string& line,
                                   const ChatSettings& usual) {
  ChatSettings settings = usual;
  TRY(read_sampling(request, settings.sampling));
  settings.thinking = TRY(read_thinking(request, usual.thinking));
  const auto in_order = TRY(parse_json_value(line));
  TRY(read_shapes(in_order, settings));
  return settings;
}

// A request of its own: its history and settings leave no trace.
Result<JsonValue> answer_request(const json& request, const std::string& line, Chat& chat) {
  TRY(check_keys(request));
  if (chat.is_pretrained())
    return failed_precondition("messages: a pretrained model does not chat");
  auto messages = TRY(parse_messages(request));
  const ChatSettings usual = chat.settings();
  auto settings = TRY(read_settings(request, line, usual));
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

Result<JsonValue> answer_line(const std::string& line, Chat& chat) {
  if (!line.starts_with('{') && !line.starts_with('"')) return answer_turn(line, chat);
  const json request = TRY(parse_json(line));
  if (request.is_string()) return answer_turn(*request.get_ptr<const std::string*>(), chat);
  return answer_request(request, line, chat);
}

}  // namespace

Result<int> answer_lines(Chat& chat, Context& context) {
  ChatCommands commands(chat, context);
  while (const auto line = read_stdin_line()) {
    if (trim(*line).empty()) continue;
    if (ChatCommands::is_command(*line)) {
      if (!commands.run(*line)) break;
      continue;
    }
    const auto answer = answer_line(*line, chat);
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
