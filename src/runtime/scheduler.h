// Runs many sequences on one model: who is next, what goes into a step, what has to wait.
//
//   Scheduler scheduler(std::move(model), plan, rules, {.context = 8192, .kv_budget_bytes = …});
//   const auto id = TRY(scheduler.submit(request, sink));   // sink hears of every token
//   scheduler.cancel(id);                                    // within one step
//
// One thread of its own does all the work. Each step gives every running sequence its decode row,
// then rows of waiting prompts, as many as keep the step short, a picture always whole where its
// rows see each other (http-apis.md 6.5). The tokens of a sequence do not depend on its company
// (docs/decisions/0003-same-bits.md).
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "grammar/token_mask.h"
#include "runtime/kv_plan.h"
#include "runtime/position_key.h"
#include "runtime/prefix_store.h"
#include "runtime/sampler.h"
#include "runtime/step_model.h"

namespace fourfold {

using SequenceId = std::uint64_t;

struct SequenceRequest {
  std::vector<TokenId> prompt;  // not empty, shorter than the context
  std::vector<SoftSpan> soft;   // rows of media in the prompt, with their values; ascending
  SampleOptions sampling;
  std::int64_t max_tokens = -1;   // −1: as many as the context holds
  std::vector<TokenId> stop_ids;  // end the answer
  // Lengths of the prompt at which other prompts are likely to part from this one (behind the tools
  // and the system text, in front of the newest turn), ascending: the prefix cache keeps them.
  std::vector<std::int64_t> branch_points;

  std::string user;  // for fairness: name of the key, or address
  int priority = 0;  // −1, 0, 1; a higher class goes first
  std::optional<std::chrono::steady_clock::time_point> deadline;
};

enum class SequenceFinish { Stop, Length, ContextFull, Ended, Cancelled, Failed };

struct SequenceEnd {
  SequenceFinish finish = SequenceFinish::Stop;  // Ended: the sink wanted no more
  TokenId stop_id = kNoToken;                    // of Stop
  std::optional<Error> error;                    // of Failed; DeadlineExceeded among them
  double queue_ms = 0.0;
  double prefill_ms = 0.0;  // from admission to the first token
  double decode_ms = 0.0;   // from the first token to the last
};

// Hears of one sequence, on the scheduler's thread; must not block.
class SequenceSink {
 public:
  virtual ~SequenceSink() = default;

  // The prompt is admitted; this many of its tokens need not run.
  virtual void on_start(std::int64_t cached_tokens) = 0;
  // Rows of the prompt done, the cached ones among them.
  virtual void on_prefill(std::int64_t done, std::int64_t total) = 0;
  // What may come next, or null; told of every token before on_token.
  virtual TokenMask* mask() = 0;
  // A token that was drawn, stop ids excluded. False: the answer ends here.
  virtual bool on_token(SampledToken token) = 0;
  // The last call.
  virtual void on_end(SequenceEnd end) = 0;
};

struct SchedulerOptions {
  std::int64_t context = 0;           // tokens of a sequence, prompt and answer
  std::uint64_t kv_budget_bytes = 0;  // of all running sequences and cached prefixes; 0: no limit
  int max_running = 64;
  // Of those that find no free place among the running ones.
  int max_queue = 64;           // more: Unavailable "queue_full"
  int max_queue_per_user = 16;  // more: ResourceExhausted "rate_limit_exceeded"
  int chunk = 256;              // most prefill rows of a step
  double step_ms = 100.0;       // what prefill rows may make of a step
  double raise_s = 10.0;        // a prompt that waits for so long rises by a class, at most to 1
  // What cached prefixes may take of the budget; 0: a quarter of it, at most 2 GiB.
  std::uint64_t prefix_budget_bytes = 0;
  PrefixStoreOptions store;  // cached prefixes on disk
};

// A snapshot for /metrics and /slots; counters since the start.
struct SchedulerStats {
  int n_running = 0, n_waiting = 0, n_paused = 0;
  std::uint64_t kv_bytes = 0;  // running sequences and cached prefixes, shared blocks once
  std::uint64_t kv_budget_bytes = 0;
  std::uint64_t n_cached_prefixes = 0;
  std::uint64_t prompt_tokens = 0;  // computed
  std::uint64_t generated_tokens = 0;
  double prompt_seconds = 0.0, generation_seconds = 0.0;
  std::uint64_t lookup_tokens = 0, hit_tokens = 0;  // of the prefix cache
  std::uint64_t n_steps = 0, n_step_rows = 0, n_decode_steps = 0, n_decode_rows = 0;
  std::uint64_t n_preemptions = 0;
  std::int64_t longest_sequence = 0;
  PrefixStoreStats store;
};

class Scheduler {
 public:
  Scheduler(std::unique_ptr<StepModel> model, std::shared_ptr<const KvPlan> plan,
            SamplerRules rules, SchedulerOptions options);
  // Cancels what runs and waits.
  ~Scheduler();

  // Errors: InvalidArgument (options of the sampler), ResourceExhausted "context_length_exceeded",
  // "rate_limit_exceeded", Unavailable "queue_full", the last two with retry_after_s. After an
  // error the sink is not called.
  Result<SequenceId> submit(SequenceRequest request, std::shared_ptr<SequenceSink> sink);
  // No effect on a sequence that has ended. Its end comes from the scheduler's thread.
  void cancel(SequenceId id);

  // How many leading positions of this prompt the prefix cache holds now, in memory or on disk.
  std::int64_t cached_prefix(std::span<const PositionKey> prompt) const;
  // This prefix survives eviction until it is let go; once per call of pin_prefix. It is kept when
  // a sequence has computed it, before or after the call.
  void pin_prefix(std::vector<PositionKey> prefix);
  void unpin_prefix(const std::vector<PositionKey>& prefix);
  // All in memory but the pinned ones.
  void clear_prefixes();

  SchedulerStats stats() const;
  bool is_idle() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace fourfold
