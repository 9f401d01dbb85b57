#include "api/ollama_format.h"

#include <chrono>
#include <cmath>
#include <utility>

#include "api/error_reply.h"
#include "api/identifiers.h"
#include "api/json_number.h"
#include "tokenizer/detokenizer.h"

namespace fourfold {
namespace {

JsonValue nanoseconds(double ms) { return json_number(std::llround(ms * 1e6)); }

// JSON has no infinity.
JsonValue logprob_number(float value) {
  return JsonValue::number(std::isfinite(value) ? fmt::format("{}", value) : "-9999.0");
}

JsonValue token_json(const Tokenizer& tokenizer, TokenId id, float logprob) {
  const TokenId ids[] = {id};
  auto bytes = JsonValue::array();
  for (const char c : tokenizer.bytes(id)) {
    bytes.items.push_back(json_number(int{static_cast<unsigned char>(c)}));
  }
  return JsonValue::object({{"token", JsonValue::of(decode(tokenizer, ids))},
                            {"logprob", logprob_number(logprob)},
                            {"bytes", std::move(bytes)}});
}

const char* done_reason(const CandidateEnd& end) {
  const bool is_cut = end.finish == ChatFinish::Length || end.finish == ChatFinish::Loop;
  return is_cut ? "length" : "stop";
}

std::string text_line(const JsonValue& object) { return to_json_text(object) + "\n"; }

}  // namespace

std::int64_t unix_time_ns() {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return std::chrono::duration_cast<std::chrono::nanoseconds>(now).count();
}

JsonValue OllamaFormatter::opening() const {
  return JsonValue::object({{"model", JsonValue::of(model_)},
                            {"created_at", JsonValue::of(rfc3339_ns(options_.now_ns()))}});
}

JsonValue OllamaFormatter::call_json(const ToolCall& call, int index) const {
  auto function = JsonValue::object({{"index", json_number(index)},
                                     {"name", JsonValue::of(call.name)},
                                     {"arguments", call.arguments}});
  auto id = call.id.empty() ? random_id("call_") : call.id;
  return JsonValue::object(
      {{"id", JsonValue::of(std::move(id))}, {"function", std::move(function)}});
}

void OllamaFormatter::add_said(JsonValue& object, const Said& said) const {
  auto message = JsonValue::object();
  JsonValue& target = options_.is_generate ? object : message;
  if (!options_.is_generate) target.set("role", JsonValue::of("assistant"));
  target.set(options_.is_generate ? "response" : "content", JsonValue::of(said.content));
  if (!said.thinking.empty()) target.set("thinking", JsonValue::of(said.thinking));
  if (!said.calls.empty()) target.set("tool_calls", JsonValue::array(said.calls));
  if (!options_.is_generate) object.set("message", std::move(message));
}

void OllamaFormatter::add_logprobs(JsonValue& object, const std::vector<DrawnToken>& tokens) const {
  if (!options_.has_logprobs || !tokenizer_) return;
  auto list = JsonValue::array();
  for (const auto& [token, channel] : tokens) {
    if (!tokenizer_->is_valid(token.id) || tokenizer_->is_control(token.id)) continue;
    auto entry = token_json(*tokenizer_, token.id, token.logprob);
    auto top = JsonValue::array();
    for (const auto& [id, logprob] : token.top_logprobs) {
      if (tokenizer_->is_valid(id)) top.items.push_back(token_json(*tokenizer_, id, logprob));
    }
    if (!top.items.empty()) entry.set("top_logprobs", std::move(top));
    list.items.push_back(std::move(entry));
  }
  if (!list.items.empty()) object.set("logprobs", std::move(list));
}

JsonValue OllamaFormatter::context_json(const AnswerFacts& facts,
                                        const std::vector<DrawnToken>& tokens) const {
  auto ids = JsonValue::array();
  for (const TokenId id : facts.prompt_ids) ids.items.push_back(json_number(id));
  for (const auto& drawn : tokens) ids.items.push_back(json_number(drawn.token.id));
  return ids;
}

void OllamaFormatter::add_summary(JsonValue& object, const AnswerFacts& facts,
                                  const CandidateEnd& end) const {
  object.set("done", JsonValue::of(true));
  object.set("done_reason", JsonValue::of(done_reason(end)));
  object.set("total_duration", nanoseconds(facts.total_ms));
  object.set("load_duration", nanoseconds(facts.load_ms));
  object.set("prompt_eval_count", json_number(facts.prompt_tokens));
  object.set("prompt_eval_duration", nanoseconds(end.prefill_ms));
  object.set("eval_count", json_number(end.usage.total()));
  object.set("eval_duration", nanoseconds(end.decode_ms));
}

std::string OllamaFormatter::begin(const AnswerFacts& facts) {
  model_ = facts.requested_model;
  tokenizer_ = facts.tokenizer;
  return "";
}

std::string OllamaFormatter::line(const Said& said) {
  auto object = opening();
  add_said(object, said);
  object.set("done", JsonValue::of(false));
  add_logprobs(object, std::exchange(waiting_, {}));
  return text_line(object);
}

std::string OllamaFormatter::event(const ChatDelta& delta) {
  using Type = ChatEvent::Type;
  waiting_.insert(waiting_.end(), delta.tokens.begin(), delta.tokens.end());
  if (options_.has_context) {
    tokens_.insert(tokens_.end(), delta.tokens.begin(), delta.tokens.end());
  }
  const ChatEvent& event = delta.event;
  Said said;
  switch (event.type) {
    case Type::Thought: said.thinking = event.text; break;
    case Type::Text:
    case Type::Malformed: said.content = event.text; break;
    case Type::Call: said.calls = {call_json(event.call, event.call_index)}; break;
    case Type::CallStarted:  // calls are whole objects, so that one that is cut is never seen
    case Type::CallArguments:
    case Type::Finish: return "";
  }
  if (said.content.empty() && said.thinking.empty() && said.calls.empty()) return "";
  return line(said);
}

std::string OllamaFormatter::end(int, const CandidateEnd& end,
                                 const std::vector<DrawnToken>& tokens) {
  waiting_.insert(waiting_.end(), tokens.begin(), tokens.end());
  if (options_.has_context) tokens_.insert(tokens_.end(), tokens.begin(), tokens.end());
  end_ = end;
  return "";
}

std::string OllamaFormatter::finish(const AnswerFacts& facts) {
  auto object = opening();
  add_said(object, {});
  add_summary(object, facts, end_);
  if (options_.has_context) object.set("context", context_json(facts, tokens_));
  add_logprobs(object, std::exchange(waiting_, {}));
  return text_line(object);
}

std::string OllamaFormatter::error(const Error& error) {
  return error_reply(Dialect::Ollama, error, "").body + "\n";
}

std::string OllamaFormatter::keep_alive() {
  auto object = opening();
  add_said(object, {});
  object.set("done", JsonValue::of(false));
  return text_line(object);
}

std::string OllamaFormatter::waiting(const AnswerFacts& facts, std::string_view) {
  begin(facts);
  return keep_alive();
}

std::string OllamaFormatter::whole(const AnswerFacts& facts,
                                   const std::vector<Candidate>& candidates) {
  model_ = facts.requested_model;
  tokenizer_ = facts.tokenizer;
  const Candidate candidate = candidates.empty() ? Candidate() : candidates.front();
  Said said{.content = {}, .thinking = candidate.thought(), .calls = {}};
  for (const auto& piece : candidate.pieces) {
    using Kind = AnswerPiece::Kind;
    if (piece.kind == Kind::Text || piece.kind == Kind::Malformed) said.content += piece.text;
    if (piece.kind == Kind::Call) {
      said.calls.push_back(call_json(piece.call, static_cast<int>(said.calls.size())));
    }
  }
  auto object = opening();
  add_said(object, said);
  add_summary(object, facts, candidate.end);
  if (options_.has_context) object.set("context", context_json(facts, candidate.tokens));
  add_logprobs(object, candidate.tokens);
  return to_json_text(object);
}

JsonValue ollama_load_reply(std::string_view model, bool is_generate, std::string_view reason,
                            std::int64_t now_ns) {
  auto object = JsonValue::object({{"model", JsonValue::of(std::string(model))},
                                   {"created_at", JsonValue::of(rfc3339_ns(now_ns))}});
  if (is_generate) {
    object.set("response", JsonValue::of(""));
  } else {
    object.set("message", JsonValue::object({{"role", JsonValue::of("assistant")},
                                             {"content", JsonValue::of("")}}));
  }
  object.set("done", JsonValue::of(true));
  object.set("done_reason", JsonValue::of(std::string(reason)));
  return object;
}

}  // namespace fourfold
