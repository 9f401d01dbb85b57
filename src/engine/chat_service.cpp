#include "engine/chat_service.h"

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <utility>

#include "chat/stop_text.h"
#include "engine/engine_step_model.h"
#include "engine/film_windows.h"
#include "tokenizer/detokenizer.h"

namespace fourfold {
namespace {

// The border between the scheduler's thread, which writes, and the request's, which reads.
class DeltaQueue {
 public:
  explicit DeltaQueue(int n_candidates)
      : ends_(static_cast<std::size_t>(n_candidates)), n_open_(n_candidates) {}

  void start(std::int64_t cached_tokens) {
    const std::lock_guard lock(mutex_);
    if (!std::exchange(has_started_, true)) cached_tokens_ = cached_tokens;
    changed_.notify_all();
  }

  void push(std::vector<ChatDelta> deltas) {
    if (deltas.empty()) return;
    const std::lock_guard lock(mutex_);
    for (auto& delta : deltas) deltas_.push_back(std::move(delta));
    changed_.notify_all();
  }

  // The candidate has said all; `last` ends with its Finish.
  void close(int candidate, std::vector<ChatDelta> last, CandidateEnd end) {
    const std::lock_guard lock(mutex_);
    for (auto& delta : last) deltas_.push_back(std::move(delta));
    ends_[static_cast<std::size_t>(candidate)] = std::move(end);
    --n_open_;
    changed_.notify_all();
  }

  void fail(Error error) {
    const std::lock_guard lock(mutex_);
    if (!error_) error_ = std::move(error);
    changed_.notify_all();
  }

  Status wait_started() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return has_come_to_start(); });
    if (!has_started_ && error_) return *error_;
    return {};
  }

  bool wait_started(std::chrono::milliseconds most) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, most, [&] { return has_come_to_start(); });
  }

  std::optional<ChatDelta> next() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return is_ready(); });
    if (deltas_.empty()) return std::nullopt;
    ChatDelta delta = std::move(deltas_.front());
    deltas_.pop_front();
    return delta;
  }

  bool wait(std::chrono::milliseconds most) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, most, [&] { return is_ready(); });
  }

  Status status() const {
    const std::lock_guard lock(mutex_);
    return error_ ? Status(*error_) : Status();
  }
  std::int64_t cached_tokens() const {
    const std::lock_guard lock(mutex_);
    return cached_tokens_;
  }
  // Written once, before the candidate's Finish can be read.
  const CandidateEnd& end(int candidate) const {
    const std::lock_guard lock(mutex_);
    return ends_[static_cast<std::size_t>(candidate)];
  }

 private:
  bool has_come_to_start() const { return has_started_ || error_ || n_open_ == 0; }
  bool is_ready() const { return !deltas_.empty() || error_ || n_open_ == 0; }

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<ChatDelta> deltas_;
  std::vector<CandidateEnd> ends_;
  int n_open_ = 0;
  bool has_started_ = false;
  std::int64_t cached_tokens_ = 0;
  std::optional<Error> error_;
};

// What both kinds of candidates do.
class CandidateSink : public SequenceSink {
 public:
  CandidateSink(std::shared_ptr<DeltaQueue> queue, int candidate, bool limit_is_context)
      : queue_(std::move(queue)), candidate_(candidate), limit_is_context_(limit_is_context) {}

  void on_start(std::int64_t cached_tokens) override { queue_->start(cached_tokens); }
  void on_prefill(std::int64_t, std::int64_t) override {}

 protected:
  // Events with the tokens that were drawn for them.
  std::vector<ChatDelta> deltas(std::vector<ChatEvent> events) {
    std::vector<ChatDelta> out;
    for (auto& event : events) {
      out.push_back({.candidate = candidate_,
                     .event = std::move(event),
                     .tokens = std::exchange(pending_, {})});
    }
    return out;
  }

  CandidateEnd describe(const SequenceEnd& end) const {
    const bool is_length =
        end.finish == SequenceFinish::Length || end.finish == SequenceFinish::ContextFull;
    return {.context_is_full = is_length && limit_is_context_,
            .queue_ms = end.queue_ms,
            .prefill_ms = end.prefill_ms,
            .decode_ms = end.decode_ms};
  }

  static ChatFinish reason(SequenceFinish finish) {
    switch (finish) {
      case SequenceFinish::Length:
      case SequenceFinish::ContextFull: return ChatFinish::Length;
      case SequenceFinish::Cancelled:
      case SequenceFinish::Failed: return ChatFinish::Cancelled;
      case SequenceFinish::Stop:
      case SequenceFinish::Ended: return ChatFinish::Stop;
    }
    return ChatFinish::Stop;
  }

