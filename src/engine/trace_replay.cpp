#include "engine/trace_replay.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "chat/output_rules.h"
#include "grammar/constraint.h"

namespace fourfold {
namespace {

// An answer that was cut off by its client says nothing about how it would have gone on.
bool was_cut(const TraceCandidate& candidate) {
  return !candidate.has_ended || candidate.end.finish == ChatFinish::Cancelled;
}

std::int64_t longest_answer(const Trace& trace) {
  std::int64_t longest = 0;
  for (const auto& candidate : trace.candidates) {
    longest = std::max(longest, static_cast<std::int64_t>(candidate.tokens.size()));
  }
  return longest;
}

std::int64_t limit_of(const Trace& trace) {
  if (!std::ranges::all_of(trace.candidates, was_cut)) return trace.max_tokens;
  return std::clamp<std::int64_t>(longest_answer(trace), 1,
                                  std::max<std::int64_t>(1, trace.max_tokens));
}

Result<OutputMachineOptions> rules_of(const Trace& trace, const Tokenizer& tokenizer) {
  Conversation asked = trace.rules;
  asked.stop = trace.stop;
  asked.thinking.on = trace.thinks;
  ConstraintFactory constraints(tokenizer);
  auto rules = TRY(output_rules(asked, constraints, {.enforce = trace.enforce}));
  rules.thought_is_open = trace.prompt.thought_is_open;
  rules.thought_budget = trace.thought_budget;
  return rules;
}

Status check_ids(const Trace& trace, const Tokenizer& tokenizer) {
  if (trace.prompt.ids.empty()) return data_loss("the trace has no prompt");
  for (const TokenId id : trace.prompt.ids) {
    if (!tokenizer.is_valid(id)) {
      return failed_precondition("token {} of the prompt is none of this model's ({} pieces)", id,
                                 tokenizer.vocab_size());
    }
  }
  return {};
}

Result<MediaSource> look_again(const TraceMedium& medium, const Trace& trace,
                               const ChatService& service) {
  if (!medium.is_kept()) {
    return failed_precondition(
        "{}: the trace does not have its {} bytes (expected at most {} MiB of media in a prompt)",
        medium.part.where, medium.size_bytes, kMostTraceMediaBytes >> 20);
  }
  MediaLook look = TRY(service.engine().media().look_at(medium.part, {.context = trace.context}));
  return std::move(look.source);
}

// Each block of the prompt gets the rows that the media of the trace become now.
Status find_rows(const Trace& trace, const ChatService& service, PreparedChat& prepared) {
  std::vector<std::shared_ptr<SoftRows>> rows;
  for (const auto& medium : trace.media) {
    auto source = TRY(look_again(medium, trace, service));
    for (const auto& block : source.blocks) rows.push_back(block.rows);
    prepared.media_sources.push_back(std::move(source));
  }
  auto& soft = prepared.prompt.soft;
  if (rows.size() != soft.size()) {
    return failed_precondition("the media become {} blocks, the prompt has {}", rows.size(),
                               soft.size());
  }
  for (std::size_t i = 0; i < rows.size(); ++i) {
    if (rows[i]->n_rows != soft[i].rows->n_rows) {
      return failed_precondition("block {} of the media has {} rows, in the prompt {}", i,
                                 rows[i]->n_rows, soft[i].rows->n_rows);
    }
    soft[i].rows = rows[i];
  }
  return {};
}

Result<PreparedChat> prepared_again(const Trace& trace, const ChatService& service) {
  TRY(check_ids(trace, service.tokenizer()));
  const auto needed = static_cast<std::int64_t>(trace.prompt.ids.size()) + longest_answer(trace);
  if (needed > service.context()) {
    return resource_exhausted("the trace needs a context of {} tokens, not {} (--context)", needed,
                              service.context());
  }
  PreparedChat prepared;
  prepared.prompt = trace.prompt;
  TRY(find_rows(trace, service, prepared));
  prepared.is_raw = trace.is_raw;
  prepared.hide_control = trace.hide_control;
  prepared.thinks = trace.thinks;
  prepared.sampling = trace.sampling;
  prepared.max_tokens = limit_of(trace);
  prepared.limit_is_context = trace.limit_is_context;
  prepared.n_candidates = static_cast<int>(trace.candidates.size());
  prepared.stop = trace.stop;
  prepared.stop_ids = trace.stop_ids;
  if (!trace.is_raw) prepared.rules = TRY(rules_of(trace, service.tokenizer()));
  describe_tokens(prepared);
  return prepared;
}

// How many tokens of both can be compared: what follows where a client left is unknown.
std::size_t n_comparable(const TraceCandidate& a, const TraceCandidate& b) {
  std::size_t most = std::max(a.tokens.size(), b.tokens.size());
  if (was_cut(a)) most = std::min(most, a.tokens.size());
  if (was_cut(b)) most = std::min(most, b.tokens.size());
  return most;
}

std::optional<TraceDifference> first_difference(const TraceCandidate& a, const TraceCandidate& b,
                                                int candidate) {
  for (std::size_t i = 0; i < n_comparable(a, b); ++i) {
    const DrawnToken* one = i < a.tokens.size() ? &a.tokens[i] : nullptr;
    const DrawnToken* other = i < b.tokens.size() ? &b.tokens[i] : nullptr;
    if (one && other && one->token.id == other->token.id) continue;
    return TraceDifference{candidate, static_cast<std::int64_t>(i), one, other};
  }
  return std::nullopt;
}

}  // namespace

Result<Trace> replay(const Trace& trace, ChatService& service) {
  auto prepared = TRY(prepared_again(trace, service));
  Trace again = begin_trace(service.engine(), nullptr, prepared);
  again.films = trace.films;
  again.rules = trace.rules;
  again.enforce = trace.enforce;
  const auto stream = TRY(service.start(std::move(prepared), {}));
  TRY(stream->wait_started());
  while (auto delta = stream->next()) again.add(*delta, *stream);
  TRY(stream->status());
  again.cached_tokens = stream->cached_tokens();
  return again;
}

std::optional<TraceDifference> first_difference(const Trace& a, const Trace& b) {
  static const TraceCandidate kNone{.tokens = {}, .events = {}, .end = {}, .has_ended = true};
  const std::size_t n = std::max(a.candidates.size(), b.candidates.size());
  for (std::size_t i = 0; i < n; ++i) {
    const TraceCandidate& one = i < a.candidates.size() ? a.candidates[i] : kNone;
    const TraceCandidate& other = i < b.candidates.size() ? b.candidates[i] : kNone;
    if (auto difference = first_difference(one, other, static_cast<int>(i))) return difference;
  }
  return std::nullopt;
}

double largest_logprob_distance(const Trace& a, const Trace& b) {
  double largest = 0.0;
  for (std::size_t i = 0; i < std::min(a.candidates.size(), b.candidates.size()); ++i) {
    const auto& one = a.candidates[i].tokens;
    const auto& other = b.candidates[i].tokens;
    for (std::size_t t = 0; t < std::min(one.size(), other.size()); ++t) {
      if (one[t].token.id != other[t].token.id) return largest;
      const double distance = std::abs(one[t].token.logprob - other[t].token.logprob);
      if (distance > largest) largest = distance;
    }
  }
  return largest;
}

std::optional<float> find_logprob(const DrawnToken& token, TokenId id) {
  if (token.token.id == id) return token.token.logprob;
  const auto& top = token.token.top_logprobs;
  const auto found = std::ranges::find(top, id, &TokenLogprob::id);
  return found == top.end() ? std::nullopt : std::optional(found->logprob);
}

}  // namespace fourfold
