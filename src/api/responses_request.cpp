#include "api/responses_request.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "api/media_settings.h"
#include "api/messages.h"
#include "api/openai_json.h"
#include "api/openai_sampling.h"
#include "base/utf8.h"

namespace fourfold {
namespace {

constexpr int kMostLogprobs = 20;

Status refuse_what_is_not_offered(const Field& body) {
  const auto unsupported = [](const Field& field, std::string_view why) {
    return field.error(why, "unsupported_value");
  };
  if (TRY(body["background"].boolean_or(false))) {
    return unsupported(body["background"], "responses are not made in the background");
  }
  if (!body["conversation"].absent()) {
    return unsupported(body["conversation"], "not offered (previous_response_id is)");
  }
  if (!body["prompt"].absent()) return unsupported(body["prompt"], "no prompts are stored here");
  return {};
}

// The input as items; a string is a message of the user.
Result<std::vector<JsonValue>> input_items(const Field& input) {
  if (input.absent()) return std::vector<JsonValue>();
  if (input.json().is_string()) {
    if (trim(input.json().text).empty()) return std::vector<JsonValue>();
    return std::vector{user_item(input.json().text)};
  }
  if (!input.json().is_array()) {
    return input.error(
        fmt::format("expected a string or a list of items, not {}", input.json().kind_name()));
  }
  return input.json().items;
}

class InputReader {
 public:
  InputReader(const Field& body, const ResponsesOptions& options, ResponsesRequest& out)
      : body_(body), options_(options), out_(out) {}

  Result<ItemList> read() {
    ItemList list;
    TRY(add_previous(list));
    auto items = TRY(input_items(body_["input"]));
    take_trigger(items);
    for (std::size_t i = 0; i < items.size(); ++i) TRY(add(items[i], i, list));
    if (list.items.empty()) {
      return body_["input"].error("there is nothing to answer (expected a text or items)");
    }
    return list;
  }

 private:
  Status add_previous(ItemList& list) const {
    const Field previous = body_["previous_response_id"];
    const auto id = TRY(previous.optional_string());
    if (!id) return {};
    auto items = options_.find_response ? options_.find_response(*id) : std::nullopt;
    if (!items) {
      return not_found("previous_response_id: no response {} is stored here", printable(*id))
          .with({.reason = "previous_response_not_found", .field = previous.path()});
    }
    list.items = std::move(*items);
    list.n_previous = list.items.size();
    return {};
  }

  // A signal, and no part of the conversation.
  void take_trigger(std::vector<JsonValue>& items) {
    const auto is_trigger = [](const JsonValue& item) {
      return item_type(item) == "compaction_trigger";
    };
    out_.is_compaction = !items.empty() && is_trigger(items.back());
    const auto n_erased = std::erase_if(items, is_trigger);
    if (n_erased > 0 && !out_.is_compaction) {
      out_.warnings.push_back("a compaction_trigger counts only at the end of the input");
    }
  }

  Status add(const JsonValue& item, std::size_t index, ItemList& list) const {
    if (item_type(item) != "item_reference") {
      list.items.push_back(item);
      return {};
    }
    const Field reference(&item, fmt::format("input[{}]", index));
    const auto id = TRY(reference["id"].string());
    auto found = options_.find_item ? options_.find_item(id) : std::nullopt;
    if (!found) {
      return not_found("{}: no item {} is stored here", reference["id"].path(), printable(id))
          .with({.reason = "", .field = reference["id"].path()});
    }
    list.items.push_back(std::move(*found));
    return {};
  }

