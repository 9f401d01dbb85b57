#include "api/responses_format.h"

#include <algorithm>
#include <utility>

#include "api/error_reply.h"
#include "api/identifiers.h"
#include "api/modalities.h"
#include "api/openai_format.h"
#include "api/openai_json.h"
#include "api/openai_logprobs.h"

namespace fourfold {
namespace {

using Members = std::vector<JsonMember>;

// The name in the text of a call that was cut: "call:NAME{…".
std::string name_of_cut_call(std::string_view text) {
  constexpr std::string_view kCall = "call:";
  text = trim(text);
  if (text.starts_with(kCall)) text.remove_prefix(kCall.size());
  const auto brace = text.find('{');
  return brace == text.npos ? "" : std::string(trim(text.substr(0, brace)));
}

// {"code", "message", "type", "param"} as the dialect's table has them.
JsonValue error_object(const Error& error, const std::string& request_id) {
  const auto reply = error_reply(Dialect::Responses, error, request_id);
  const auto body = parse_json_value(reply.body);
  const JsonValue* object = body ? body->find("error") : nullptr;
  JsonValue out = object && object->is_object()
                      ? *object
                      : JsonValue::object({{"message", JsonValue::of(error.message)}});
  const JsonValue* code = out.find("code");
  if (!code || code->is_null()) out.set("code", JsonValue::of("server_error"));
  return out;
}

JsonValue member_or_null(const JsonValue& object, std::string_view key) {
  const JsonValue* found = object.find(key);
  return found ? *found : JsonValue::null();
}

bool is_limit(ChatFinish finish) {
  return finish == ChatFinish::Length || finish == ChatFinish::Loop;
}

}  // namespace

std::string new_response_id() { return random_id("resp_", 32); }

JsonValue responses_usage(const AnswerFacts& facts, const CandidateEnd& end) {
  const auto output = end.usage.total();
  auto details = JsonValue::object({{"cached_tokens", json_number(facts.cached_tokens)}});
  add_openai_token_details(facts.prompt_tokens, facts.prompt_media, details);
  if (facts.prompt_media.audio > 0) {
    details.set("audio_tokens", json_number(facts.prompt_media.audio));
  }
  return JsonValue::object(
      {{"input_tokens", json_number(facts.prompt_tokens)},
       {"input_tokens_details", std::move(details)},
       {"output_tokens", json_number(output)},
       {"output_tokens_details",
        JsonValue::object({{"reasoning_tokens", json_number(end.usage.thought_tokens)}})},
       {"total_tokens", json_number(facts.prompt_tokens + output)}});
}

ResponsesFormatter::ResponsesFormatter(std::string id, ResponsesFormat format)
    : format_(std::move(format)), id_(std::move(id)) {}

// ---- events ----

void ResponsesFormatter::say(std::string_view type, JsonValue members) {
  if (!streams_) return;
  JsonValue event =
      JsonValue::object({{"type", json_text(type)}, {"sequence_number", json_number(sequence_++)}});
  for (auto& member : members.members) event.members.push_back(std::move(member));
  bytes_ += fmt::format("event: {}\ndata: {}\n\n", type, to_json_text(event));
}

// Of the open item, or of one that is about to be complete.
void ResponsesFormatter::say_of_item(std::string_view type, JsonValue members) {
  JsonValue event = JsonValue::object(
      {{"item_id", JsonValue::of(item_id_)}, {"output_index", json_number(output_.size())}});
  for (auto& member : members.members) event.members.push_back(std::move(member));
  say(type, std::move(event));
}

void ResponsesFormatter::say_response(std::string_view type, const JsonValue& response) {
  say(type, JsonValue::object({{"response", response}}));
}

void ResponsesFormatter::add_complete(JsonValue item) {
  const auto event = [&](std::string_view type) {
    say(type, JsonValue::object({{"output_index", json_number(output_.size())}, {"item", item}}));
  };
  event("response.output_item.added");
  event("response.output_item.done");
  output_.push_back(std::move(item));
}

// ---- thoughts ----

JsonValue ResponsesFormatter::reasoning_item(std::string_view status, bool is_whole) const {
  JsonValue content = JsonValue::array(), summary = JsonValue::array();
  if (is_whole) {
    const char* type = format_.style.summarizes ? "summary_text" : "reasoning_text";
    (format_.style.summarizes ? summary : content)
        .items.push_back(
            JsonValue::object({{"type", JsonValue::of(type)}, {"text", JsonValue::of(text_)}}));
  }
  JsonValue item = JsonValue::object({{"id", JsonValue::of(item_id_)},
                                      {"type", JsonValue::of("reasoning")},
                                      {"summary", std::move(summary)},
                                      {"content", std::move(content)}});
  if (is_whole && format_.style.has_encrypted && format_.sealer) {
    auto sealed = format_.sealer->seal(text_);
    if (sealed) item.set("encrypted_content", JsonValue::of(std::move(*sealed)));
  }
  item.set("status", json_text(status));
  return item;
}

void ResponsesFormatter::open_reasoning() {
  item_id_ = random_id("rs_", 32);
  say("response.output_item.added",
      JsonValue::object({{"output_index", json_number(output_.size())},
                         {"item", reasoning_item("in_progress", false)}}));
  const bool summarizes = format_.style.summarizes;
  JsonValue part =
      JsonValue::object({{"type", JsonValue::of(summarizes ? "summary_text" : "reasoning_text")},
                         {"text", JsonValue::of("")}});
  say_of_item(summarizes ? "response.reasoning_summary_part.added" : "response.content_part.added",
              JsonValue::object({{summarizes ? "summary_index" : "content_index", json_number(0)},
                                 {"part", std::move(part)}}));
}

void ResponsesFormatter::take_thought(const std::string& text) {
  // Large bodies sometimes think unasked, which is not shown.
  if (text.empty() || !thinks_) return;
  open(Open::Reasoning);
  text_ += text;
  const bool summarizes = format_.style.summarizes;
  say_of_item(
      summarizes ? "response.reasoning_summary_text.delta" : "response.reasoning_text.delta",
      JsonValue::object({{summarizes ? "summary_index" : "content_index", json_number(0)},
                         {"delta", JsonValue::of(text)}}));
}

void ResponsesFormatter::close_reasoning(std::string_view status) {
  const bool summarizes = format_.style.summarizes;
  const char* index = summarizes ? "summary_index" : "content_index";
  const char* type = summarizes ? "summary_text" : "reasoning_text";
  say_of_item(summarizes ? "response.reasoning_summary_text.done" : "response.reasoning_text.done",
              JsonValue::object({{index, json_number(0)}, {"text", JsonValue::of(text_)}}));
  JsonValue part =
      JsonValue::object({{"type", JsonValue::of(type)}, {"text", JsonValue::of(text_)}});
  say_of_item(summarizes ? "response.reasoning_summary_part.done" : "response.content_part.done",
              JsonValue::object({{index, json_number(0)}, {"part", std::move(part)}}));
  JsonValue item = reasoning_item(status, true);
  say("response.output_item.done",
      JsonValue::object({{"output_index", json_number(output_.size())}, {"item", item}}));
  output_.push_back(std::move(item));
}

// ---- text ----

JsonValue ResponsesFormatter::text_part(bool is_whole) const {
  return JsonValue::object(
      {{"type", JsonValue::of("output_text")},
       {"text", JsonValue::of(is_whole ? text_ : "")},
       {"annotations", JsonValue::array()},
       {"logprobs", is_whole ? JsonValue::array(logprobs_) : JsonValue::array()}});
}

JsonValue ResponsesFormatter::message_item(std::string_view status, bool is_whole) const {
  JsonValue content = JsonValue::array();
  if (is_whole) content.items.push_back(text_part(true));
  return JsonValue::object({{"id", JsonValue::of(item_id_)},
                            {"type", JsonValue::of("message")},
                            {"role", JsonValue::of("assistant")},
                            {"status", json_text(status)},
                            {"content", std::move(content)}});
}

void ResponsesFormatter::open_message() {
  item_id_ = random_id("msg_", 32);
  say("response.output_item.added",
      JsonValue::object({{"output_index", json_number(output_.size())},
                         {"item", message_item("in_progress", false)}}));
  say_of_item("response.content_part.added",
              JsonValue::object({{"content_index", json_number(0)}, {"part", text_part(false)}}));
}

void ResponsesFormatter::take_text(const std::string& text) {
  if (text.empty()) return;
  open(Open::Message);
  has_said_ = true;
  text_ += text;
  JsonValue logprobs = JsonValue::array(std::exchange(new_logprobs_, {}));
  logprobs_.insert(logprobs_.end(), logprobs.items.begin(), logprobs.items.end());
  say_of_item("response.output_text.delta", JsonValue::object({{"content_index", json_number(0)},
                                                               {"delta", JsonValue::of(text)},
                                                               {"logprobs", std::move(logprobs)}}));
}

void ResponsesFormatter::close_message(std::string_view status) {
  logprobs_.insert(logprobs_.end(), new_logprobs_.begin(), new_logprobs_.end());
  new_logprobs_.clear();
  say_of_item("response.output_text.done",
              JsonValue::object({{"content_index", json_number(0)},
                                 {"text", JsonValue::of(text_)},
                                 {"logprobs", JsonValue::array(logprobs_)}}));
  say_of_item("response.content_part.done",
              JsonValue::object({{"content_index", json_number(0)}, {"part", text_part(true)}}));
  JsonValue item = message_item(status, true);
  say("response.output_item.done",
      JsonValue::object({{"output_index", json_number(output_.size())}, {"item", item}}));
  output_.push_back(std::move(item));
}

void ResponsesFormatter::open(Open kind) {
  malformed_is_last_ = false;
  if (open_ == kind) return;
  close();
  open_ = kind;
  if (kind == Open::Reasoning) open_reasoning();
  if (kind == Open::Message) open_message();
}

void ResponsesFormatter::close(std::string_view status) {
  if (open_ == Open::Reasoning) close_reasoning(status);
  if (open_ == Open::Message) close_message(status);
  open_ = Open::Nothing;
  text_.clear();
  logprobs_.clear();
}

// ---- calls ----

// As it stands when nothing of its argument has come.
JsonValue ResponsesFormatter::call_item(const ToolCall& call, const std::string& call_id) const {
  const ClientTool* tool = format_.style.tool_names.find(call.name);
  const bool is_custom = tool && tool->is_custom;
  JsonValue item =
      JsonValue::object({{"id", JsonValue::of(item_id_)},
                         {"type", JsonValue::of(is_custom ? "custom_tool_call" : "function_call")},
                         {"status", JsonValue::of("in_progress")},
                         {"call_id", JsonValue::of(call_id)}});
  if (tool && !tool->name_space.empty()) item.set("namespace", JsonValue::of(tool->name_space));
  item.set("name", JsonValue::of(tool ? tool->name : call.name));
  item.set(is_custom ? "input" : "arguments", JsonValue::of(""));
  return item;
}

void ResponsesFormatter::take_call(const ToolCall& call) {
  malformed_is_last_ = false;
  close();
  has_said_ = true;
  const ClientTool* tool = format_.style.tool_names.find(call.name);
  const bool is_custom = tool && tool->is_custom;
  item_id_ = random_id(is_custom ? "ctc_" : "fc_", 32);
  JsonValue item = call_item(call, random_id("call_"));
  const auto item_event = [&](std::string_view type) {
    say(type, JsonValue::object({{"output_index", json_number(output_.size())}, {"item", item}}));
  };
  item_event("response.output_item.added");

  const char* member = is_custom ? "input" : "arguments";
  const std::string text = is_custom ? custom_input(call.arguments) : to_json_text(call.arguments);
  const std::string event =
      is_custom ? "response.custom_tool_call_input" : "response.function_call_arguments";
  say_of_item(event + ".delta", JsonValue::object({{"delta", JsonValue::of(text)}}));
  JsonValue done = JsonValue::object();
  if (tool && !tool->name_space.empty()) done.set("namespace", JsonValue::of(tool->name_space));
  done.set("name", *item.find("name"));
  done.set(member, JsonValue::of(text));
  say_of_item(event + ".done", std::move(done));

  item.set(member, JsonValue::of(text));
  item.set("status", JsonValue::of("completed"));
  item_event("response.output_item.done");
  output_.push_back(std::move(item));
}

void ResponsesFormatter::take_malformed(const std::string& text) {
  malformed_ += text;
  malformed_is_last_ = true;
}

// It is shown that there was one, and never as complete.
void ResponsesFormatter::take_cut_call(const std::string& text) {
  ToolCall call;
  call.name = name_of_cut_call(text);
  if (call.name.empty()) return;
  close();
  item_id_ = random_id("fc_", 32);
  JsonValue item = call_item(call, random_id("call_"));
  item.set("status", JsonValue::of("incomplete"));
  add_complete(std::move(item));
}

// ---- the response ----

std::string_view ResponsesFormatter::end_status() const {
  return is_limit(end_.finish) ? "incomplete" : "completed";
}

JsonValue ResponsesFormatter::response(const AnswerFacts& facts, std::string_view status) const {
  const bool is_over = status != "in_progress";
  JsonValue incomplete = JsonValue::null();
  if (status == "incomplete") {
    incomplete = JsonValue::object({{"reason", JsonValue::of("max_output_tokens")}});
  }
  JsonValue out = JsonValue::object({{"id", JsonValue::of(id_)},
                                     {"object", JsonValue::of("response")},
                                     {"created_at", json_number(facts.created_s)},
                                     {"status", json_text(status)},
                                     {"error", JsonValue::null()},
                                     {"incomplete_details", std::move(incomplete)},
                                     {"model", JsonValue::of(facts.requested_model)},
                                     {"output", JsonValue::array(output_)}});
  for (const auto& member : format_.style.echo.members) out.members.push_back(member);
  out.set("usage", is_over ? responses_usage(facts, end_) : JsonValue::null());
  return out;
}

// ---- whole ----

std::string ResponsesFormatter::whole(const AnswerFacts& facts,
                                      const std::vector<Candidate>& candidates) {
  using Kind = AnswerPiece::Kind;
  thinks_ = facts.thinks;
  for (auto& item : format_.first_items) output_.push_back(std::move(item));
  const Candidate& candidate = candidates.front();
  if (format_.style.has_logprobs && facts.tokenizer) {
    new_logprobs_ = logprob_entries(*facts.tokenizer, candidate.tokens, false);
  }
  for (const auto& piece : candidate.pieces) {
    switch (piece.kind) {
      case Kind::Thought: take_thought(piece.text); break;
      case Kind::Text: take_text(piece.text); break;
      case Kind::Call: take_call(piece.call); break;
      case Kind::Malformed: take_malformed(piece.text); break;
    }
  }
  take_end(candidate.end);
  const JsonValue body = response(facts, end_status());
  if (format_.on_complete) format_.on_complete(body);
  return to_json_text(body);
}

// ---- stream ----

std::string ResponsesFormatter::begin(const AnswerFacts& facts) {
  streams_ = true;
  facts_ = facts;
  thinks_ = facts.thinks;
  const JsonValue started = response(facts, "in_progress");
  say_response("response.created", started);
  say_response("response.in_progress", started);
  for (auto& first : format_.first_items) add_complete(std::move(first));
  return take_bytes();
}

std::string ResponsesFormatter::item(JsonValue item) {
  add_complete(std::move(item));
  return take_bytes();
}

std::string ResponsesFormatter::event(const ChatDelta& delta) {
  using Type = ChatEvent::Type;
  if (format_.style.has_logprobs && facts_.tokenizer) {
    auto entries = logprob_entries(*facts_.tokenizer, delta.tokens, false);
    std::move(entries.begin(), entries.end(), std::back_inserter(new_logprobs_));
  }
  switch (delta.event.type) {
    case Type::Thought: take_thought(delta.event.text); break;
    case Type::Text: take_text(delta.event.text); break;
    case Type::Call: take_call(delta.event.call); break;
    case Type::Malformed: take_malformed(delta.event.text); break;
    case Type::CallStarted:
    case Type::CallArguments:  // a call is said when it is whole
    case Type::Finish: break;
  }
  return take_bytes();
}

void ResponsesFormatter::take_end(const CandidateEnd& end) {
  end_ = end;
  if (!malformed_.empty()) {
    if (shows_malformed(end, has_said_)) {
      take_text(malformed_);
    } else if (end.finish == ChatFinish::Length && malformed_is_last_) {
      take_cut_call(malformed_);
    }
  }
  close(end_status());
}

std::string ResponsesFormatter::end(int, const CandidateEnd& end,
                                    const std::vector<DrawnToken>& tokens) {
  if (format_.style.has_logprobs && facts_.tokenizer) {
    auto entries = logprob_entries(*facts_.tokenizer, tokens, false);
    std::move(entries.begin(), entries.end(), std::back_inserter(new_logprobs_));
  }
  take_end(end);
  return take_bytes();
}

std::string ResponsesFormatter::finish(const AnswerFacts& facts) {
  const JsonValue body = response(facts, end_status());
  if (format_.on_complete) format_.on_complete(body);
  say_response(fmt::format("response.{}", end_status()), body);
  return take_bytes();
}

std::string ResponsesFormatter::error(const Error& error) {
  streams_ = true;
  close("incomplete");
  if (format_.cancelled.stop_requested()) {
    say_response("response.incomplete", response(facts_, "cancelled"));
    return take_bytes();
  }
  const JsonValue object = error_object(error, format_.request_id);
  const JsonValue code = member_or_null(object, "code");
  const JsonValue message = member_or_null(object, "message");
  // Flat for some clients, nested for others.
  say("error", JsonValue::object({{"code", code},
                                  {"message", message},
                                  {"param", member_or_null(object, "param")},
                                  {"error", object}}));
  JsonValue failed = response(facts_, "failed");
  failed.set("error", JsonValue::object({{"code", code}, {"message", message}}));
  say_response("response.failed", failed);
  return take_bytes();
}

}  // namespace fourfold
