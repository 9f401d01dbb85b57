#include "api/messages.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "base/letter_case.h"
#include "base/utf8.h"
#include "chat/request_json.h"

namespace fourfold {
namespace {

bool is_system(const Message& message) {
  return message.role == Role::System || message.role == Role::Developer;
}

bool is_empty_text(const Part& part) {
  return part.kind == Part::Kind::Text && trim(part.text).empty();
}

bool holds_nothing(const Message& message) {
  return message.thought.empty() && message.calls.empty() && message.results.empty() &&
         std::all_of(message.parts.begin(), message.parts.end(), is_empty_text);
}

// ---- the system text ----

// Only where the line begins the text: in the words of a user it is one like any other.
void drop_billing_line(Message& system, const std::vector<std::string>& prefixes) {
  if (system.parts.empty() || system.parts.front().kind != Part::Kind::Text) return;
  std::string& text = system.parts.front().text;
  const bool is_billed = std::any_of(prefixes.begin(), prefixes.end(), [&](const auto& prefix) {
    return !prefix.empty() && text.starts_with(prefix);
  });
  if (!is_billed) return;
  const auto line_end = text.find('\n');
  text.erase(0, line_end == text.npos ? text.size() : line_end + 1);
  if (is_empty_text(system.parts.front())) system.parts.erase(system.parts.begin());
}

// One block is the same system text as one string, in whatever dialect.
void settle_system_texts(std::vector<Message>& messages) {
  for (auto& message : messages) {
    if (is_system(message) && message.parts.size() == 1) message.is_part_list = false;
  }
}

// ---- neighbours ----

// The text of a model comes in pieces, cut anywhere; that of a user in contents of their own.
void append_parts(Message& message, std::vector<Part> more) {
  std::vector<Part>& parts = message.parts;
  const bool both_are_text = !parts.empty() && !more.empty() &&
                             parts.back().kind == Part::Kind::Text &&
                             more.front().kind == Part::Kind::Text;
  if (both_are_text) {
    if (message.role != Role::Model) parts.back().text += '\n';
    parts.back().text += more.front().text;
    more.erase(more.begin());
  }
  std::move(more.begin(), more.end(), std::back_inserter(parts));
}

// Also a text after calls: their results would otherwise not follow them.
bool goes_on(const Message& before, const Message& message) {
  if (before.role != message.role || !before.results.empty()) return false;
  return message.role == Role::Model || message.role == Role::User;
}

void append(Message& message, Message more) {
  const bool thinks_again = !message.thought.empty() && !message.parts.empty();
  if (thinks_again && !more.thought.empty()) message.thought += '\n';
  message.thought += more.thought;
  append_parts(message, std::move(more.parts));
  std::move(more.calls.begin(), more.calls.end(), std::back_inserter(message.calls));
  std::move(more.results.begin(), more.results.end(), std::back_inserter(message.results));
  message.is_part_list = message.is_part_list || more.is_part_list;
}

void merge_neighbours(std::vector<Message>& messages) {
  std::vector<Message> merged;
  for (auto& message : messages) {
    const bool is_blank_user = message.role == Role::User && holds_nothing(message);
    if (is_blank_user) continue;
    if (!merged.empty() && goes_on(merged.back(), message)) {
      append(merged.back(), std::move(message));
    } else {
      merged.push_back(std::move(message));
    }
  }
  messages = std::move(merged);
}

// ---- calls and results ----

// Results have to follow their calls at once; system texts between them go behind.
void move_results_to_calls(std::vector<Message>& messages) {
  for (auto at = messages.begin(); at != messages.end(); ++at) {
    if (at->calls.empty() || !at->results.empty()) continue;
    const auto begin = at + 1;
    const auto end = std::find_if_not(begin, messages.end(), [](const Message& message) {
      return message.role == Role::Tool || is_system(message);
    });
    std::stable_partition(begin, end,
                          [](const Message& message) { return message.role == Role::Tool; });
  }
}

Error broken_call(const BrokenCall& call) {
  return invalid_argument("{}: the arguments of {} are not the JSON text of an object", call.path,
                          printable(call.name))
      .with({.reason = "", .field = call.path});
}

Status check_broken_calls(const std::vector<Message>& messages, const MessageRules& rules) {
  if (rules.broken_calls.empty()) return {};
  if (rules.refuse_broken_calls) return broken_call(rules.broken_calls.front());
  if (messages.empty() || messages.back().role != Role::Model) return {};
  for (const auto& call : messages.back().calls) {
    if (!call.repaired) continue;
    const auto is_it = [&](const BrokenCall& broken) {
      return broken.id == call.id && broken.name == call.name;
    };
    const auto& all = rules.broken_calls;
    const auto found = std::find_if(all.rbegin(), all.rend(), is_it);
    if (found != all.rend()) return broken_call(*found);
  }
  return {};
}

// ---- as a whole ----

Status check_something_is_left(const std::vector<Message>& messages, const MessageRules& rules) {
  bool has_something = false, has_more_than_system = false;
  for (const auto& message : messages) {
    const bool says = !message.parts.empty() || !message.calls.empty() || !message.results.empty();
    has_something = has_something || says;
    has_more_than_system = has_more_than_system || (says && !is_system(message));
  }
  if (rules.needs_more_than_system ? has_more_than_system : has_something) return {};
  return invalid_argument("{}[0] has no text or media", rules.list_name)
      .with({.reason = "", .field = fmt::format("{}[0]", rules.list_name)});
}

void drop_nothing(Conversation& conversation) {
  auto& messages = conversation.messages;
  const bool last_is_nothing = !messages.empty() && holds_nothing(messages.back());
  if (last_is_nothing) conversation.continue_last = false;
  std::erase_if(messages, holds_nothing);
  for (auto& message : messages) std::erase_if(message.parts, is_empty_text);
}

}  // namespace

Status settle_messages(Conversation& conversation, const MessageRules& rules) {
  auto& messages = conversation.messages;
  for (auto& message : messages) {
    if (message.role == Role::Developer) message.role = Role::System;
  }
  if (!messages.empty() && is_system(messages.front())) {
    drop_billing_line(messages.front(), rules.billing_prefixes);
  }
  // Before and after the empty ones go: blanks between two pieces of a text are part of it, and an
  // empty content keeps nothing apart.
  if (rules.merge_neighbours) merge_neighbours(messages);
  drop_nothing(conversation);
  if (rules.merge_neighbours) merge_neighbours(messages);
  settle_system_texts(messages);
  move_results_to_calls(messages);
  TRY(check_something_is_left(messages, rules));
  return check_broken_calls(messages, rules);
}

JsonValue history_arguments(const JsonValue& arguments, std::string_view path,
                            std::vector<std::string>& warnings) {
  auto read = read_arguments(arguments);
  if (read) return std::move(read).value();
  warnings.push_back(fmt::format("{}: not a JSON object; kept as text", path));
  std::string raw = arguments.is_string() ? arguments.text : to_json_text(arguments);
  return JsonValue::object({{"arguments", JsonValue::of(std::move(raw))}});
}

void read_history_arguments(const JsonValue& arguments, std::string_view path, ToolCall& call,
                            std::vector<BrokenCall>& broken, std::vector<std::string>& warnings) {
  const std::size_t n_before = warnings.size();
  call.arguments = history_arguments(arguments, path, warnings);
  if (warnings.size() == n_before) return;
  call.repaired = true;
  broken.push_back({.path = std::string(path), .id = call.id, .name = call.name});
}

bool has_no_parameters(const JsonValue* schema) {
  if (!schema || schema->is_null()) return true;
  if (!schema->is_object()) return false;
  constexpr std::string_view kSayNothing[] = {
      "$schema",          "$id",         "$comment", "title",
      "nullable",         "description", "required", "propertyOrdering",
      "property_ordering"};
  for (const auto& [key, value] : schema->members) {
    if (value.is_null() || std::ranges::find(kSayNothing, key) != std::end(kSayNothing)) continue;
    const bool is_empty_object = value.is_object() && value.members.empty();
    const bool declares_none =
        (key == "type" && value.is_string() && to_lower(value.text) == "object") ||
        (key == "properties" && is_empty_object) ||
        ((key == "$defs" || key == "definitions") && is_empty_object) ||
        (key == "additionalProperties" && value.is_bool() && !value.boolean);
    if (!declares_none) return false;
  }
  return true;
}

}  // namespace fourfold