  const Field& body_;
  const ResponsesOptions& options_;
  ResponsesRequest& out_;
};

Status read_tools(const Field& body, ResponsesRequest& out) {
  Conversation& conversation = out.chat.conversation;
  auto declared = TRY(read_openai_tools(body["tools"]));
  conversation.tool_choice =
      TRY(read_openai_tool_choice(body["tool_choice"], declared, out.warnings));
  conversation.tool_choice.parallel = TRY(body["parallel_tool_calls"].boolean_or(true));
  conversation.tools = std::move(declared.tools);
  out.style.tool_names = std::move(declared.names);
  std::move(declared.warnings.begin(), declared.warnings.end(), std::back_inserter(out.warnings));
  return {};
}

Status read_includes(const Field& body, ResponsesRequest& out) {
  const auto includes = TRY(body["include"].strings());
  const auto has = [&](std::string_view name) {
    return std::find(includes.begin(), includes.end(), name) != includes.end();
  };
  const auto top = TRY(body["top_logprobs"].optional_integer(0, kMostLogprobs));
  out.style.has_encrypted = has("reasoning.encrypted_content");
  out.style.has_logprobs = has("message.output_text.logprobs");
  if (out.style.has_logprobs) {
    out.chat.sampling.n_logprobs = static_cast<int>(top.value_or(0));
  }
  return {};
}

Status read_context_management(const Field& field, ResponsesRequest& out) {
  const auto rules = TRY(field.list());
  for (const auto& rule : rules) {
    const auto type = TRY(rule["type"].optional_string()).value_or("compaction");
    if (type != "compaction") {
      out.warnings.push_back(fmt::format("{} {} is not offered", rule.path(), printable(type)));
      continue;
    }
    out.compact_threshold =
        TRY(rule["compact_threshold"].integer(1, std::numeric_limits<std::int64_t>::max()));
  }
  return {};
}

JsonValue or_default(const Field& field, JsonValue otherwise) {
  return field.absent() ? std::move(otherwise) : field.json();
}

JsonValue echo_of(const Field& body, const ResponsesRequest& request) {
  const Field reasoning = body["reasoning"];
  JsonValue text = or_default(body["text"], JsonValue::object());
  if (!text.find("format")) {
    text.set("format", JsonValue::object({{"type", JsonValue::of("text")}}));
  }
  const Field summary = reasoning.first_of({"summary", "generate_summary"});
  return JsonValue::object(
      {{"instructions", body["instructions"].json()},
       {"max_output_tokens", body["max_output_tokens"].json()},
       {"metadata", or_default(body["metadata"], JsonValue::object())},
       {"parallel_tool_calls", JsonValue::of(request.chat.conversation.tool_choice.parallel)},
       {"previous_response_id", body["previous_response_id"].json()},
       {"reasoning",
        JsonValue::object({{"effort", reasoning["effort"].json()}, {"summary", summary.json()}})},
       {"store", JsonValue::of(request.store)},
       {"temperature", or_default(body["temperature"], JsonValue::number("1.0"))},
       {"text", std::move(text)},
       {"tool_choice", or_default(body["tool_choice"], JsonValue::of("auto"))},
       {"tools", or_default(body["tools"], JsonValue::array())},
       {"top_p", or_default(body["top_p"], JsonValue::number("0.95"))},
       {"truncation", or_default(body["truncation"], JsonValue::of("disabled"))}});
}

}  // namespace

Status use_items(ResponsesRequest& request, ItemList list, const ResponsesOptions& options) {
  auto history = TRY(read_response_items(list, request.style.tool_names, options.common.help));
  Conversation& conversation = request.chat.conversation;
  conversation.messages = std::move(history.messages);
  add_media_defaults(conversation.messages, {}, request.media);
  if (!request.instructions.empty()) {
    conversation.messages.insert(conversation.messages.begin(),
                                 Message::of(Role::System, request.instructions));
  }
  std::move(history.warnings.begin(), history.warnings.end(), std::back_inserter(request.warnings));
  request.list = std::move(list);
  return settle_messages(conversation, {.list_name = "input",
                                        .billing_prefixes = options.common.billing_prefixes,
                                        .broken_calls = std::move(history.broken_calls),
                                        .refuse_broken_calls = options.common.refuse_broken_calls});
}

Result<ResponsesRequest> parse_responses(const JsonValue& json, const ResponsesOptions& options) {
  const Field body(&json, "");
  TRY(body.require_object());
  ResponsesRequest out;
  out.model = TRY(read_model_name(body));
  TRY(refuse_what_is_not_offered(body));
  out.instructions = TRY(body["instructions"].optional_string()).value_or("");
  out.media = TRY(read_media_kwargs(body["mm_processor_kwargs"]));
  TRY(read_tools(body, out));

  ChatRequest& chat = out.chat;
  chat.sampling = TRY(read_openai_sampling(body, out.warnings));
  chat.sampling.max_tokens = TRY(read_token_limit(body, {"max_output_tokens"}));
  chat.conversation.response_format = TRY(read_any_format(body, body["text"]["format"]));
  const auto thinking = TRY(read_openai_thinking(body, options.common.think_default));
  chat.conversation.thinking = thinking.thinking;
  chat.forget_oldest = TRY(body["truncation"].optional_string()) == "auto";
  TRY(read_includes(body, out));
  TRY(read_context_management(body["context_management"], out));

  out.stream = TRY(body["stream"].boolean_or(false));
  out.store = TRY(body["store"].boolean_or(true));
  out.priority = TRY(read_priority(body));
  out.keep_alive = TRY(read_keep_alive(body));
  const auto summary =
      TRY(body["reasoning"].first_of({"summary", "generate_summary"}).optional_string());
  out.style.summarizes = summary && *summary != "none";
  out.style.echo = echo_of(body, out);

  auto list = TRY(InputReader(body, options, out).read());
  TRY(use_items(out, std::move(list), options));
  return out;
}

}  // namespace fourfold
