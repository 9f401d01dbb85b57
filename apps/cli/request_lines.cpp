#include "cli/request_lines.h"

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
using nlohmann::ordered_json;

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

Result<std::vector<ChatMessage>> parse_messages(const json& request) {
  const auto list = request.find("messages");
  if (list == request.end() || !list->is_array() || list->empty()) {
    return invalid_argument("messages: expected a list of messages");
  }
  std::vector<ChatMessage> messages;
  for (const auto& item : *list) {
    const auto where = fmt::format("messages[{}]", messages.size());
    if (!item.is_object()) return invalid_argument("{}: expected an object", where);
    const auto role = TRY_IN(where, string_member(item, "role"));
    messages.push_back({.role = TRY_IN(where, parse_role(role)),
                        .text = TRY_IN(where, string_member(item, "content"))});
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
  constexpr std::array kKnown = {"messages", "temperature", "seed", "max_tokens", "think"};
  for (const auto& [key, value] : request.items()) {
    if (std::find(kKnown.begin(), kKnown.end(), key) == kKnown.end()) {
      return unimplemented("{}: not supported here (messages, temperature, seed, max_tokens)",
                           printable(key));
    }
  }
  const json* think = find_setting(request, "think");
  if (think && *think != false) return unimplemented("think: only false is supported here");
  return {};
}

// A request of its own: its history and settings leave no trace.
Result<ordered_json> answer_request(const json& request, Chat& chat) {
  TRY(check_keys(request));
  if (chat.is_pretrained())
    return failed_precondition("messages: a pretrained model does not chat");
  auto messages = TRY(parse_messages(request));
  const SamplingFlags usual = chat.sampling();
  SamplingFlags sampling = usual;
  TRY(read_sampling(request, sampling));

  auto conversation = chat.replace({.system = {}, .messages = std::move(messages)});
  chat.sampling() = sampling;
  const auto answer = chat.answer(true);
  chat.sampling() = usual;
  chat.replace(std::move(conversation));
  if (!answer.ok()) return answer.error();
  return chat.json(*answer);
}

Result<ordered_json> answer_turn(const std::string& text, Chat& chat) {
  const auto answer = TRY(chat.say(text, true));
  return chat.json(answer);
}

Result<ordered_json> answer_line(const std::string& line, Chat& chat) {
  if (!line.starts_with('{') && !line.starts_with('"')) return answer_turn(line, chat);
  const json request = TRY(parse_json(line));
  if (request.is_string()) return answer_turn(*request.get_ptr<const std::string*>(), chat);
  return answer_request(request, chat);
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
    context.print_json(answer.ok() ? *answer : error_json(answer.error()));
    if (!context.out().is_open()) break;
  }
  return kExitDone;
}

}  // namespace fourfold
