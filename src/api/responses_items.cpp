#include "api/responses_items.h"

#include <algorithm>
#include <set>
#include <utility>

#include "api/identifiers.h"
#include "base/utf8.h"

namespace fourfold {
namespace {

constexpr std::string_view kSummaryIntroduction =
    "Summary of the conversation so far. It stands for the earlier answers, tool calls and "
    "results, which are no longer shown:\n\n";

std::string text_of(const JsonValue& item, std::string_view key) {
  const JsonValue* value = item.find(key);
  return value && value->is_string() ? value->text : "";
}

// A message that a compaction leaves as it is.
bool is_kept(const JsonValue& item) {
  return item_type(item) == "message" && text_of(item, "role") != "assistant";
}

bool is_call(std::string_view type) {
  return type == "function_call" || type == "custom_tool_call";
}
bool is_result(std::string_view type) {
  return type == "function_call_output" || type == "custom_tool_call_output";
}

// The texts of a list of parts, a line each.
std::string joined_texts(const JsonValue* parts) {
  std::string out;
  if (!parts || !parts->is_array()) return out;
  for (const auto& part : parts->items) {
    const std::string text = text_of(part, "text");
    if (text.empty()) continue;
    if (!out.empty()) out += '\n';
    out += text;
  }
  return out;
}

// Our own seal is the exact thought; what clients show of it comes second.
std::string thought_of(const JsonValue& item, const HistoryHelp& help) {
  if (help.sealer) {
    if (auto thought = help.sealer->open_sealed(text_of(item, "encrypted_content"))) {
      return *thought;
    }
  }
  const std::string content = joined_texts(item.find("content"));
  return content.empty() ? joined_texts(item.find("summary")) : content;
}

std::optional<std::string> summary_of(const JsonValue& item, const HistoryHelp& help) {
  if (!help.sealer) return std::nullopt;
  return help.sealer->open_sealed(text_of(item, "encrypted_content"));
}

// Where the last summary that we made stands.
std::optional<std::size_t> last_compaction(const ItemList& list, const HistoryHelp& help) {
  for (std::size_t i = list.items.size(); i-- > 0;) {
    if (is_compaction(item_type(list.items[i])) && summary_of(list.items[i], help)) return i;
  }
  return std::nullopt;
}

class ItemReader {
 public:
  ItemReader(const ItemList& list, const ToolNames& names, const HistoryHelp& help)
      : list_(list), names_(names), help_(help) {}

  Result<ReadHistory> read() {
    const auto summary = last_compaction(list_, help_);
    for (std::size_t i = 0; i < list_.items.size(); ++i) {
      const JsonValue& item = list_.items[i];
      if (summary && i < *summary && !is_kept(item)) {
        leave_out(item);
      } else if (summary && i == *summary) {
        add_summary(item);
      } else {
        TRY(read_item(Field(&item, list_.path(i))));
      }
    }
    return std::move(out_);
  }

 private:
  Status read_item(const Field& item) {
    TRY(item.require_object());
    const std::string type = item_type(item.json());
    if (type == "message") return read_message(item);
    if (type == "reasoning") {
      add_thought(thought_of(item.json(), help_));
      return {};
    }
    if (type == "function_call") return read_function_call(item);
    if (type == "custom_tool_call") return read_custom_call(item);
    if (is_result(type)) return read_result(item);
    leave_out(item.json());
    out_.warnings.push_back(is_compaction(type)
                                ? item.path() + ": a summary that is not ours, left out"
                                : item.path() + ": type " + printable(type) + " is left out");
    return {};
  }

  // With a call go its results.
  void leave_out(const JsonValue& item) {
    const std::string id = text_of(item, "call_id");
    if (!id.empty() && !is_result(item_type(item))) left_out_calls_.insert(id);
  }

  void add_summary(const JsonValue& item) {
    const std::string text = std::string(kSummaryIntroduction) + *summary_of(item, help_);
    push(Message::of(Role::System, text));
  }

  Status read_message(const Field& item) {
    const auto role = TRY(item["role"].string());
    Message message;
    if (role == "user") {
      message.role = Role::User;
    } else if (role == "system" || role == "developer") {
      message.role = Role::System;
    } else if (role == "assistant") {
      message.role = Role::Model;
    } else {
      return item["role"].error(printable(role) +
                                " (expected user, assistant, system or developer)");
    }
    TRY(read_openai_content(item["content"], help_, message, out_.warnings));
    // One part is how clients of this API write a string.
    message.is_part_list = message.parts.size() > 1;
    if (message.role == Role::Model) {
      add_text(std::move(message));
    } else {
      push(std::move(message));
    }
    return {};
  }

  Result<ToolCall> named_call(const Field& item) {
    ToolCall call;
    call.id = TRY(item["call_id"].optional_string()).value_or("");
    if (call.id.empty()) call.id = TRY(item["id"].optional_string()).value_or("");
    const auto name = TRY(item["name"].string());
    const auto name_space = TRY(item["namespace"].optional_string()).value_or("");
    call.name = names_.model_name(name_space, name);
    return call;
  }

  Status read_function_call(const Field& item) {
    auto call = TRY(named_call(item));
    const Field arguments = item["arguments"];
    read_history_arguments(arguments.json(), arguments.path(), call, out_.broken_calls,
                           out_.warnings);
    turn_for_call().calls.push_back(std::move(call));
    return {};
  }

  Status read_custom_call(const Field& item) {
    auto call = TRY(named_call(item));
    call.arguments = custom_arguments(TRY(item["input"].optional_string()).value_or(""));
    turn_for_call().calls.push_back(std::move(call));
    return {};
  }

