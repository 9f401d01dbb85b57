// The inside of the scheduler. Its thread's work is cut into files by what it asks: scheduler.cpp
// takes requests and ends them, scheduler_order.cpp chooses who gets rows, scheduler_memory.cpp
// makes room for them.
#pragma once

#include <atomic>
#include <condition_variable>
#include <limits>
#include <map>
#include <mutex>
#include <thread>

#include "runtime/fair_share.h"
#include "runtime/prefix_cache.h"
#include "runtime/prefix_store.h"
#include "runtime/scheduler.h"
#include "runtime/soft_batch.h"
#include "runtime/step_cost.h"

namespace fourfold {

using Clock = std::chrono::steady_clock;

inline double ms_between(Clock::time_point from, Clock::time_point to) {
  return std::chrono::duration<double, std::milli>(to - from).count();
}

// Rows of an answer that must fit behind a prompt before it is admitted.
inline constexpr std::int64_t kAnswerRows = 256;
// Fewer shared tokens are computed twice rather than waited for or kept on their own.
inline constexpr std::int64_t kWorthSharing = 16;

struct Sequence : std::enable_shared_from_this<Sequence> {
  Sequence(SequenceRequest request_, std::shared_ptr<SequenceSink> sink_, KvCache cache_)
      : request(std::move(request_)), sink(std::move(sink_)), cache(std::move(cache_)) {}

  SequenceId id = 0;  // ascending in the order of submission
  SequenceRequest request;
  std::shared_ptr<SequenceSink> sink;
  std::int64_t n_prompt = 0;
  std::int64_t limit = 0;  // tokens of the answer, the context permitting
  SequenceFinish limit_finish = SequenceFinish::Length;

  std::vector<TokenId> ids;        // the prompt and what was drawn
  std::vector<PositionKey> keys;   // of ids
  std::int64_t largest_block = 0;  // rows that run in one step, whatever the others
  KvCache cache;                   // holds ids but for those that have not run
  // Lengths of the prompt that the prefix cache gets, ascending.
  std::vector<std::int64_t> snapshots;
  std::int64_t reserved_rows = 0;  // that its admission promised
  std::uint64_t seen_in_step = 0;  // the last step that considered its prompt rows

  // While `leader` runs a prefix that both have, this prompt waits for it to get there.
  SequenceId leader = 0;
  std::int64_t leader_length = 0;

  bool running = false;  // false: in the queue, or paused
  bool started = false;  // the sink has heard so; not running, but started: paused
  std::atomic<bool> cancelled = false;
  Clock::time_point submitted = Clock::now(), admitted, first_token, last_token;

  std::int64_t n_drawn() const { return static_cast<std::int64_t>(ids.size()) - n_prompt; }
  std::int64_t n_to_run() const { return static_cast<std::int64_t>(ids.size()) - cache.length(); }
  bool decodes() const { return n_drawn() > 0 && n_to_run() == 1; }
  bool in_prompt() const { return cache.length() < n_prompt; }
  bool is_paused() const { return started && !running; }
  // What a prefix of the cache may cover: the last row's logits are wanted.
  std::span<const PositionKey> reusable() const { return std::span(keys).first(keys.size() - 1); }
  std::span<const PositionKey> computed() const {
    return std::span(keys).first(static_cast<std::size_t>(cache.length()));
  }
  // The prompt's snapshot that comes next; n_to_run counts as one.
  std::int64_t rows_to_snapshot() const {
    const auto next = std::ranges::upper_bound(snapshots, cache.length());
    return next == snapshots.end() ? n_to_run() : *next - cache.length();
  }
  void add_snapshot(std::int64_t length) {
    const auto place = std::ranges::lower_bound(snapshots, length);
    if (place == snapshots.end() || *place != length) snapshots.insert(place, length);
  }
};

using SequencePtr = std::shared_ptr<Sequence>;

// The rows that a sequence gets in a step.
struct Piece {
  SequencePtr sequence;
  std::int64_t n_rows = 0;
  std::int32_t last_row = 0;
  bool wants_logits = false;
  bool decodes = false;
};

struct Scheduler::Impl {
  enum class Admission { Admitted, MustWait, Failed };

