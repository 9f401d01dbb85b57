#include "server/chat_flow.h"

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cmath>
#include <span>

#include "api/modalities.h"
#include "engine/media_seen.h"
#include "server/keys.h"
#include "server/server_log.h"
#include "server/traces.h"

namespace fourfold {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::size_t kMostSeenBytes = 1024;  // of the header x-media-seen
constexpr double kLongLookS = 10.0;           // the log says beforehand that media take longer
constexpr std::chrono::milliseconds kPatience{200};

double ms_since(Clock::time_point start) {
  return std::chrono::duration<double, std::milli>(Clock::now() - start).count();
}

// The header x-server-timeout: whole seconds, from the Google SDKs.
std::optional<Clock::time_point> deadline_of(const RequestHead& head) {
  const std::string_view text = head.header("x-server-timeout");
  int seconds = 0;
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), seconds);
  if (text.empty() || failed != std::errc() || end != text.data() + text.size() || seconds <= 0) {
    return std::nullopt;
  }
  return Clock::now() + std::chrono::seconds(seconds);
}

// What the request leaves open and the model's maker has settled (/api/create).
void add_defaults(SamplingChoice& choice, const SamplingChoice& defaults) {
  const auto fill = [](auto& value, const auto& otherwise) {
    if (!value) value = otherwise;
  };
  if (choice.max_tokens < 0) choice.max_tokens = defaults.max_tokens;
  fill(choice.temperature, defaults.temperature);
  fill(choice.top_k, defaults.top_k);
  fill(choice.top_p, defaults.top_p);
  fill(choice.min_p, defaults.min_p);
  fill(choice.repeat_penalty, defaults.repeat_penalty);
  fill(choice.repeat_last_n, defaults.repeat_last_n);
  fill(choice.presence_penalty, defaults.presence_penalty);
  fill(choice.frequency_penalty, defaults.frequency_penalty);
  fill(choice.seed, defaults.seed);
  if (choice.stop.empty()) choice.stop = defaults.stop;
  if (choice.logit_bias.empty()) choice.logit_bias = defaults.logit_bias;
}

void add_defaults(ChatRequest& chat, const ModelFacts& facts) {
  auto& messages = chat.conversation.messages;
  const auto is_system = [](const Message& message) {
    return message.role == Role::System || message.role == Role::Developer;
  };
  if (!facts.system.empty() && std::ranges::none_of(messages, is_system)) {
    messages.insert(messages.begin(), Message::of(Role::System, facts.system));
  }
  const auto behind_system = std::ranges::find_if_not(messages, is_system);
  messages.insert(behind_system, facts.messages.begin(), facts.messages.end());
  add_defaults(chat.sampling, facts.parameters);
}

Status check_key(const Call& call, const ModelFacts& facts) {
  if (!call.key() || call.key()->models.empty()) return {};
  const auto& allowed = call.key()->models;
  if (std::ranges::find(allowed, facts.id) != allowed.end()) return {};
  return Error{Code::PermissionDenied, fmt::format("this key may not use the model {}", facts.id)}
      .with({.reason = "insufficient_scope"});
}

void add(MediaTokens& all, const MediaTokens& more) {
  all.image += more.image;
  all.audio += more.audio;
  all.video += more.video;
}

std::int64_t total(const MediaTokens& tokens) { return tokens.image + tokens.audio + tokens.video; }

int silence_s(Call& call, const AnswerFormatter& formatter) {
  const int set = call.server().settings.silence_s;
  return set > 0 ? set : formatter.keep_alive_after_s();
}

// Speaks to the client of a stream while its media are encoded and its films seen, once it has
// waited in silence for long. What goes wrong after that is told within the stream.
class WaitingClient {
 public:
  WaitingClient(Call& call, AnswerFormatter& formatter, const AnswerFacts& facts)
      : call_(call),
        formatter_(formatter),
        facts_(facts),
        silence_(std::chrono::seconds(silence_s(call, formatter))) {}

  void note_progress(std::string progress) {
    progress_ = std::move(progress);
    if (call_.has_begun()) say();
  }
  void wait() {
    if (Clock::now() - said_ >= silence_) say();
  }

 private:
  void say() {
    if (!call_.has_begun()) call_.begin(formatter_.stream_type());
    const std::string bytes = formatter_.waiting(facts_, progress_);
    if (!bytes.empty()) call_.write(bytes);
    said_ = Clock::now();
  }

  Call& call_;
  AnswerFormatter& formatter_;
  const AnswerFacts& facts_;
  const Clock::duration silence_;
  std::string progress_ = "media are looked at";
  Clock::time_point said_ = Clock::now();
};

struct Prompted {
  ModelLease lease;
  PreparedChat prepared;
};

