#include "api/openai_completion_format.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include "api/error_reply.h"
#include "api/identifiers.h"
#include "api/openai_format.h"
#include "api/openai_json.h"
#include "api/openai_logprobs.h"
#include "tokenizer/detokenizer.h"

namespace fourfold {
namespace {

// As clients count: in code points.
std::size_t n_characters(std::string_view text) {
  return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xC0) != 0x80;
  }));
}

// Without the token that every sequence begins with.
std::span<const TokenId> shown_prompt(const AnswerFacts& facts) {
  std::span<const TokenId> ids = facts.prompt_ids;
  if (facts.tokenizer && !ids.empty() && ids.front() == facts.tokenizer->control().bos) {
    ids = ids.subspan(1);
  }
  return ids;
}

std::string prompt_text(const AnswerFacts& facts) {
  return facts.tokenizer ? decode(*facts.tokenizer, shown_prompt(facts)) : "";
}

JsonValue finish_reason(ChatFinish finish) {
  const bool is_limit = finish == ChatFinish::Length || finish == ChatFinish::Loop;
  return JsonValue::of(is_limit ? "length" : "stop");
}

double mean_logprob(const Candidate& candidate) {
  if (candidate.tokens.empty()) return 0.0;
  double sum = 0.0;
  for (const auto& drawn : candidate.tokens) sum += drawn.token.logprob;
  return sum / static_cast<double>(candidate.tokens.size());
}

}  // namespace

CompletionFormatter::CompletionFormatter(CompletionStyle style, int n_prompts,
                                         std::string request_id)
    : style_(style),
      n_prompts_(n_prompts),
      id_(random_id("cmpl-")),
      request_id_(std::move(request_id)) {}

JsonValue CompletionFormatter::head() const {
  return JsonValue::object({{"id", JsonValue::of(id_)},
                            {"object", JsonValue::of("text_completion")},
                            {"created", json_number(created_s_)},
                            {"model", JsonValue::of(model_)},
                            {"system_fingerprint", JsonValue::of(system_fingerprint())}});
}

JsonValue CompletionFormatter::choice(int index, std::string text, JsonValue logprobs,
                                      JsonValue finish) const {
  return JsonValue::object({{"text", JsonValue::of(std::move(text))},
                            {"index", json_number(index)},
                            {"logprobs", std::move(logprobs)},
                            {"finish_reason", std::move(finish)}});
}

JsonValue CompletionFormatter::usage() const {
  return JsonValue::object({{"prompt_tokens", json_number(prompt_tokens_)},
                            {"completion_tokens", json_number(completion_.total())},
                            {"total_tokens", json_number(prompt_tokens_ + completion_.total())},
                            {"prompt_tokens_details",
                             JsonValue::object({{"cached_tokens", json_number(cached_tokens_)}})}});
}

// ---- log probabilities ----

JsonValue CompletionFormatter::as_json(TokenLists lists) {
  return JsonValue::object({{"tokens", std::move(lists.tokens)},
                            {"token_logprobs", std::move(lists.logprobs)},
                            {"top_logprobs", std::move(lists.top)},
                            {"text_offset", std::move(lists.offsets)}});
}

// What the model thought of the prompt is not computed.
void CompletionFormatter::add_prompt_tokens(const AnswerFacts& facts, TokenLists& lists,
                                            std::size_t& offset) const {
  for (const TokenId id : shown_prompt(facts)) {
    const std::string text = token_text(*facts.tokenizer, id);
    lists.offsets.items.push_back(json_number(offset));
    offset += n_characters(text);
    lists.tokens.items.push_back(JsonValue::of(text));
    lists.logprobs.items.push_back(JsonValue::null());
    lists.top.items.push_back(JsonValue::null());
  }
}

void CompletionFormatter::add_tokens(const std::vector<DrawnToken>& tokens, TokenLists& lists,
                                     std::size_t& offset) const {
  for (const auto& drawn : tokens) {
    if (!has_logprob(*tokenizer_, drawn, true)) continue;
    const std::string text = token_text(*tokenizer_, drawn.token.id);
    JsonValue top = JsonValue::object();
    for (const auto& other : drawn.token.top_logprobs) {
      top.set(token_text(*tokenizer_, other.id), logprob_number(other.logprob));
    }
    top.set(text, logprob_number(drawn.token.logprob));
    lists.offsets.items.push_back(json_number(offset));
    offset += n_characters(text);
    lists.tokens.items.push_back(JsonValue::of(text));
    lists.logprobs.items.push_back(logprob_number(drawn.token.logprob));
    lists.top.items.push_back(std::move(top));
  }
}

