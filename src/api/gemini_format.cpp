#include "api/gemini_format.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "api/error_reply.h"
#include "api/identifiers.h"
#include "api/json_number.h"
#include "api/modalities.h"
#include "tokenizer/detokenizer.h"

namespace fourfold {
namespace {

JsonValue text(std::string_view value) { return JsonValue::of(std::string(value)); }

JsonValue text_part(std::string value, bool is_thought = false) {
  auto part = JsonValue::object({{"text", JsonValue::of(std::move(value))}});
  if (is_thought) part.set("thought", JsonValue::of(true));
  return part;
}

bool is_text(const JsonValue& part) {
  return part.find("text") != nullptr && part.find("thought") == nullptr;
}

// JSON has no infinity.
double finite(float logprob) { return std::isfinite(logprob) ? logprob : -9999.0; }

JsonValue token_json(const Tokenizer& tokenizer, TokenId id, float logprob) {
  const TokenId ids[] = {id};
  return JsonValue::object({{"token", JsonValue::of(decode(tokenizer, ids))},
                            {"tokenId", json_number(id)},
                            {"logProbability", json_number(finite(logprob))}});
}

void count(Channel channel, OutputUsage& usage) {
  switch (channel) {
    case Channel::Thought: ++usage.thought_tokens; break;
    case Channel::Answer: ++usage.answer_tokens; break;
    case Channel::Call: ++usage.call_tokens; break;
  }
}

void add(OutputUsage& sum, const OutputUsage& usage) {
  sum.thought_tokens += usage.thought_tokens;
  sum.answer_tokens += usage.answer_tokens;
  sum.call_tokens += usage.call_tokens;
}

}  // namespace

std::string_view GeminiFormatter::stream_type() const {
  return options_.is_sse ? "text/event-stream" : "application/json; charset=UTF-8";
}

// ---- what an answer consists of ----

bool GeminiFormatter::is_declared(std::string_view name) const {
  return std::ranges::find(options_.declared_tools, name) != options_.declared_tools.end();
}

std::string GeminiFormatter::signature(Progress& progress) const {
  if (!options_.sealer || progress.is_signed || progress.thought.empty()) return "";
  progress.is_signed = true;
  return options_.sealer->seal(progress.thought).value_or("");
}

JsonValue GeminiFormatter::call_part(const ToolCall& call, Progress& progress) const {
  progress.has_call = true;
  if (!is_declared(call.name)) progress.has_undeclared_call = true;
  auto part = JsonValue::object(
      {{"functionCall",
        JsonValue::object({{"id", text(call.id.empty() ? random_lower_id("") : call.id)},
                           {"name", text(call.name)},
                           {"args", call.arguments}})}});
  const auto sealed = signature(progress);
  if (!sealed.empty()) part.set("thoughtSignature", text(sealed));
  return part;
}

std::string_view GeminiFormatter::finish_reason(const CandidateEnd& end,
                                                const Progress& progress) const {
  switch (end.finish) {
    case ChatFinish::Length: return "MAX_TOKENS";
    case ChatFinish::Loop:
    case ChatFinish::Cancelled: return "OTHER";
    case ChatFinish::Stop:
    case ChatFinish::ToolCalls: break;
  }
  if (progress.has_malformed && !progress.has_call) return "MALFORMED_FUNCTION_CALL";
  return progress.has_undeclared_call ? "UNEXPECTED_TOOL_CALL" : "STOP";
}

JsonValue GeminiFormatter::final_part(Progress& progress) const {
  auto part = text_part("");
  const auto sealed = signature(progress);
  if (!sealed.empty()) part.set("thoughtSignature", text(sealed));
  return part;
}

std::vector<JsonValue> GeminiFormatter::parts_of(const Candidate& candidate,
                                                 Progress& progress) const {
  using Kind = AnswerPiece::Kind;
  std::vector<JsonValue> parts;
  progress.thought = candidate.thought();
  if (options_.include_thoughts && !progress.thought.empty()) {
    parts.push_back(text_part(progress.thought, true));
  }
  for (const auto& piece : candidate.pieces) {
    switch (piece.kind) {
      case Kind::Thought: break;
      case Kind::Text: parts.push_back(text_part(piece.text)); break;
      case Kind::Call: parts.push_back(call_part(piece.call, progress)); break;
      case Kind::Malformed: progress.has_malformed = true; break;
    }
  }
  const bool says_something = std::ranges::any_of(
      parts, [](const JsonValue& part) { return part.find("thought") == nullptr; });
  if (!says_something) parts.push_back(text_part(""));
  if (!progress.has_call && is_text(parts.back())) {
    const auto sealed = signature(progress);
    if (!sealed.empty()) parts.back().set("thoughtSignature", text(sealed));
  }
  return parts;
}

// ---- numbers ----

// Markers and calls have no part in it, thoughts only where they can be seen.
bool GeminiFormatter::has_logprob(const DrawnToken& drawn) const {
  if (!tokenizer_->is_valid(drawn.token.id) || tokenizer_->is_control(drawn.token.id)) return false;
  if (drawn.channel == Channel::Thought) return options_.include_thoughts;
  return drawn.channel == Channel::Answer;
}

// Of the tokens that no chunk has told of yet.
void GeminiFormatter::add_logprobs(JsonValue& candidate, Progress& progress) const {
  if (!options_.has_logprobs || !tokenizer_) return;
  auto chosen = JsonValue::array(), top = JsonValue::array();
  double sum = 0.0;
  for (const auto& drawn : std::exchange(progress.waiting, {})) {
    if (!has_logprob(drawn)) continue;
    const SampledToken& token = drawn.token;
    chosen.items.push_back(token_json(*tokenizer_, token.id, token.logprob));
    auto candidates = JsonValue::array();
    for (const auto& one : token.top_logprobs) {
      candidates.items.push_back(token_json(*tokenizer_, one.id, one.logprob));
    }
    top.items.push_back(JsonValue::object({{"candidates", std::move(candidates)}}));
    sum += finite(token.logprob);
    ++progress.n_logprobs;
  }
  progress.logprob_sum += sum;
  if (chosen.items.empty()) return;
  candidate.set("logprobsResult", JsonValue::object({{"chosenCandidates", std::move(chosen)},
                                                     {"topCandidates", std::move(top)},
                                                     {"logProbabilitySum", json_number(sum)}}));
}

JsonValue GeminiFormatter::candidate_json(int index, std::vector<JsonValue> parts) const {
  auto content =
      JsonValue::object({{"parts", JsonValue::array(std::move(parts))}, {"role", text("model")}});
  return JsonValue::object({{"content", std::move(content)}, {"index", json_number(index)}});
}

JsonValue GeminiFormatter::usage_json(const OutputUsage& usage) const {
  const std::int64_t answer = usage.answer_tokens + usage.call_tokens;
  auto json = JsonValue::object({{"promptTokenCount", json_number(prompt_tokens_)},
                                 {"candidatesTokenCount", json_number(answer)}});
  if (cached_tokens_ > 0) json.set("cachedContentTokenCount", json_number(cached_tokens_));
  if (usage.thought_tokens > 0) json.set("thoughtsTokenCount", json_number(usage.thought_tokens));
  json.set("totalTokenCount", json_number(prompt_tokens_ + usage.total()));
  json.set("promptTokensDetails", gemini_token_details(prompt_tokens_, prompt_media_));
  if (cached_tokens_ > 0) {
    json.set("cacheTokensDetails", gemini_token_details(cached_tokens_, cached_media_));
  }
  return json;
}

OutputUsage GeminiFormatter::usage_so_far() const {
  OutputUsage sum;
  for (const auto& progress : progress_) add(sum, progress.usage);
  return sum;
}

// ---- a stream ----

std::string GeminiFormatter::framed(const JsonValue& json) {
  if (options_.is_sse) return fmt::format("data: {}\r\n\r\n", to_json_text(json));
  return fmt::format("{}{}", std::exchange(is_first_, false) ? "[" : ",\n", to_json_text(json));
}

std::string GeminiFormatter::chunk(JsonValue candidate) {
  auto candidates = JsonValue::array({std::move(candidate)});
  return framed(JsonValue::object({{"candidates", std::move(candidates)},
                                   {"usageMetadata", usage_json(usage_so_far())},
                                   {"modelVersion", text(model_)},
                                   {"responseId", text(response_id_)}}));
}

std::string GeminiFormatter::begin(const AnswerFacts& facts) {
  model_ = facts.model;
  if (response_id_.empty()) response_id_ = random_id("");
  prompt_tokens_ = facts.prompt_tokens;
  cached_tokens_ = facts.cached_tokens;
  prompt_media_ = facts.prompt_media;
  cached_media_ = facts.cached_media;
  tokenizer_ = facts.tokenizer;
  progress_.assign(static_cast<std::size_t>(std::max(1, facts.n_candidates)), {});
  return "";
}

void GeminiFormatter::note(const ChatDelta& delta, Progress& progress) {
  for (const auto& token : delta.tokens) count(token.channel, progress.usage);
  if (options_.has_logprobs) {
    progress.waiting.insert(progress.waiting.end(), delta.tokens.begin(), delta.tokens.end());
  }
}

// One kind of part in a chunk, and never an empty text beside something else: some clients drop
// such chunks, and with them the turn.
std::string GeminiFormatter::event(const ChatDelta& delta) {
  using Type = ChatEvent::Type;
  Progress& progress = progress_[static_cast<std::size_t>(delta.candidate)];
  note(delta, progress);
  std::vector<JsonValue> parts;
  switch (delta.event.type) {
    case Type::Thought:
      progress.thought += delta.event.text;
      if (!options_.include_thoughts || delta.event.text.empty()) return "";
      parts.push_back(text_part(delta.event.text, true));
      break;
    case Type::Text:
      if (delta.event.text.empty()) return "";
      parts.push_back(text_part(delta.event.text));
      break;
    case Type::Call: parts.push_back(call_part(delta.event.call, progress)); break;
    case Type::Malformed: progress.has_malformed = true; return "";
    case Type::CallStarted:
    case Type::CallArguments:
    case Type::Finish: return "";
  }
  auto candidate = candidate_json(delta.candidate, std::move(parts));
  add_logprobs(candidate, progress);
  return chunk(std::move(candidate));
}

std::string GeminiFormatter::end(int index, const CandidateEnd& end,
                                 const std::vector<DrawnToken>& tokens) {
  Progress& progress = progress_[static_cast<std::size_t>(index)];
  note({.candidate = index, .event = {}, .tokens = tokens}, progress);
  progress.usage = end.usage;
  auto candidate = candidate_json(index, {final_part(progress)});
  candidate.set("finishReason", text(finish_reason(end, progress)));
  add_logprobs(candidate, progress);
  if (progress.n_logprobs > 0) {
    const double mean = progress.logprob_sum / static_cast<double>(progress.n_logprobs);
    candidate.set("avgLogprobs", json_number(mean));
  }
  return chunk(std::move(candidate));
}

std::string GeminiFormatter::finish(const AnswerFacts&) {
  if (options_.is_sse) return "";
  return is_first_ ? "[]" : "]";
}

std::string GeminiFormatter::error(const Error& error) {
  const auto body = error_reply(Dialect::Gemini, error, "").body;
  if (options_.is_sse) return fmt::format("data: {}\r\n\r\n", body);
  return fmt::format("{}{}]", is_first_ ? "[" : ",\n", body);
}

std::string GeminiFormatter::keep_alive() {
  return chunk(candidate_json(0, {text_part("", true)}));
}

std::string GeminiFormatter::waiting(const AnswerFacts& facts, std::string_view) {
  begin(facts);  // again with the rest of the facts when the answer begins
  return keep_alive();
}

// ---- the whole of it ----

std::string GeminiFormatter::whole(const AnswerFacts& facts,
                                   const std::vector<Candidate>& candidates) {
  begin(facts);
  progress_.resize(candidates.size());
  auto list = JsonValue::array();
  for (std::size_t i = 0; i < candidates.size(); ++i) {
    const Candidate& said = candidates[i];
    Progress& progress = progress_[i];
    progress.usage = said.end.usage;
    progress.waiting = said.tokens;
    auto candidate = candidate_json(static_cast<int>(i), parts_of(said, progress));
    candidate.set("finishReason", text(finish_reason(said.end, progress)));
    add_logprobs(candidate, progress);
    if (progress.n_logprobs > 0) {
      const double mean = progress.logprob_sum / static_cast<double>(progress.n_logprobs);
      candidate.set("avgLogprobs", json_number(mean));
    }
    list.items.push_back(std::move(candidate));
  }
  return to_json_text(JsonValue::object({{"candidates", std::move(list)},
                                         {"usageMetadata", usage_json(usage_so_far())},
                                         {"modelVersion", text(model_)},
                                         {"responseId", text(response_id_)}}));
}

}  // namespace fourfold
