#include "api/anthropic_format.h"

#include <utility>

#include "api/error_reply.h"
#include "api/identifiers.h"
#include "api/json_number.h"

namespace fourfold {
namespace {

JsonValue text(std::string_view value) { return JsonValue::of(std::string(value)); }

// `data` has its type as the first member, which is also the event's name.
std::string event_text(const JsonValue& data) {
  return fmt::format("event: {}\ndata: {}\n\n", data.find("type")->text, to_json_text(data));
}

JsonValue typed(std::string_view type) { return JsonValue::object({{"type", text(type)}}); }

JsonValue usage_json(const AnswerFacts& facts, std::int64_t output_tokens) {
  return JsonValue::object(
      {{"input_tokens", json_number(facts.prompt_tokens - facts.cached_tokens)},
       {"cache_creation_input_tokens", json_number(0)},
       {"cache_read_input_tokens", json_number(facts.cached_tokens)},
       {"output_tokens", json_number(output_tokens)}});
}

std::string_view stop_reason(const CandidateEnd& end) {
  switch (end.finish) {
    case ChatFinish::ToolCalls: return "tool_use";
    case ChatFinish::Length:
      return end.context_is_full ? "model_context_window_exceeded" : "max_tokens";
    case ChatFinish::Loop: return "max_tokens";
    case ChatFinish::Stop:
    case ChatFinish::Cancelled: break;
  }
  return end.stop_text ? "stop_sequence" : "end_turn";
}

JsonValue stop_sequence(const CandidateEnd& end) {
  const bool was_met = stop_reason(end) == "stop_sequence";
  return was_met ? JsonValue::of(*end.stop_text) : JsonValue::null();
}

JsonValue thinking_block(std::string thought, std::string signature) {
  auto block = typed("thinking");
  block.set("thinking", JsonValue::of(std::move(thought)));
  block.set("signature", JsonValue::of(std::move(signature)));
  return block;
}

JsonValue text_block(std::string content) {
  auto block = typed("text");
  block.set("text", JsonValue::of(std::move(content)));
  block.set("citations", JsonValue::null());
  return block;
}

// Neighbouring texts are one block, as they are in a stream.
void add_text(JsonValue& content, const std::string& more) {
  if (!content.items.empty() && content.items.back().find("type")->text == "text") {
    content.items.back().find("text")->text += more;
  } else {
    content.items.push_back(text_block(more));
  }
}

JsonValue call_block(const ToolCall& call, JsonValue input) {
  auto block = typed("tool_use");
  block.set("id", JsonValue::of(call.id.empty() ? random_id("toolu_") : call.id));
  block.set("name", JsonValue::of(call.name));
  block.set("input", std::move(input));
  return block;
}

JsonValue text_delta(std::string_view type, std::string_view key, const std::string& value) {
  auto delta = typed(type);
  delta.set(key, JsonValue::of(value));
  return delta;
}

}  // namespace

JsonValue AnthropicFormatter::message(const AnswerFacts& facts) const {
  auto message = JsonValue::object({{"id", JsonValue::of(random_id("msg_"))},
                                    {"type", text("message")},
                                    {"role", text("assistant")},
                                    {"model", text(facts.requested_model)},
                                    {"content", JsonValue::array()},
                                    {"stop_reason", JsonValue::null()},
                                    {"stop_sequence", JsonValue::null()}});
  message.set("usage", usage_json(facts, 0));
  return message;
}

std::string AnthropicFormatter::signature(const std::string& thought) const {
  if (!options_.sealer) return "";
  return options_.sealer->seal(thought).value_or("");
}

// ---- stream ----

std::string AnthropicFormatter::begin(const AnswerFacts& facts) {
  auto data = typed("message_start");
  data.set("message", message(facts));
  return event_text(data);
}

std::string AnthropicFormatter::start_block(JsonValue block) {
  auto data = typed("content_block_start");
  data.set("index", json_number(index_));
  data.set("content_block", std::move(block));
  return event_text(data);
}

std::string AnthropicFormatter::block_delta(JsonValue delta) {
  auto data = typed("content_block_delta");
  data.set("index", json_number(index_));
  data.set("delta", std::move(delta));
  return event_text(data);
}

std::string AnthropicFormatter::stop_block() {
  auto data = typed("content_block_stop");
  data.set("index", json_number(index_++));
  block_ = Block::None;
  return event_text(data);
}

std::string AnthropicFormatter::go_to(Block kind) {
  if (block_ == kind) return "";
  std::string out;
  if (block_ == Block::Thinking) {
    const auto sealed = signature(std::exchange(thought_, {}));
    if (!sealed.empty()) out += block_delta(text_delta("signature_delta", "signature", sealed));
  }
  if (block_ != Block::None) out += stop_block();
  block_ = kind;
  if (kind == Block::Thinking) out += start_block(thinking_block("", ""));
  if (kind == Block::Text) out += start_block(text_block(""));
  return out;
}

std::string AnthropicFormatter::thought_event(const std::string& text) {
  std::string out = go_to(Block::Thinking);
  thought_ += text;
  if (options_.hides_thoughts) return out;
  return out + block_delta(text_delta("thinking_delta", "thinking", text));
}

std::string AnthropicFormatter::text_event(const std::string& text) {
  std::string out = go_to(Block::Text);
  return out + block_delta(text_delta("text_delta", "text", text));
}

// A call is one block with all of its input at once, so that one that is cut is never seen.
std::string AnthropicFormatter::call_event(const ToolCall& call) {
  std::string out = go_to(Block::None);
  out += start_block(call_block(call, JsonValue::object()));
  out += block_delta(text_delta("input_json_delta", "partial_json", to_json_text(call.arguments)));
  return out + stop_block();
}

std::string AnthropicFormatter::event(const ChatDelta& delta) {
  using Type = ChatEvent::Type;
  const ChatEvent& event = delta.event;
  switch (event.type) {
    case Type::Thought: return event.text.empty() ? "" : thought_event(event.text);
    case Type::Text:
    case Type::Malformed: return event.text.empty() ? "" : text_event(event.text);
    case Type::Call: return call_event(event.call);
    case Type::CallStarted:
    case Type::CallArguments:
    case Type::Finish: break;
  }
  return "";
}

std::string AnthropicFormatter::end(int, const CandidateEnd& end, const std::vector<DrawnToken>&) {
  end_ = end;
  return go_to(Block::None);
}

std::string AnthropicFormatter::finish(const AnswerFacts& facts) {
  auto data = typed("message_delta");
  data.set("delta", JsonValue::object({{"stop_reason", text(stop_reason(end_))},
                                       {"stop_sequence", stop_sequence(end_)}}));
  data.set("usage", usage_json(facts, end_.usage.total()));
  return event_text(data) + event_text(typed("message_stop"));
}

std::string AnthropicFormatter::error(const Error& error) {
  const auto reply = error_reply(Dialect::Anthropic, error, options_.request_id);
  return fmt::format("event: error\ndata: {}\n\n", reply.body);
}

std::string AnthropicFormatter::keep_alive() { return event_text(typed("ping")); }

// ---- whole ----

std::string AnthropicFormatter::whole(const AnswerFacts& facts,
                                      const std::vector<Candidate>& candidates) {
  const Candidate candidate = candidates.empty() ? Candidate() : candidates.front();
  auto content = JsonValue::array();
  for (const auto& piece : candidate.pieces) {
    using Kind = AnswerPiece::Kind;
    switch (piece.kind) {
      case Kind::Thought:
        content.items.push_back(
            thinking_block(options_.hides_thoughts ? "" : piece.text, signature(piece.text)));
        break;
      case Kind::Text:
      case Kind::Malformed: add_text(content, piece.text); break;
      case Kind::Call: content.items.push_back(call_block(piece.call, piece.call.arguments)); break;
    }
  }
  auto body = message(facts);
  body.set("content", std::move(content));
  body.set("stop_reason", text(stop_reason(candidate.end)));
  body.set("stop_sequence", stop_sequence(candidate.end));
  body.set("usage", usage_json(facts, candidate.end.usage.total()));
  return to_json_text(body);
}

}  // namespace fourfold