Result<Prompted> make_prompt(Call& call, ChatCall& chat) {
  for (auto& warning : chat.warnings) call.warn(std::move(warning));
  auto lease = TRY(call.server().models.acquire(
      chat.model, {.keep_alive = chat.keep_alive, .gone = call.gone()}));
  const ModelFacts& facts = lease.facts();
  call.record.model = facts.id;
  TRY(check_key(call, facts));
  PreparedChat prepared;
  if (chat.raw) {
    add_defaults(chat.raw->sampling, facts.parameters);
    prepared = TRY(lease.service().prepare(*chat.raw));
  } else {
    add_defaults(chat.chat, facts);
    const auto go_on = [&] {
      return !call.gone().stop_requested() && !chat.cancelled.stop_requested();
    };
    prepared = TRY(lease.service().prepare(chat.chat, go_on));
    call.set_media_seen(describe(prepared.media, kMostSeenBytes));
  }
  for (const auto& warning : prepared.warnings) call.warn(warning);
  if (const auto n = prepared.forgotten.n_forgotten_messages; n > 0) {
    call.warn(fmt::format("the {} oldest messages do not fit the context and are left out", n));
  }
  if (chat.adjust) chat.adjust(prepared);
  return Prompted{std::move(lease), std::move(prepared)};
}

// Follows one answer from the queue to its end, for the record and the outcome.
class AnswerRun {
 public:
  AnswerRun(Call& call, std::string requested_model, ModelLease lease, const PreparedChat& prepared)
      : call_(call), lease_(std::move(lease)) {
    AnswerFacts& facts = outcome_.facts;
    facts.requested_model = std::move(requested_model);
    facts.model = lease_.facts().id;
    facts.tokenizer = &lease_.service().tokenizer();
    const auto now = std::chrono::system_clock::now().time_since_epoch();
    facts.created_s = std::chrono::duration_cast<std::chrono::seconds>(now).count();
    facts.created_ns = std::chrono::duration_cast<std::chrono::nanoseconds>(now).count();
    facts.thinks = prepared.thinks;
    facts.n_candidates = prepared.n_candidates;
    facts.load_ms = lease_.load_ms();
    outcome_.candidates.resize(static_cast<std::size_t>(facts.n_candidates));
  }

  // Before start(), which then asks the sampler for more than the client did. `request` is null for
  // raw text.
  void keep_trace(const ChatRequest* request, PreparedChat& prepared) {
    const Traces* traces = call_.server().traces;
    if (!traces || !traces->wants(call_)) return;
    trace_ = Traces::begin(call_, lease_.facts(), lease_.service().engine(), request, prepared);
    n_logprobs_ = prepared.sampling.n_logprobs;
    describe_tokens(prepared);
  }

  // `streamed_by` is null for answers that are not written as they come.
  Status start(PreparedChat prepared, RequestOrigin origin, std::stop_token cancelled,
               AnswerFormatter* streamed_by) {
    cancelled_ = std::move(cancelled);
    std::optional<WaitingClient> client;
    if (streamed_by) client.emplace(call_, *streamed_by, outcome_.facts);
    origin.on_wait = [&] {
      if (client) client->wait();
    };
    origin.on_film_window = [&](int index, int count, double from_s, double to_s) {
      const std::string progress = fmt::format("window {} of {} of the film: {:.0f} to {:.0f} s",
                                               index + 1, count, from_s, to_s);
      call_.server().log.debug(fmt::format("{}: {}", call_.request_id(), progress));
      if (client) client->note_progress(progress);
    };
    tell_of_long_looks(prepared);
    stream_ = TRY(lease_.service().start(std::move(prepared), origin));
    // From any thread, in every phase.
    on_gone_.emplace(call_.gone(), [stream = stream_.get()] { stream->cancel(); });
    on_cancelled_.emplace(cancelled_, [stream = stream_.get()] { stream->cancel(); });
    while (!stream_->wait_started(kPatience)) {
      if (client && call_.has_begun()) client->wait();
    }
    TRY(stream_->wait_started());
    note_prompt();
    return {};
  }

  Status write_stream(AnswerFormatter& formatter) {
    if (!call_.has_begun()) call_.begin(formatter.stream_type());
    const int most_silent_s = silence_s(call_, formatter);
    bool is_read = call_.write(formatter.begin(outcome_.facts));
    for (;;) {
      for (int silent_s = 1; !stream_->wait(std::chrono::seconds(1)); ++silent_s) {
        if (silent_s % most_silent_s != 0 && !call_.may_have_gone()) continue;
        const std::string bytes = formatter.keep_alive();
        is_read = is_read && (bytes.empty() || call_.write(bytes));
        if (!is_read) stream_->cancel();
      }
      const auto delta = next();
      if (!delta) break;
      const std::string bytes = bytes_of(*delta, formatter);
      is_read = is_read && (bytes.empty() || call_.write(bytes));
      if (!is_read) stream_->cancel();
    }
    close();
    call_.write(last_bytes(formatter));
    call_.end();
    return {};
  }