  const std::shared_ptr<DeltaQueue> queue_;
  const int candidate_;
  const bool limit_is_context_;
  std::vector<DrawnToken> pending_;  // drawn since the last event
};

class ChatSink final : public CandidateSink {
 public:
  ChatSink(std::shared_ptr<DeltaQueue> queue, int candidate, bool limit_is_context,
           const Tokenizer& tokenizer, OutputMachineOptions rules, std::int64_t n_noted)
      : CandidateSink(std::move(queue), candidate, limit_is_context),
        machine_(tokenizer, std::move(rules)),
        n_noted_(n_noted) {}

  TokenMask* mask() override { return &machine_; }

  bool on_token(SampledToken token) override {
    pending_.push_back({.token = std::move(token), .channel = channel_of_last()});
    queue_->push(deltas(machine_.take_events()));
    return !machine_.is_over();
  }

  void on_end(SequenceEnd end) override {
    if (end.error) return queue_->fail(std::move(*end.error));
    machine_.finish(end.stop_id, reason(end.finish));
    auto last = deltas(machine_.take_events());
    CandidateEnd described = describe(end);
    described.finish = last.empty() ? ChatFinish::Stop : last.back().event.finish;
    described.stop_text = machine_.stop_text();
    described.usage = machine_.usage();
    described.usage.thought_tokens += n_noted_;
    queue_->close(candidate_, std::move(last), std::move(described));
  }

 private:
  // Which count has grown tells where the last token belongs.
  Channel channel_of_last() {
    const OutputUsage before = std::exchange(usage_, machine_.usage());
    if (usage_.thought_tokens > before.thought_tokens) return Channel::Thought;
    return usage_.call_tokens > before.call_tokens ? Channel::Call : Channel::Answer;
  }

  OutputMachine machine_;
  const std::int64_t n_noted_;  // tokens of notes on films
  OutputUsage usage_;           // before the present token
};

class RawSink final : public CandidateSink {
 public:
  RawSink(std::shared_ptr<DeltaQueue> queue, int candidate, bool limit_is_context,
          const Tokenizer& tokenizer, bool hide_control, std::vector<std::string> stop)
      : CandidateSink(std::move(queue), candidate, limit_is_context),
        detokenizer_(tokenizer, {.hide_control = hide_control}),
        stop_(std::move(stop)) {}

  TokenMask* mask() override { return nullptr; }

  bool on_token(SampledToken token) override {
    ++n_tokens_;
    std::string text = stop_.push(detokenizer_.push(token.id));
    pending_.push_back({.token = std::move(token), .channel = Channel::Answer});
    if (!text.empty()) queue_->push(deltas(text_event(std::move(text))));
    return !stop_.is_met();
  }

  void on_end(SequenceEnd end) override {
    if (end.error) return queue_->fail(std::move(*end.error));
    CandidateEnd described = describe(end);
    described.finish = reason(end.finish);
    described.stop_text = stop_.met();
    described.usage.answer_tokens = n_tokens_;
    std::vector<ChatEvent> events;
    if (!stop_.is_met()) {
      std::string rest = stop_.push(detokenizer_.finish());
      rest += stop_.finish();
      if (!rest.empty()) events = text_event(std::move(rest));
    }
    events.push_back({.type = ChatEvent::Type::Finish, .finish = described.finish});
    queue_->close(candidate_, deltas(std::move(events)), std::move(described));
  }

 private:
  static std::vector<ChatEvent> text_event(std::string text) {
    return {{.type = ChatEvent::Type::Text, .text = std::move(text)}};
  }

  Detokenizer detokenizer_;
  StopText stop_;
  std::int64_t n_tokens_ = 0;
};

// Constraints are copied by name only: each has a place in its document.
OutputMachineOptions copy_of(const OutputMachineOptions& rules) {
  OutputMachineOptions copy{.thought_is_open = rules.thought_is_open,
                            .may_think = rules.may_think,
                            .thought_budget = rules.thought_budget,
                            .may_call = rules.may_call,
                            .must_call = rules.must_call,
                            .parallel_calls = rules.parallel_calls,
                            .calls = {},
                            .answer = {},
                            .stop = rules.stop,
                            .loop_limits = rules.loop_limits};
  if (rules.calls) copy.calls = rules.calls->copy();
  if (rules.answer) copy.answer = rules.answer->copy();
  return copy;
}

