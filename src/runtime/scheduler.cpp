#include "runtime/scheduler.h"

#include <algorithm>
#include <utility>

#include "runtime/scheduler_impl.h"

namespace fourfold {
namespace {

// Of cached prefixes, when nothing else is said.
constexpr std::int64_t kMostPrefixBytes = std::int64_t{2} << 30;

std::int64_t kv_budget(const SchedulerOptions& options) {
  if (options.kv_budget_bytes == 0) return std::numeric_limits<std::int64_t>::max() / 2;
  return static_cast<std::int64_t>(options.kv_budget_bytes);
}

std::int64_t prefix_budget(const SchedulerOptions& options) {
  if (options.prefix_budget_bytes == 0) return std::min(kv_budget(options) / 4, kMostPrefixBytes);
  return static_cast<std::int64_t>(options.prefix_budget_bytes);
}

}  // namespace

Scheduler::Impl::Impl(std::unique_ptr<StepModel> model, std::shared_ptr<const KvPlan> plan,
                      SamplerRules rules, SchedulerOptions options)
    : model_(std::move(model)),
      plan_(std::move(plan)),
      options_(std::move(options)),
      budget_(kv_budget(options_)),
      prefix_budget_(prefix_budget(options_)),
      chunk_(std::max(1, std::min(options_.chunk, plan_->chunk))),
      vocab_size_(model_->vocab_size()),
      store_(options_.store.folder.empty()
                 ? nullptr
                 : std::make_unique<PrefixStore>(options_.store, plan_, usage_)),
      sampler_({}, std::move(rules)),
      thread_([this] { run(); }) {}

Scheduler::Impl::~Impl() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

// --- submission ---

Status Scheduler::Impl::check(const SequenceRequest& request) const {
  const auto n_prompt = static_cast<std::int64_t>(request.prompt.size());
  if (n_prompt == 0) return invalid_argument("prompt: empty, expected at least one token");
  if (n_prompt >= options_.context) {
    return resource_exhausted("prompt of {} tokens: the context holds {}, the answer included",
                              n_prompt, options_.context)
        .with({.reason = "context_length_exceeded",
               .prompt_tokens = n_prompt,
               .context_tokens = options_.context});
  }
  for (const TokenId id : request.prompt) {
    if (id < 0 || id >= vocab_size_) {
      return invalid_argument("prompt: there is no token {} (0 to {})", id, vocab_size_ - 1);
    }
  }
  TRY(check_soft(request.soft, n_prompt));
  TRY(check_values(request.soft, 0));
  return check_options(request.sampling, vocab_size_);
}

// Places that are free are not counted as a queue, whether or not the thread has filled them yet.
Status Scheduler::Impl::check_queue(const std::string& user) const {
  const int n_free = std::max(0, options_.max_running - stats_.n_running);
  const int n_queued = stats_.n_waiting - n_free;
  if (n_queued >= options_.max_queue) {
    return Error{Code::Unavailable,
                 fmt::format("{} requests are waiting, more are not taken", n_queued)}
        .with({.reason = "queue_full", .retry_after_s = expected_wait_s()});
  }
  const auto of_user = n_waiting_of_.find(user);
  const int n_of_user = of_user == n_waiting_of_.end() ? 0 : of_user->second - n_free;
  if (n_of_user >= options_.max_queue_per_user) {
    return resource_exhausted("{} requests of this user are waiting, more are not taken", n_of_user)
        .with({.reason = "rate_limit_exceeded", .retry_after_s = expected_wait_s()});
  }
  return {};
}

double Scheduler::Impl::expected_wait_s() const {
  const int n_beside = std::max(1, stats_.n_running);
  return std::clamp(run_ms_ / 1000.0 * stats_.n_waiting / n_beside, 1.0, 60.0);
}

Result<SequenceId> Scheduler::Impl::submit(SequenceRequest request,
                                           std::shared_ptr<SequenceSink> sink) {
  TRY(check(request));
  auto sequence = std::make_shared<Sequence>(std::move(request), std::move(sink), empty_cache());
  SequenceRequest& asked = sequence->request;
  sequence->ids = std::move(asked.prompt);
  sequence->n_prompt = static_cast<std::int64_t>(sequence->ids.size());
  sequence->keys = position_keys(sequence->ids, asked.soft);
  if (plan_->whole_blocks) sequence->largest_block = largest_block(asked.soft);
  const std::int64_t room = options_.context - sequence->n_prompt;
  const bool room_ends_it = asked.max_tokens < 0 || asked.max_tokens > room;
  sequence->limit = room_ends_it ? room : asked.max_tokens;
  if (room_ends_it) sequence->limit_finish = SequenceFinish::ContextFull;
  sequence->ids.reserve(
      static_cast<std::size_t>(sequence->n_prompt + std::min(sequence->limit, 4 * kAnswerRows)));
  std::ranges::sort(asked.branch_points);
  {
    const std::lock_guard lock(mutex_);
    TRY(check_queue(asked.user));
    sequence->id = ++last_id_;
    by_id_[sequence->id] = sequence;
    ++stats_.n_waiting;
    ++n_waiting_of_[asked.user];
    new_.push_back(sequence);
  }
  changed_.notify_all();
  return sequence->id;
}

// --- the loop ---

void Scheduler::Impl::run() {
  while (true) {
    if (!wait_for_work()) break;
    try {
      store_idle();
      step();
    } catch (const std::bad_alloc&) {
      fail_for_memory();
    }
  }
  end_all();
}

// Sleeps while there is nothing to do; false when it is time to stop.
bool Scheduler::Impl::wait_for_work() {
  bool may_store = false;
  if (store_) {
    const std::lock_guard lock(prefixes_mutex_);
    may_store = prefixes_.has_unstored() || store_->is_busy();
  }
  std::unique_lock lock(mutex_);
  const auto has_work = [&] {
    return stop_ || !new_.empty() || !waiting_.empty() || !running_.empty();
  };
  if (may_store) {
    const double most_s = std::min(1.0, options_.store.idle_s);
    changed_.wait_for(lock, std::chrono::duration<double>(most_s), has_work);
  } else {
    changed_.wait(lock, has_work);
  }
  return !stop_;
}

void Scheduler::Impl::step() {
  ++step_no_;
  take_new();
  end_cancelled_and_late();
  choose_rows();
  make_room();
  if (!pieces_.empty()) run_rows();
  pieces_.clear();
  ran_.clear();
}

void Scheduler::Impl::take_new() {
  const std::lock_guard lock(mutex_);
  for (SequencePtr& sequence : new_) {
    share_.join(sequence->request.user);
    waiting_.push_back(std::move(sequence));
    memory_is_short_ = false;  // it may be smaller than what did not fit, and go first
  }
  new_.clear();
}

void Scheduler::Impl::end_cancelled_and_late() {
  const auto now = Clock::now();
  for (const auto* list : {&running_, &waiting_}) {
    std::vector<SequencePtr> ending;
    for (const SequencePtr& sequence : *list) {
      const auto& deadline = sequence->request.deadline;
      if (sequence->cancelled || (deadline && *deadline <= now)) ending.push_back(sequence);
    }
    for (const SequencePtr& sequence : ending) {
      if (sequence->cancelled) {
        end(*sequence, SequenceFinish::Cancelled);
      } else {
        fail(*sequence,
             {Code::DeadlineExceeded,
              sequence->started ? fmt::format("the deadline passed after {} tokens of the answer",
                                              sequence->n_drawn())
                                : "the deadline passed before the prompt's turn came"});
      }
    }
  }
}

// --- running ---

void Scheduler::Impl::run_rows() {
  segments_.clear();
  if (soft_.size() < pieces_.size()) soft_.resize(pieces_.size());
  for (const Piece& piece : pieces_) {
    const Sequence& sequence = *piece.sequence;
    const std::int64_t first = sequence.cache.length();
    const auto ids = std::span(sequence.ids).first(static_cast<std::size_t>(first + piece.n_rows));
    segments_.push_back(
        {.rows = {.ids = ids.subspan(static_cast<std::size_t>(first)),
                  .position = first,
                  .kv = sequence.cache.views(),
                  .embeds = nullptr,
                  .embed_rows = {},
                  .blocks = {},
                  .wanted = {&piece.last_row, piece.wants_logits ? std::size_t{1} : 0}},
         .ids = ids,
         .n_prompt = sequence.n_prompt});
    SoftBatch& soft = soft_[segments_.size() - 1];
    soft.gather(sequence.request.soft, first, piece.n_rows, plan_->whole_blocks);
    soft.show(segments_.back().rows);
  }
  const auto begin = Clock::now();
  auto logits = model_->step(segments_);
  ran_.swap(pieces_);
  if (!logits.ok()) {
    for (const Piece& piece : ran_) {
      fail(*piece.sequence, {Code::Internal, logits.error().message});
    }
    return;
  }
  for (const Piece& piece : ran_) piece.sequence->cache.advance(piece.n_rows);
  count_step(ms_between(begin, Clock::now()));
  std::int64_t row = 0;
  for (const Piece& piece : ran_) {
    finish_rows(piece);
    if (!piece.wants_logits) continue;
    draw(*piece.sequence, {logits->row(row++), static_cast<std::size_t>(vocab_size_)});
  }
}

void Scheduler::Impl::count_step(double ms) {
  std::int64_t n_decode = 0, n_prefill = 0, longest = 0;
  for (const Piece& piece : ran_) {
    (piece.decodes ? n_decode : n_prefill) += piece.n_rows;
    longest = std::max(longest, piece.sequence->cache.length());
  }
  cost_.measure(n_decode, n_prefill, ms);
  const double decode_ms = n_prefill == 0 ? ms : std::min(ms, cost_.decode_ms(n_decode));
  const std::lock_guard lock(mutex_);
  ++stats_.n_steps;
  stats_.n_step_rows += static_cast<std::uint64_t>(n_decode + n_prefill);
  stats_.n_decode_steps += n_decode > 0 ? 1 : 0;
  stats_.n_decode_rows += static_cast<std::uint64_t>(n_decode);
  stats_.prompt_tokens += static_cast<std::uint64_t>(n_prefill);
  stats_.prompt_seconds += (ms - decode_ms) / 1000.0;
  stats_.generation_seconds += decode_ms / 1000.0;
  stats_.longest_sequence = std::max(stats_.longest_sequence, longest);
}

// What a part of a prompt calls for: a snapshot, a word to the sink, an end if no answer is wanted.
void Scheduler::Impl::finish_rows(const Piece& piece) {
  Sequence& sequence = *piece.sequence;
  if (piece.decodes) return;
  const std::int64_t done = sequence.cache.length();
  if (std::ranges::binary_search(sequence.snapshots, done)) {
    keep_prefix(sequence, done == sequence.n_prompt);
  }
  if (sequence.n_drawn() > 0) return;
  sequence.sink->on_prefill(done, sequence.n_prompt);
  if (done == sequence.n_prompt && sequence.limit == 0) end(sequence, sequence.limit_finish);
}

void Scheduler::Impl::draw(Sequence& sequence, std::span<const float> logits) {
  TokenMask* mask = sequence.sink->mask();
  sampler_.swap_options(sequence.request.sampling);
  auto drawn =
      sampler_.sample(logits, sequence.ids, static_cast<std::int64_t>(sequence.ids.size()), mask);
  sampler_.swap_options(sequence.request.sampling);
  if (!drawn.ok()) return fail(sequence, std::move(drawn).error());
  sequence.last_token = Clock::now();
  if (sequence.n_drawn() == 0) sequence.first_token = sequence.last_token;
  const TokenId id = drawn->id;
  if (std::ranges::find(sequence.request.stop_ids, id) != sequence.request.stop_ids.end()) {
    return end(sequence, SequenceFinish::Stop, id);
  }
  if (mask) {
    Status status = mask->commit(id);
    if (!status.ok()) return fail(sequence, std::move(status).error());
  }
  sequence.ids.push_back(id);
  sequence.keys.push_back(static_cast<std::uint32_t>(id));
  {
    const std::lock_guard lock(mutex_);
    ++stats_.generated_tokens;
  }
  if (!sequence.sink->on_token(std::move(drawn).value())) {
    return end(sequence, SequenceFinish::Ended);
  }
  if (sequence.n_drawn() == sequence.limit) end(sequence, sequence.limit_finish);
}

// --- ends ---

void Scheduler::Impl::end(Sequence& sequence, SequenceFinish finish, TokenId stop_id,
                          std::optional<Error> error) {
  const auto now = Clock::now();
  const bool cache_is_good = !error || error->code == Code::DeadlineExceeded;
  if (cache_is_good && sequence.cache.length() > 0) {
    keep_prefix(sequence, true);
    // The next turn may part from this one at the end of the prompt: the answer's thoughts are left
    // out. One file serves both if its rings reach back so far.
    if (!sequence.in_prompt() && sequence.cache.length() > sequence.n_prompt &&
        sequence.cache.lowest_rewind() <= sequence.n_prompt) {
      const std::lock_guard lock(prefixes_mutex_);
      prefixes_.leave_unstored(
          std::span(sequence.keys).first(static_cast<std::size_t>(sequence.n_prompt)));
    }
  }
  sequence.cache = empty_cache();
  drop_piece(sequence);
  const SequencePtr held = sequence.shared_from_this();  // until the sink has heard
  std::erase(sequence.running ? running_ : waiting_, held);
  share_.leave(sequence.request.user);
  memory_is_short_ = false;

  SequenceEnd report{.finish = finish, .stop_id = stop_id, .error = std::move(error)};
  const bool has_token = sequence.first_token != Clock::time_point();
  report.queue_ms = ms_between(sequence.submitted, sequence.started ? sequence.admitted : now);
  if (sequence.started) {
    report.prefill_ms = ms_between(sequence.admitted, has_token ? sequence.first_token : now);
  }
  if (has_token) report.decode_ms = ms_between(sequence.first_token, sequence.last_token);
  {
    const std::lock_guard lock(mutex_);
    by_id_.erase(sequence.id);
    if (sequence.running) {
      --stats_.n_running;
    } else if (sequence.started) {
      --stats_.n_paused;
    } else {
      --stats_.n_waiting;
      if (--n_waiting_of_[sequence.request.user] == 0) n_waiting_of_.erase(sequence.request.user);
    }
    if (sequence.started) {
      const double ms = ms_between(sequence.admitted, now);
      run_ms_ = run_ms_ == 0.0 ? ms : 0.8 * run_ms_ + 0.2 * ms;
    }
  }
  sequence.running = false;
  sequence.sink->on_end(std::move(report));
}

// The machine is out of memory: what ran in this step cannot be trusted, the rest goes on.
void Scheduler::Impl::fail_for_memory() {
  {
    const std::lock_guard lock(prefixes_mutex_);
    prefixes_.clear();
  }
  std::vector<SequencePtr> failed;
  for (const auto* pieces : {&pieces_, &ran_}) {
    for (const Piece& piece : *pieces) failed.push_back(piece.sequence);
  }
  if (failed.empty()) failed = running_;
  for (const SequencePtr& sequence : failed) {
    if (sequence->running) fail(*sequence, resource_exhausted("no memory for a step"));
  }
  pieces_.clear();
  ran_.clear();
}

void Scheduler::Impl::end_all() {
  take_new();
  for (auto* list : {&running_, &waiting_}) {
    while (!list->empty()) end(*list->front(), SequenceFinish::Cancelled);
  }
  if (!store_) return;
  // For the next start.
  const std::lock_guard lock(prefixes_mutex_);
  while (auto prefix = prefixes_.take_idle(Clock::now())) store_->add(std::move(*prefix));
}

// --- the interface ---

Scheduler::Scheduler(std::unique_ptr<StepModel> model, std::shared_ptr<const KvPlan> plan,
                     SamplerRules rules, SchedulerOptions options)
    : impl_(std::make_unique<Impl>(std::move(model), std::move(plan), std::move(rules), options)) {}

Scheduler::~Scheduler() = default;

Result<SequenceId> Scheduler::submit(SequenceRequest request, std::shared_ptr<SequenceSink> sink) {
  return impl_->submit(std::move(request), std::move(sink));
}

void Scheduler::cancel(SequenceId id) {
  const std::lock_guard lock(impl_->mutex_);
  const auto entry = impl_->by_id_.find(id);
  if (entry != impl_->by_id_.end()) entry->second->cancelled = true;
}

std::int64_t Scheduler::cached_prefix(std::span<const PositionKey> prompt) const {
  const std::int64_t stored = impl_->store_ ? impl_->store_->find(prompt) : 0;
  const std::lock_guard lock(impl_->prefixes_mutex_);
  return std::max(stored, impl_->prefixes_.find(prompt).usable);
}

void Scheduler::pin_prefix(std::vector<PositionKey> prefix) {
  const std::lock_guard lock(impl_->prefixes_mutex_);
  impl_->prefixes_.pin(std::move(prefix));
}

void Scheduler::unpin_prefix(const std::vector<PositionKey>& prefix) {
  const std::lock_guard lock(impl_->prefixes_mutex_);
  impl_->prefixes_.unpin(prefix);
}

void Scheduler::clear_prefixes() {
  const std::lock_guard lock(impl_->prefixes_mutex_);
  impl_->prefixes_.clear();
}

SchedulerStats Scheduler::stats() const {
  SchedulerStats stats;
  {
    const std::lock_guard lock(impl_->mutex_);
    stats = impl_->stats_;
  }
  {
    const std::lock_guard lock(impl_->prefixes_mutex_);
    stats.n_cached_prefixes = impl_->prefixes_.n_prefixes();
  }
  if (impl_->store_) stats.store = impl_->store_->stats();
  stats.kv_bytes = static_cast<std::uint64_t>(std::max<std::int64_t>(0, impl_->used_bytes()));
  stats.kv_budget_bytes = impl_->options_.kv_budget_bytes;
  return stats;
}

bool Scheduler::is_idle() const {
  const std::lock_guard lock(impl_->mutex_);
  return impl_->by_id_.empty();
}

}  // namespace fourfold