  Status reply_whole(AnswerFormatter& formatter) {
    while (next()) continue;
    close();
    TRY(stream_->status());
    if (cancelled_.stop_requested()) return was_cancelled();
    if (outcome_.was_cancelled) return {};
    call_.reply(200, formatter.whole_type(), formatter.whole(outcome_.facts, outcome_.candidates));
    return {};
  }

  Status listen(AnswerListener& listener) {
    listener.started(outcome_.facts);
    for (;;) {
      while (!stream_->wait(std::chrono::seconds(15))) {
        if (!listener.silent()) stream_->cancel();
      }
      const auto delta = next();
      if (!delta) break;
      const bool is_last = delta->event.type == ChatEvent::Type::Finish;
      const CandidateEnd* end = is_last ? &stream_->end(delta->candidate) : nullptr;
      if (!listener.said(*delta, end)) stream_->cancel();
    }
    close();
    TRY(stream_->status());
    return outcome_.was_cancelled ? was_cancelled() : Status();
  }

  // When all is said, and the client has it.
  void finish_trace() {
    if (!trace_) return;
    trace_->cached_tokens = outcome_.facts.cached_tokens;
    trace_->total_ms = ms_since(began_);
    const Status kept = call_.server().traces->keep(*trace_);
    if (!kept.ok()) call_.server().log.error(kept.error().message);
  }

  ChatOutcome take_outcome() { return std::move(outcome_); }

 private:
  void tell_of_long_looks(const PreparedChat& prepared) {
    const double about_s = lease_.service().media_seconds(prepared);
    if (about_s < kLongLookS) return;
    call_.server().log.info(
        fmt::format("{}: its media take about {:.0f} s to encode", call_.request_id(), about_s));
  }

  // What was prefilled, the turns in which films were seen included.
  void note_prompt() {
    AnswerFacts& facts = outcome_.facts;
    facts.prompt_ids = stream_->prompt().ids;
    facts.prompt_tokens = stream_->prompt_tokens();
    facts.cached_tokens = stream_->cached_tokens();
    std::int64_t n_cached = facts.cached_tokens;
    for (const FilmTurn& turn : stream_->film_turns()) {
      n_cached -= turn.cached_tokens;
      add_media(turn.prompt, turn.cached_tokens);
    }
    add_media(stream_->prompt(), n_cached);
    if (trace_) trace_->start(*stream_);
  }

  void add_media(const Prompt& prompt, std::int64_t n_cached) {
    AnswerFacts& facts = outcome_.facts;
    const ControlIds& control = facts.tokenizer->control();
    const std::span<const TokenId> ids = prompt.ids;
    const auto first = std::min(ids.size(), static_cast<std::size_t>(n_cached));
    add(facts.prompt_media, count_media_tokens(control, ids));
    add(facts.cached_media, count_media_tokens(control, ids.first(first)));
  }

  static Status was_cancelled() { return Error{Code::Cancelled, "the answer was cancelled"}; }

  std::optional<ChatDelta> next() {
    auto delta = stream_->next();
    if (!delta) return delta;
    auto& candidate = outcome_.candidates[static_cast<std::size_t>(delta->candidate)];
    if (delta->event.type == ChatEvent::Type::Finish)
      candidate.end = stream_->end(delta->candidate);
    if (trace_) note_trace(*delta);
    candidate.add(*delta);
    note_time(*delta);
    return delta;
  }

  // Into the trace goes all that was drawn, to the client what it asked for.
  void note_trace(ChatDelta& delta) {
    trace_->add(delta, *stream_);
    for (auto& drawn : delta.tokens) {
      auto& top = drawn.token.top_logprobs;
      if (n_logprobs_ < 0) drawn.token.logprob = 0.0f;
      top.resize(std::min(top.size(), static_cast<std::size_t>(std::max(n_logprobs_, 0))));
      drawn.token.description.reset();
    }
  }

  std::string bytes_of(const ChatDelta& delta, AnswerFormatter& formatter) const {
    if (delta.event.type != ChatEvent::Type::Finish) return formatter.event(delta);
    if (delta.event.finish == ChatFinish::Cancelled) return {};
    return formatter.end(delta.candidate, stream_->end(delta.candidate), delta.tokens);
  }

  // Nobody hears of a cancelled answer unless it is the server that goes.
  std::string last_bytes(AnswerFormatter& formatter) const {
    const Status status = stream_->status();
    if (!status.ok()) return formatter.error(status.error());
    if (!outcome_.was_cancelled) return formatter.finish(outcome_.facts);
    return formatter.error(Error{Code::Unavailable, "the answer was cut off"});
  }