class ScheduledStream final : public ChatStream {
 public:
  ScheduledStream(Scheduler& scheduler, std::shared_ptr<DeltaQueue> queue, Prompt prompt,
                  PreparedChat::Watched watched)
      : scheduler_(scheduler),
        queue_(std::move(queue)),
        prompt_(std::move(prompt)),
        watched_(std::move(watched)) {}
  ~ScheduledStream() override { cancel(); }

  void add(SequenceId id) { ids_.push_back(id); }

  Status wait_started() override { return queue_->wait_started(); }
  bool wait_started(std::chrono::milliseconds most) override { return queue_->wait_started(most); }
  std::int64_t prompt_tokens() const override {
    return static_cast<std::int64_t>(prompt_.ids.size()) + watched_.prompt_tokens;
  }
  std::int64_t cached_tokens() const override {
    return queue_->cached_tokens() + watched_.cached_tokens;
  }
  const Prompt& prompt() const override { return prompt_; }
  const std::vector<FilmTurn>& film_turns() const override { return watched_.turns; }
  std::optional<ChatDelta> next() override { return queue_->next(); }
  bool wait(std::chrono::milliseconds most) override { return queue_->wait(most); }
  Status status() const override { return queue_->status(); }
  const CandidateEnd& end(int candidate) const override { return queue_->end(candidate); }
  void cancel() override {
    for (const SequenceId id : ids_) scheduler_.cancel(id);
  }

 private:
  Scheduler& scheduler_;  // of the service, which outlives its streams
  const std::shared_ptr<DeltaQueue> queue_;
  const Prompt prompt_;
  const PreparedChat::Watched watched_;
  std::vector<SequenceId> ids_;
};

}  // namespace

std::string_view name(Channel channel) {
  switch (channel) {
    case Channel::Thought: return "thought";
    case Channel::Answer: return "answer";
    case Channel::Call: return "call";
  }
  return "";
}

struct ChatService::Impl {
  std::unique_ptr<Engine> engine;
  std::unique_ptr<ChatPreparer> preparer;
  std::unique_ptr<Scheduler> scheduler;  // goes first: it uses the others

  Status encode_media(const PreparedChat& prepared, const RequestOrigin& origin) const {
    auto status = preparer->encode_media(prepared, [&] {
      if (origin.on_wait) origin.on_wait();
      return !why_end(origin);
    });
    if (!status.ok() && status.error().code == Code::Cancelled) {
      if (auto reason = why_end(origin)) return *std::move(reason);
    }
    return status;
  }

  // Why start() need not go on.
  static std::optional<Error> why_end(const RequestOrigin& origin) {
    if (origin.deadline && *origin.deadline <= std::chrono::steady_clock::now()) {
      return Error{Code::DeadlineExceeded, "the deadline passed while media were encoded"};
    }
    if (origin.is_cancelled && origin.is_cancelled()) return Error{Code::Cancelled, "stopped"};
    return std::nullopt;
  }

  // What a turn says of its window of a film.
  static Result<FilmNotes> run_film_turn(ChatService& service, PreparedChat turn,
                                         const RequestOrigin& origin) {
    constexpr std::chrono::milliseconds kPatience{50};
    const auto stream = TRY(service.start(std::move(turn), origin));
    FilmNotes notes{.text = {}, .prompt_tokens = stream->prompt_tokens()};
    for (;;) {
      if (origin.on_wait) origin.on_wait();
      if (auto reason = why_end(origin)) return *std::move(reason);  // its stream goes with it
      if (!stream->wait(kPatience)) continue;
      const auto delta = stream->next();
      if (!delta) break;
      if (delta->event.type == ChatEvent::Type::Text) notes.text += delta->event.text;
    }
    TRY(stream->status());
    notes.cached_tokens = stream->cached_tokens();
    notes.answer_tokens = stream->end(0).usage.total();
    return notes;
  }

  std::shared_ptr<SequenceSink> make_sink(const std::shared_ptr<DeltaQueue>& queue, int candidate,
                                          const PreparedChat& prepared) const {
    const Tokenizer& tokenizer = preparer->tokenizer();
    if (prepared.is_raw) {
      return std::make_shared<RawSink>(queue, candidate, prepared.limit_is_context, tokenizer,
                                       prepared.hide_control, prepared.stop);
    }
    return std::make_shared<ChatSink>(queue, candidate, prepared.limit_is_context, tokenizer,
                                      copy_of(prepared.rules),
                                      candidate == 0 ? prepared.watched.answer_tokens : 0);
  }
};