  Status read_result(const Field& item) {
    ToolResult result;
    result.call_id = TRY(item["call_id"].optional_string()).value_or("");
    if (left_out_calls_.contains(result.call_id)) return {};
    TRY(read_openai_result(item["output"], help_, result, out_.warnings));
    Message message{.role = Role::Tool};
    message.results.push_back(std::move(result));
    push(std::move(message));
    return {};
  }

  // ---- a turn of the model, which comes in several items: thought, text, calls ----

  void push(Message message) {
    out_.messages.push_back(std::move(message));
    turn_is_open_ = false;
  }

  Message& new_turn() {
    push({.role = Role::Model});
    turn_is_open_ = true;
    return out_.messages.back();
  }

  // Calls that still wait for their results keep everything in their turn.
  bool waits() const { return turn_is_open_ && !out_.messages.back().calls.empty(); }

  Message& turn_for_call() { return turn_is_open_ ? out_.messages.back() : new_turn(); }

  void add_thought(const std::string& text) {
    if (text.empty()) return;
    const bool goes_on = turn_is_open_ && (waits() || out_.messages.back().parts.empty());
    std::string& thought = (goes_on ? out_.messages.back() : new_turn()).thought;
    if (!thought.empty()) thought += '\n';
    thought += text;
  }

  void add_text(Message message) {
    const bool goes_on = turn_is_open_ && (waits() || out_.messages.back().parts.empty());
    Message& turn = goes_on ? out_.messages.back() : new_turn();
    turn.is_part_list = turn.is_part_list || message.is_part_list;
    std::move(message.parts.begin(), message.parts.end(), std::back_inserter(turn.parts));
  }

  const ItemList& list_;
  const ToolNames& names_;
  const HistoryHelp& help_;
  ReadHistory out_;
  bool turn_is_open_ = false;  // the last message is the model's, and more of it may come
  std::set<std::string> left_out_calls_;
};

std::string output_text(const JsonValue& item) {
  const JsonValue* output = item.find("output");
  if (!output) return "";
  return output->is_string() ? output->text : joined_texts(output);
}

// What an item says that a summary may replace.
std::string said_by(const JsonValue& item, const HistoryHelp& help) {
  const std::string type = item_type(item);
  if (type == "reasoning") return thought_of(item, help);
  if (is_call(type)) {
    return text_of(item, "name") + text_of(item, "arguments") + text_of(item, "input");
  }
  if (is_result(type)) return output_text(item);
  if (is_compaction(type)) return summary_of(item, help).value_or("");
  const JsonValue* content = item.find("content");
  if (content && content->is_string()) return content->text;
  return joined_texts(content);
}

}  // namespace

std::string ItemList::path(std::size_t index) const {
  if (index < n_previous) return fmt::format("previous_response_id[{}]", index);
  return fmt::format("input[{}]", index - n_previous);
}

std::string item_type(const JsonValue& item) {
  const std::string type = text_of(item, "type");
  return type.empty() && item.find("role") ? "message" : type;
}

bool is_compaction(std::string_view type) {
  return type == "compaction" || type == "compaction_summary" || type == "context_compaction";
}

JsonValue user_item(std::string text) {
  JsonValue part = JsonValue::object(
      {{"type", JsonValue::of("input_text")}, {"text", JsonValue::of(std::move(text))}});
  return JsonValue::object({{"type", JsonValue::of("message")},
                            {"role", JsonValue::of("user")},
                            {"content", JsonValue::array({std::move(part)})}});
}

JsonValue compaction_item(std::string sealed) {
  return JsonValue::object({{"type", JsonValue::of("compaction")},
                            {"id", JsonValue::of(random_id("cmp_"))},
                            {"encrypted_content", JsonValue::of(std::move(sealed))}});
}

Result<ReadHistory> read_response_items(const ItemList& list, const ToolNames& names,
                                        const HistoryHelp& help) {
  return ItemReader(list, names, help).read();
}

std::vector<JsonValue> kept_items(const ItemList& list) {
  std::vector<JsonValue> out;
  std::copy_if(list.items.begin(), list.items.end(), std::back_inserter(out), is_kept);
  return out;
}

std::string replaced_text(const ItemList& list, const HistoryHelp& help) {
  const auto summary = last_compaction(list, help);
  std::string out;
  for (std::size_t i = summary.value_or(0); i < list.items.size(); ++i) {
    if (!is_kept(list.items[i])) out += said_by(list.items[i], help) + '\n';
  }
  return out;
}

bool drop_oldest(ItemList& list) {
  auto& items = list.items;
  const auto erase = [&](std::size_t at) {
    items.erase(items.begin() + static_cast<std::ptrdiff_t>(at));
    if (at < list.n_previous) --list.n_previous;
  };
  for (std::size_t i = 0; i < items.size(); ++i) {
    if (!is_call(item_type(items[i]))) continue;
    const std::string id = text_of(items[i], "call_id");
    for (std::size_t j = i + 1; j < items.size(); ++j) {
      if (!is_result(item_type(items[j])) || text_of(items[j], "call_id") != id) continue;
      erase(j);
      erase(i);
      return true;
    }
  }
  // Then turns; the newest one stays.
  for (std::size_t i = 0; i + 1 < items.size(); ++i) {
    const std::string type = item_type(items[i]);
    if (type != "message" && type != "reasoning") continue;
    if (type == "message" && is_kept(items[i]) && text_of(items[i], "role") != "user") continue;
    erase(i);
    return true;
  }
  return false;
}

}  // namespace fourfold