  void note_time(const ChatDelta& delta) {
    if (delta.tokens.empty()) return;
    const double now_ms = ms_since(began_);
    CallRecord& record = call_.record;
    if (last_token_ms_ < 0.0) {
      record.first_token_ms = now_ms;
    } else if (delta.candidate == 0) {
      record.token_gaps_ms.push_back(now_ms - last_token_ms_);
    }
    last_token_ms_ = now_ms;
  }

  // All candidates have said what they say.
  void close() {
    outcome_.facts.total_ms = ms_since(began_);
    CallRecord& record = call_.record;
    record.prompt_tokens += outcome_.facts.prompt_tokens;
    record.cached_tokens += outcome_.facts.cached_tokens;
    for (const auto& candidate : outcome_.candidates) {
      const CandidateEnd& end = candidate.end;
      record.thought_tokens += end.usage.thought_tokens;
      record.completion_tokens += end.usage.total();
      record.n_tool_calls += static_cast<int>(candidate.calls().size());
      record.queue_ms = std::max(record.queue_ms, end.queue_ms);
      record.prefill_ms = std::max(record.prefill_ms, end.prefill_ms);
      record.decode_ms = std::max(record.decode_ms, end.decode_ms);
      outcome_.was_cancelled = outcome_.was_cancelled || end.finish == ChatFinish::Cancelled;
    }
    record.finish = name(outcome_.candidates.front().end.finish);
    if (outcome_.was_cancelled) record.finish = "abort";
    if (!stream_->status().ok()) record.finish = "error";
  }

  Call& call_;
  ModelLease lease_;
  ChatOutcome outcome_;
  std::unique_ptr<ChatStream> stream_;
  std::stop_token cancelled_;
  std::optional<std::stop_callback<std::function<void()>>> on_gone_, on_cancelled_;
  const Clock::time_point began_ = Clock::now();
  double last_token_ms_ = -1.0;
  std::optional<Trace> trace_;
  int n_logprobs_ = -1;  // as the client wants them, where there is a trace
};

using Follow = std::function<Status(AnswerRun& run)>;

Result<ChatOutcome> run_answer(Call& call, ChatCall& chat, const Follow& follow,
                               AnswerFormatter* streamed_by = nullptr) {
  const auto deadline = deadline_of(call.request().head);
  Prompted prompted = TRY(make_prompt(call, chat));
  const int highest = call.key() ? call.key()->priority : 1;
  const RequestOrigin origin{.user = call.user(),
                             .priority = std::min(chat.priority, highest),
                             .deadline = deadline,
                             .is_cancelled = [gone = call.gone(), cancelled = chat.cancelled] {
                               return gone.stop_requested() || cancelled.stop_requested();
                             }};
  AnswerRun run(call, chat.model, std::move(prompted.lease), prompted.prepared);
  run.keep_trace(chat.raw ? nullptr : &chat.chat, prompted.prepared);
  TRY(run.start(std::move(prompted.prepared), origin, chat.cancelled, streamed_by));
  const Status followed = follow(run);
  run.finish_trace();
  TRY(followed);
  return run.take_outcome();
}

}  // namespace

Result<ChatOutcome> answer_chat(Call& call, ChatCall chat, AnswerFormatter& formatter) {
  // Who may have gone is tested in every phase, the load of a model and the queue included.
  if (chat.stream) {
    call.may_begin_early(formatter.stream_type());
  } else if (formatter.whole_type().starts_with("application/json")) {
    call.may_probe_with_spaces();
  }
  const auto follow = [&](AnswerRun& run) {
    return chat.stream ? run.write_stream(formatter) : run.reply_whole(formatter);
  };
  auto outcome = run_answer(call, chat, follow, chat.stream ? &formatter : nullptr);
  if (!outcome.ok() && (call.has_begun_early() || call.has_begun())) {
    call.write(formatter.error(outcome.error()));
    call.end();
  }
  return outcome;
}

Result<ChatOutcome> gather_answer(Call& call, ChatCall chat, AnswerListener& listener) {
  return run_answer(call, chat, [&](AnswerRun& run) { return run.listen(listener); });
}

Result<CountedPrompt> count_prompt(Call& call, ChatCall chat) {
  Prompted prompted = TRY(make_prompt(call, chat));
  CountedPrompt counted;
  counted.n_tokens = static_cast<std::int64_t>(prompted.prepared.prompt.ids.size());
  counted.media = count_media_tokens(prompted.lease.service().tokenizer().control(),
                                     prompted.prepared.prompt.ids);
  // Films that are seen in turns of their own take at least their frames and their sound.
  if (prompted.prepared.films) {
    const MediaTokens& all = prompted.prepared.media_tokens;
    counted.n_tokens += total(all) - total(counted.media);
    counted.media = all;
  }
  counted.prepared = std::move(prompted.prepared);
  return counted;
}

}  // namespace fourfold