JsonValue CompletionFormatter::piece_logprobs(int candidate,
                                              const std::vector<DrawnToken>& tokens) {
  if (!has_logprobs() || !tokenizer_ || tokens.empty()) return JsonValue::null();
  TokenLists lists;
  add_tokens(tokens, lists, offsets_[static_cast<std::size_t>(candidate)]);
  return as_json(std::move(lists));
}

// ---- whole ----

JsonValue CompletionFormatter::whole_choice(const AnswerFacts& facts,
                                            const Candidate& candidate) const {
  std::string text = style_.echo ? prompt_text(facts) : "";
  text += candidate.text();
  JsonValue logprobs = JsonValue::null();
  if (has_logprobs() && tokenizer_) {
    TokenLists lists;
    std::size_t offset = 0;
    if (style_.echo) add_prompt_tokens(facts, lists, offset);
    add_tokens(candidate.tokens, lists, offset);
    logprobs = as_json(std::move(lists));
  }
  const int index = static_cast<int>(choices_.items.size());
  return choice(index, std::move(text), std::move(logprobs), finish_reason(candidate.end.finish));
}

void CompletionFormatter::add(const AnswerFacts& facts, const std::vector<Candidate>& candidates) {
  model_ = facts.requested_model;
  created_s_ = facts.created_s;
  tokenizer_ = facts.tokenizer;
  std::vector<std::size_t> order(candidates.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  const auto n_shown = static_cast<std::size_t>(style_.n_shown);
  if (candidates.size() > n_shown) {
    std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
      return mean_logprob(candidates[a]) > mean_logprob(candidates[b]);
    });
    order.resize(n_shown);
  }
  for (const std::size_t i : order) choices_.items.push_back(whole_choice(facts, candidates[i]));
  prompt_tokens_ += facts.prompt_tokens;
  cached_tokens_ += facts.cached_tokens;
  for (const auto& candidate : candidates) {
    completion_.answer_tokens += candidate.end.usage.total();
  }
}

std::string CompletionFormatter::body() const {
  JsonValue out = head();
  out.set("choices", choices_);
  out.set("usage", usage());
  return to_json_text(out);
}

std::string CompletionFormatter::whole(const AnswerFacts& facts,
                                       const std::vector<Candidate>& candidates) {
  add(facts, candidates);
  return body();
}

// ---- stream ----

std::string CompletionFormatter::chunk(JsonValue choices) const {
  JsonValue out = head();
  out.set("choices", std::move(choices));
  return data_event(out);
}

std::string CompletionFormatter::begin(const AnswerFacts& facts) {
  model_ = facts.requested_model;
  if (created_s_ == 0) created_s_ = facts.created_s;
  tokenizer_ = facts.tokenizer;
  offsets_.assign(static_cast<std::size_t>(facts.n_candidates), 0);
  if (!style_.echo) return "";
  const std::string text = prompt_text(facts);
  std::string out;
  for (int i = 0; i < facts.n_candidates; ++i) {
    JsonValue logprobs = JsonValue::null();
    if (has_logprobs() && tokenizer_) {
      TokenLists lists;
      add_prompt_tokens(facts, lists, offsets_[static_cast<std::size_t>(i)]);
      logprobs = as_json(std::move(lists));
    }
    out += chunk(
        JsonValue::array({choice(first_index_ + i, text, std::move(logprobs), JsonValue::null())}));
  }
  return out;
}

std::string CompletionFormatter::event(const ChatDelta& delta) {
  if (delta.event.type != ChatEvent::Type::Text) return "";
  return chunk(
      JsonValue::array({choice(first_index_ + delta.candidate, delta.event.text,
                               piece_logprobs(delta.candidate, delta.tokens), JsonValue::null())}));
}

std::string CompletionFormatter::end(int candidate, const CandidateEnd& end,
                                     const std::vector<DrawnToken>& tokens) {
  completion_.answer_tokens += end.usage.total();
  return chunk(
      JsonValue::array({choice(first_index_ + candidate, "", piece_logprobs(candidate, tokens),
                               finish_reason(end.finish))}));
}

std::string CompletionFormatter::finish(const AnswerFacts& facts) {
  first_index_ += facts.n_candidates;
  prompt_tokens_ += facts.prompt_tokens;
  cached_tokens_ += facts.cached_tokens;
  if (++n_finished_ < n_prompts_) return "";
  std::string out;
  if (style_.include_usage) {
    JsonValue last = head();
    last.set("choices", JsonValue::array());
    last.set("usage", usage());
    out = data_event(last);
  }
  return out + "data: [DONE]\n\n";
}

std::string CompletionFormatter::error(const Error& error) {
  return "data: " + error_reply(Dialect::OpenAI, error, request_id_).body + "\n\n";
}

}  // namespace fourfold