  Impl(std::unique_ptr<StepModel> model, std::shared_ptr<const KvPlan> plan, SamplerRules rules,
       SchedulerOptions options);
  ~Impl();

  // From any thread.
  Result<SequenceId> submit(SequenceRequest request, std::shared_ptr<SequenceSink> sink);
  Status check(const SequenceRequest& request) const;
  Status check_queue(const std::string& user) const;
  double expected_wait_s() const;

  // All below is the scheduler's thread.
  void run();
  bool wait_for_work();
  void step();
  void take_new();
  void end_cancelled_and_late();

  void choose_rows();
  std::int64_t prompt_rows(std::int64_t n_decode) const;
  std::int64_t rows_of(const Sequence& sequence, std::int64_t rows_left) const;
  Sequence* next_prompt(bool with_waiting);
  int class_of(const Sequence& sequence, Clock::time_point now) const;
  bool must_follow(Sequence& sequence);
  bool share_prefix_of(Sequence& leader, Sequence& sequence, std::int64_t usable);
  Admission admit(Sequence& sequence);
  bool make_place(const KvCache& cache, std::int64_t n_rows, std::int64_t largest_step);
  std::optional<KvCache> load_stored(const Sequence& sequence, std::int64_t usable);
  void set_snapshots(Sequence& sequence, std::int64_t common);

  void make_room();
  bool pause_youngest();
  void pause(Sequence& sequence);
  bool evict(bool pinned_too);
  void keep_prefix(const Sequence& sequence, bool is_worth_storing);
  void store_idle();
  void drop_piece(const Sequence& sequence);

  void run_rows();
  void count_step(double ms);
  void finish_rows(const Piece& piece);
  void draw(Sequence& sequence, std::span<const float> logits);

  void start_running(Sequence& sequence);
  void end(Sequence& sequence, SequenceFinish finish, TokenId stop_id = kNoToken,
           std::optional<Error> error = {});
  void fail(Sequence& sequence, Error error) {
    end(sequence, SequenceFinish::Failed, kNoToken, std::move(error));
  }
  void fail_for_memory();
  void end_all();
  Error too_large(const Sequence& sequence, std::int64_t n_rows) const;

  std::int64_t used_bytes() const { return usage_->load(); }
  KvCache empty_cache() const { return KvCache(plan_, usage_); }

  const std::unique_ptr<StepModel> model_;
  const std::shared_ptr<const KvPlan> plan_;
  const SchedulerOptions options_;
  const std::int64_t budget_;
  const std::int64_t prefix_budget_;
  const std::int64_t chunk_;
  const std::shared_ptr<KvUsage> usage_ = std::make_shared<KvUsage>(0);
  const int vocab_size_;

  // --- shared; never held while a sink is called ---
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  bool stop_ = false;
  SequenceId last_id_ = 0;
  std::vector<SequencePtr> new_;
  std::map<SequenceId, SequencePtr> by_id_;
  std::map<std::string, int> n_waiting_of_;  // by user
  SchedulerStats stats_;
  double run_ms_ = 0.0;  // moving average, of a sequence from its admission to its end

  mutable std::mutex prefixes_mutex_;
  PrefixCache prefixes_;
  const std::unique_ptr<PrefixStore> store_;  // null: none

  // --- the thread's own ---
  Sampler sampler_;  // draws for all; the options are swapped in
  FairShare share_;
  StepCost cost_;
  std::vector<SequencePtr> waiting_, running_;  // each in the order of submission
  std::vector<Piece> pieces_;                   // of the step that comes
  std::vector<Piece> ran_;                      // and of the one that has run
  std::vector<StepSegment> segments_;
  std::vector<SoftBatch> soft_;  // of each segment
  std::uint64_t step_no_ = 0;
  bool memory_is_short_ = false;  // the next prompt did not fit; nothing has ended since
  std::thread thread_;
};

}  // namespace fourfold