namespace {

// Beside the model's content: K/V of other settings are other numbers.
std::string what_bits_depend_on(const Engine& engine) {
  const EngineOptions& options = engine.options();
  return fmt::format(", {}{}{}{}", engine.isa(), options.exact ? ", exact" : "",
                     options.bf16_embedding_scale ? ", bf16 embedding scale" : "",
                     options.open_future_window ? ", open future window" : "");
}

}  // namespace

ChatService::ChatService(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
ChatService::~ChatService() = default;

Result<std::unique_ptr<ChatService>> ChatService::open(const std::string& path,
                                                       const ChatServiceOptions& options) {
  auto impl = std::make_unique<Impl>();
  impl->engine = TRY(Engine::open(path, options.engine));
  Engine& engine = *impl->engine;
  impl->preparer = TRY(ChatPreparer::make(engine));
  SchedulerOptions scheduling;
  scheduling.context = engine.context();
  scheduling.kv_budget_bytes = engine.kv_budget_bytes();
  if (options.max_parallel > 0) scheduling.max_running = options.max_parallel;
  scheduling.max_queue = options.max_queue;
  scheduling.max_queue_per_user = options.max_queue_per_user;
  scheduling.chunk = engine.chunk();
  scheduling.store = options.sessions;
  scheduling.store.fingerprint += what_bits_depend_on(engine);
  impl->scheduler = std::make_unique<Scheduler>(
      options.step_model ? options.step_model(engine) : make_engine_step_model(engine),
      engine.shared_kv_plan(), engine.sampler_rules(), scheduling);
  return std::unique_ptr<ChatService>(new ChatService(std::move(impl)));
}

const Engine& ChatService::engine() const { return *impl_->engine; }
const Tokenizer& ChatService::tokenizer() const { return impl_->preparer->tokenizer(); }
const ChatCapabilities& ChatService::capabilities() const {
  return impl_->preparer->capabilities();
}
std::int64_t ChatService::context() const { return impl_->engine->context(); }

Result<PreparedChat> ChatService::prepare(const ChatRequest& request,
                                          const std::function<bool()>& go_on) const {
  return impl_->preparer->prepare(request, {}, go_on);
}
Result<PreparedChat> ChatService::prepare(const RawRequest& request) const {
  return impl_->preparer->prepare(request);
}
Result<PreparedChat> ChatService::prepare_looked(const ChatRequest& request,
                                                 std::vector<MediaLook> looks) const {
  TRY(impl_->preparer->check(request.conversation));
  return impl_->preparer->prepare_looked(request, std::move(looks));
}
double ChatService::media_seconds(const PreparedChat& prepared) const {
  return impl_->preparer->media_seconds(prepared);
}

Result<std::unique_ptr<ChatStream>> ChatService::start(PreparedChat prepared,
                                                       const RequestOrigin& origin) {
  TRY(watch_films(
      *impl_->preparer, prepared,
      [&](PreparedChat turn) { return Impl::run_film_turn(*this, std::move(turn), origin); },
      origin.on_film_window));
  TRY(impl_->encode_media(prepared, origin));
  const int n = prepared.n_candidates;
  auto queue = std::make_shared<DeltaQueue>(n);
  auto stream = std::make_unique<ScheduledStream>(*impl_->scheduler, queue, prepared.prompt,
                                                  prepared.watched);
  for (int candidate = 0; candidate < n; ++candidate) {
    SequenceRequest request{.prompt = prepared.prompt.ids,
                            .soft = prepared.prompt.soft,
                            .sampling = prepared.sampling,
                            .max_tokens = prepared.max_tokens,
                            .stop_ids = prepared.stop_ids,
                            .branch_points = prepared.branch_points,
                            .user = origin.user,
                            .priority = origin.priority,
                            .deadline = origin.deadline};
    request.sampling.seed += static_cast<std::uint64_t>(candidate);
    auto sink = impl_->make_sink(queue, candidate, prepared);
    // An error here ends the candidates before it with the stream.
    stream->add(TRY(impl_->scheduler->submit(std::move(request), std::move(sink))));
  }
  return std::unique_ptr<ChatStream>(std::move(stream));
}

void ChatService::pin_prefix(std::vector<PositionKey> prefix) {
  impl_->scheduler->pin_prefix(std::move(prefix));
}
void ChatService::unpin_prefix(const std::vector<PositionKey>& prefix) {
  impl_->scheduler->unpin_prefix(prefix);
}

SchedulerStats ChatService::stats() const { return impl_->scheduler->stats(); }
bool ChatService::is_idle() const { return impl_->scheduler->is_idle(); }

}  // namespace fourfold
