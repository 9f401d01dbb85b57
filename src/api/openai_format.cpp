#include "api/openai_format.h"

#include <algorithm>
#include <utility>

#include "api/error_reply.h"
#include "api/identifiers.h"
#include "api/modalities.h"
#include "api/openai_json.h"
#include "api/openai_logprobs.h"

namespace fourfold {
namespace {

JsonValue or_null(std::vector<JsonValue> entries) {
  if (entries.empty()) return JsonValue::null();
  return JsonValue::object(
      {{"content", JsonValue::array(std::move(entries))}, {"refusal", JsonValue::null()}});
}

double per_second(double n, double ms) { return ms > 0.0 ? n * 1000.0 / ms : 0.0; }

}  // namespace

std::string system_fingerprint() { return "b" FOURFOLD_VERSION; }

std::string data_event(const JsonValue& value) { return "data: " + to_json_text(value) + "\n\n"; }

bool shows_malformed(const CandidateEnd& end, bool has_said) {
  return !has_said && end.finish != ChatFinish::Length && end.finish != ChatFinish::Cancelled;
}

JsonValue openai_usage(const AnswerFacts& facts, const std::vector<const CandidateEnd*>& ends) {
  std::int64_t completion = 0, thoughts = 0;
  for (const auto* end : ends) {
    completion += end->usage.total();
    thoughts += end->usage.thought_tokens;
  }
  const JsonValue zero = json_number(0);
  auto prompt_details =
      JsonValue::object({{"cached_tokens", json_number(facts.cached_tokens)},
                         {"audio_tokens", json_number(facts.prompt_media.audio)}});
  add_openai_token_details(facts.prompt_tokens, facts.prompt_media, prompt_details);
  return JsonValue::object(
      {{"prompt_tokens", json_number(facts.prompt_tokens)},
       {"completion_tokens", json_number(completion)},
       {"total_tokens", json_number(facts.prompt_tokens + completion)},
       {"prompt_tokens_details", std::move(prompt_details)},
       {"completion_tokens_details", JsonValue::object({{"reasoning_tokens", json_number(thoughts)},
                                                        {"audio_tokens", zero},
                                                        {"accepted_prediction_tokens", zero},
                                                        {"rejected_prediction_tokens", zero}})}});
}

JsonValue openai_timings(const AnswerFacts& facts, const std::vector<const CandidateEnd*>& ends) {
  const auto prompt_n = facts.prompt_tokens - facts.cached_tokens;
  std::int64_t predicted_n = 0;
  double prompt_ms = 0.0, predicted_ms = 0.0;
  for (const auto* end : ends) {
    predicted_n += end->usage.total();
    prompt_ms = std::max(prompt_ms, end->prefill_ms);
    predicted_ms = std::max(predicted_ms, end->decode_ms);
  }
  return JsonValue::object(
      {{"cache_n", json_number(facts.cached_tokens)},
       {"prompt_n", json_number(prompt_n)},
       {"prompt_ms", json_rounded(prompt_ms)},
       {"prompt_per_second", json_rounded(per_second(static_cast<double>(prompt_n), prompt_ms))},
       {"predicted_n", json_number(predicted_n)},
       {"predicted_ms", json_rounded(predicted_ms)},
       {"predicted_per_second",
        json_rounded(per_second(static_cast<double>(predicted_n), predicted_ms))}});
}

OpenAiChatFormatter::OpenAiChatFormatter(OpenAiChatFormat format)
    : format_(std::move(format)), id_(random_id("chatcmpl-")) {}

JsonValue OpenAiChatFormatter::head(const AnswerFacts& facts, std::string_view object) const {
  return JsonValue::object({{"id", JsonValue::of(id_)},
                            {"object", json_text(object)},
                            {"created", json_number(facts.created_s)},
                            {"model", JsonValue::of(facts.requested_model)},
                            {"system_fingerprint", JsonValue::of(system_fingerprint())}});
}

bool OpenAiChatFormatter::shows_thoughts() const {
  return thinks_ && format_.style.shows_thoughts && format_.reasoning_field != "none";
}

void OpenAiChatFormatter::add_thought(JsonValue& object, const std::string& text) const {
  if (!shows_thoughts() || text.empty()) return;
  const bool both = format_.reasoning_field == "both";
  for (const auto* name : {"reasoning_content", "reasoning"}) {
    if (both || format_.reasoning_field == name) object.set(name, JsonValue::of(text));
  }
}

JsonValue OpenAiChatFormatter::signature(const std::string& thought) const {
  if (!format_.sealer || !thinks_ || thought.empty()) return JsonValue::null();
  auto sealed = format_.sealer->seal(thought);
  if (!sealed) return JsonValue::null();
  return JsonValue::object(
      {{"google", JsonValue::object({{"thought_signature", JsonValue::of(std::move(*sealed))}})}});
}

JsonValue OpenAiChatFormatter::call_json(const ToolCall& call, const std::string& id) const {
  const ClientTool* tool = format_.style.tool_names.find(call.name);
  if (tool && tool->is_custom) {
    return JsonValue::object(
        {{"id", JsonValue::of(id)},
         {"type", JsonValue::of("custom")},
         {"custom", JsonValue::object({{"name", JsonValue::of(call.name)},
                                       {"input", JsonValue::of(custom_input(call.arguments))}})}});
  }
  return JsonValue::object(
      {{"id", JsonValue::of(id)},
       {"type", JsonValue::of("function")},
       {"function",
        JsonValue::object({{"name", JsonValue::of(call.name)},
                           {"arguments", JsonValue::of(to_json_text(call.arguments))}})}});
}

std::string OpenAiChatFormatter::finish_reason(const CandidateEnd& end, bool has_calls) const {
  switch (end.finish) {
    case ChatFinish::Length:
    case ChatFinish::Loop: return "length";
    case ChatFinish::ToolCalls:
      if (!has_calls) return "stop";
      return format_.style.is_legacy ? "function_call" : "tool_calls";
    case ChatFinish::Stop:
    case ChatFinish::Cancelled: break;
  }
  return "stop";
}

// ---- whole ----

JsonValue OpenAiChatFormatter::message(const Candidate& candidate) const {
  std::string text = candidate.text();
  const auto calls = candidate.calls();
  if (shows_malformed(candidate.end, !text.empty() || !calls.empty())) {
    for (const auto& piece : candidate.pieces) {
      if (piece.kind == AnswerPiece::Kind::Malformed) text += piece.text;
    }
  }
  const bool only_calls = text.empty() && !calls.empty();
  JsonValue message = JsonValue::object(
      {{"role", JsonValue::of("assistant")},
       {"content", only_calls ? JsonValue::null() : JsonValue::of(std::move(text))},
       {"refusal", JsonValue::null()},
       {"annotations", JsonValue::array()}});
  add_thought(message, candidate.thought());
  if (calls.empty()) return message;
  if (format_.style.is_legacy) {
    message.set("function_call", *call_json(calls.front(), "").find("function"));
    return message;
  }
  JsonValue list = JsonValue::array();
  for (const auto& call : calls) list.items.push_back(call_json(call, random_id("call_")));
  JsonValue sealed = signature(candidate.thought());
  if (!sealed.is_null()) list.items.front().set("extra_content", std::move(sealed));
  message.set("tool_calls", std::move(list));
  return message;
}

JsonValue OpenAiChatFormatter::choice(int index, const AnswerFacts& facts,
                                      const Candidate& candidate) const {
  JsonValue logprobs = JsonValue::null();
  if (format_.style.has_logprobs && facts.tokenizer) {
    logprobs = JsonValue::object(
        {{"content",
          JsonValue::array(logprob_entries(*facts.tokenizer, candidate.tokens, shows_thoughts()))},
         {"refusal", JsonValue::null()}});
  }
  const bool has_calls = !candidate.calls().empty();
  return JsonValue::object(
      {{"index", json_number(index)},
       {"message", message(candidate)},
       {"logprobs", std::move(logprobs)},
       {"finish_reason", JsonValue::of(finish_reason(candidate.end, has_calls))}});
}

std::string OpenAiChatFormatter::whole(const AnswerFacts& facts,
                                       const std::vector<Candidate>& candidates) {
  thinks_ = facts.thinks;
  JsonValue choices = JsonValue::array();
  std::vector<const CandidateEnd*> ends;
  for (std::size_t i = 0; i < candidates.size(); ++i) {
    choices.items.push_back(choice(static_cast<int>(i), facts, candidates[i]));
    ends.push_back(&candidates[i].end);
  }
  JsonValue body = head(facts, "chat.completion");
  body.set("choices", std::move(choices));
  body.set("usage", openai_usage(facts, ends));
  body.set("timings", openai_timings(facts, ends));
  return to_json_text(body);
}

// ---- stream ----

std::string OpenAiChatFormatter::chunk_of(JsonValue choices) const {
  JsonValue chunk = head_;
  chunk.set("choices", std::move(choices));
  return data_event(chunk);
}

std::string OpenAiChatFormatter::chunk(int index, JsonValue delta, JsonValue finish_reason) {
  auto& pending = states_[static_cast<std::size_t>(index)].logprobs;
  JsonValue logprobs = or_null(std::exchange(pending, {}));
  return chunk_of(
      JsonValue::array({JsonValue::object({{"index", json_number(index)},
                                           {"delta", std::move(delta)},
                                           {"logprobs", std::move(logprobs)},
                                           {"finish_reason", std::move(finish_reason)}})}));
}

void OpenAiChatFormatter::take_tokens(State& state, const std::vector<DrawnToken>& tokens) const {
  if (!format_.style.has_logprobs || !tokenizer_) return;
  auto entries = logprob_entries(*tokenizer_, tokens, shows_thoughts());
  std::move(entries.begin(), entries.end(), std::back_inserter(state.logprobs));
}

std::string OpenAiChatFormatter::begin(const AnswerFacts& facts) {
  head_ = head(facts, "chat.completion.chunk");
  tokenizer_ = facts.tokenizer;
  thinks_ = facts.thinks;
  states_.resize(static_cast<std::size_t>(facts.n_candidates));
  std::string out;
  for (int i = 0; i < facts.n_candidates; ++i) {
    out += chunk(i, JsonValue::object(
                        {{"role", JsonValue::of("assistant")}, {"content", JsonValue::of("")}}));
  }
  return out;
}

std::string OpenAiChatFormatter::event(const ChatDelta& delta) {
  using Type = ChatEvent::Type;
  State& state = states_[static_cast<std::size_t>(delta.candidate)];
  take_tokens(state, delta.tokens);
  const ChatEvent& event = delta.event;
  switch (event.type) {
    case Type::Thought: {
      state.thought += event.text;
      JsonValue object = JsonValue::object();
      add_thought(object, event.text);
      return object.members.empty() ? "" : chunk(delta.candidate, std::move(object));
    }
    case Type::Text:
      if (event.text.empty()) return "";
      state.has_said = true;
      return chunk(delta.candidate, JsonValue::object({{"content", JsonValue::of(event.text)}}));
    case Type::Call: return call_chunks(delta.candidate, state, event.call);
    case Type::Malformed: state.malformed += event.text; return "";
    case Type::CallStarted:
    case Type::CallArguments:  // a call is said when it is whole
    case Type::Finish: break;
  }
  return "";
}

// Clients add fragments up, so the id, the type and the name are in the first one only.
std::string OpenAiChatFormatter::call_chunks(int index, State& state, const ToolCall& call) {
  if (format_.style.is_legacy) return legacy_call_chunk(index, state, call);
  state.has_said = true;
  const int number = state.n_calls++;
  JsonValue first = call_json(call, random_id("call_"));
  const bool is_custom = first.find("custom") != nullptr;
  const auto* body_name = is_custom ? "custom" : "function";
  const auto* text_name = is_custom ? "input" : "arguments";
  JsonValue rest = *first.find(body_name);
  rest.erase("name");
  first.find(body_name)->set(text_name, JsonValue::of(""));
  first.members.insert(first.members.begin(), {"index", json_number(number)});
  if (number == 0) {
    JsonValue sealed = signature(state.thought);
    if (!sealed.is_null()) first.set("extra_content", std::move(sealed));
  }
  const auto calls = [&](JsonValue fragment) {
    return chunk(index,
                 JsonValue::object({{"tool_calls", JsonValue::array({std::move(fragment)})}}));
  };
  const std::string opening = calls(std::move(first));
  return opening +
         calls(JsonValue::object({{"index", json_number(number)}, {body_name, std::move(rest)}}));
}

std::string OpenAiChatFormatter::legacy_call_chunk(int index, State& state, const ToolCall& call) {
  if (state.n_calls++ > 0) return "";  // there is no place for a second one
  state.has_said = true;
  JsonValue json = call_json(call, "");
  return chunk(index, JsonValue::object({{"function_call", *json.find("function")}}));
}

std::string OpenAiChatFormatter::end(int candidate, const CandidateEnd& end,
                                     const std::vector<DrawnToken>& tokens) {
  State& state = states_[static_cast<std::size_t>(candidate)];
  take_tokens(state, tokens);
  state.end = end;
  std::string out;
  if (!state.malformed.empty() && shows_malformed(end, state.has_said)) {
    out += chunk(candidate, JsonValue::object({{"content", JsonValue::of(state.malformed)}}));
  }
  return out + chunk(candidate, JsonValue::object(),
                     JsonValue::of(finish_reason(end, state.n_calls > 0)));
}

std::string OpenAiChatFormatter::finish(const AnswerFacts& facts) {
  std::vector<const CandidateEnd*> ends;
  for (const auto& state : states_) ends.push_back(&state.end);
  std::string out;
  if (format_.style.include_usage) {
    JsonValue last = head_;
    last.set("choices", JsonValue::array());
    last.set("usage", openai_usage(facts, ends));
    last.set("timings", openai_timings(facts, ends));
    out = data_event(last);
  }
  return out + "data: [DONE]\n\n";
}

std::string OpenAiChatFormatter::error(const Error& error) {
  return "data: " + error_reply(Dialect::OpenAI, error, format_.request_id).body + "\n\n";
}

}  // namespace fourfold
