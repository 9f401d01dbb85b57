// Who gets rows of a step: classes, users, prompts that share a prefix, admission.
#include <algorithm>
#include <limits>

#include "runtime/scheduler_impl.h"

namespace fourfold {
namespace {

// A step takes so many prefill rows however slow they are, or a prompt would never end.
constexpr std::int64_t kLeastPrefillRows = 16;
constexpr int kHighestClass = 1;
// A prompt that is alone may take a step as long as so many.
constexpr double kAloneSteps = 20.0;

}  // namespace

// --- who gets rows ---

// Every running answer its next row, then rows of prompts as the time allows.
void Scheduler::Impl::choose_rows() {
  pieces_.clear();
  for (const SequencePtr& sequence : running_) {
    if (!sequence->decodes()) continue;
    pieces_.push_back({.sequence = sequence, .n_rows = 1, .decodes = true});
    share_.charge(sequence->request.user, 1);
  }
  std::int64_t rows_left = prompt_rows(static_cast<std::int64_t>(pieces_.size()));
  bool admits = true;
  while (rows_left > 0) {
    Sequence* next = next_prompt(admits);
    if (!next) break;
    next->seen_in_step = step_no_;
    if (!next->running) {
      if (must_follow(*next)) continue;
      const Admission admission = admit(*next);
      if (admission == Admission::MustWait) admits = false;
      if (admission != Admission::Admitted) continue;
    }
    const std::int64_t n = rows_of(*next, rows_left);
    pieces_.push_back({.sequence = next->shared_from_this(), .n_rows = n});
    share_.charge(next->request.user, n);
    rows_left -= n;
  }
  for (Piece& piece : pieces_) {
    const Sequence& sequence = *piece.sequence;
    piece.last_row = static_cast<std::int32_t>(piece.n_rows - 1);
    piece.wants_logits = piece.n_rows == sequence.n_to_run() && sequence.limit > 0;
  }
}

// As many as are left, up to the next snapshot. A block that would be cut waits for a step of its
// own, or makes this one longer.
std::int64_t Scheduler::Impl::rows_of(const Sequence& sequence, std::int64_t rows_left) const {
  const std::int64_t n = std::min({rows_left, sequence.n_to_run(), sequence.rows_to_snapshot()});
  if (!plan_->whole_blocks) return n;
  const std::int64_t done = sequence.cache.length();
  const BlockRange block = cut_block(sequence.request.soft, done + n);
  if (block.empty()) return n;
  return block.first > done ? block.first - done : block.last - done;
}

// How many rows of prompts this step may have.
std::int64_t Scheduler::Impl::prompt_rows(std::int64_t n_decode) const {
  const bool is_alone = running_.size() + waiting_.size() == 1;
  if (!is_alone) return cost_.prefill_rows(n_decode, options_.step_ms, kLeastPrefillRows, chunk_);
  // Nobody waits for a prompt that is alone, and long chunks are cheaper. But it may be cancelled,
  // and somebody may come.
  if (!cost_.knows_prefill()) return chunk_;
  return cost_.prefill_rows(n_decode, kAloneSteps * options_.step_ms, kLeastPrefillRows, chunk_);
}

// Waiting raises to the highest class and no further: there users take turns again, so that old
// prompts of one do not keep out the new ones of another.
int Scheduler::Impl::class_of(const Sequence& sequence, Clock::time_point now) const {
  const int asked = sequence.request.priority;
  const double n_raised = ms_between(sequence.submitted, now) / (1000.0 * options_.raise_s);
  return n_raised >= kHighestClass - asked ? std::max(asked, kHighestClass)
                                           : asked + static_cast<int>(n_raised);
}

// The highest class, there a paused sequence before a new one, then the user whose turn it is, then
// the oldest.
Sequence* Scheduler::Impl::next_prompt(bool with_waiting) {
  const auto now = Clock::now();
  std::vector<Sequence*> best;
  int best_class = std::numeric_limits<int>::min();
  bool best_has_paused = false;
  const auto consider = [&](Sequence& sequence) {
    if (sequence.seen_in_step == step_no_) return;
    const int its_class = class_of(sequence, now);
    if (its_class < best_class) return;
    if (its_class > best_class) {
      best.clear();
      best_class = its_class;
      best_has_paused = false;
    }
    best.push_back(&sequence);
    best_has_paused |= sequence.is_paused();
  };
  for (const SequencePtr& sequence : running_) {
    if (!sequence->decodes()) consider(*sequence);
  }
  if (with_waiting) {
    for (const SequencePtr& sequence : waiting_) consider(*sequence);
  }
  if (best_has_paused) std::erase_if(best, [](const Sequence* s) { return !s->started; });
  if (best.empty()) return nullptr;
  std::vector<const std::string*> users;
  users.reserve(best.size());
  for (const Sequence* sequence : best) users.push_back(&sequence->request.user);
  const std::string& user = *users[share_.choose(users)];
  Sequence* oldest = nullptr;
  for (Sequence* sequence : best) {
    if (sequence->request.user != user) continue;
    if (!oldest || sequence->id < oldest->id) oldest = sequence;
  }
  return oldest;
}

// Whether a prompt that runs now will soon hold a prefix that this one can go on from.
bool Scheduler::Impl::must_follow(Sequence& sequence) {
  if (sequence.leader != 0) {
    const auto leader = std::ranges::find(running_, sequence.leader, &Sequence::id);
    if (leader != running_.end() && (*leader)->cache.length() < sequence.leader_length) return true;
    sequence.leader = 0;
  }
  std::int64_t usable = 0;
  {
    const std::lock_guard lock(prefixes_mutex_);
    usable = prefixes_.find(sequence.reusable()).usable;
  }
  const auto now = Clock::now();
  for (const SequencePtr& other : running_) {
    if (!other->in_prompt() || class_of(*other, now) < class_of(sequence, now)) continue;
    if (share_prefix_of(*other, sequence, usable)) return true;
  }
  return false;
}

bool Scheduler::Impl::share_prefix_of(Sequence& leader, Sequence& sequence, std::int64_t usable) {
  const std::span<const PositionKey> prompt =
      std::span(leader.keys).first(static_cast<std::size_t>(leader.n_prompt));
  const std::int64_t common = whole_blocks(prompt, n_equal(prompt, sequence.reusable()));
  const std::int64_t done = leader.cache.length();
  if (common < usable + kWorthSharing) return false;
  if (common <= done) {
    // It is past the point where the two part; perhaps its rings still go back that far.
    KvCache cache = leader.cache.fork();
    if (cache.lowest_rewind() > common || !cache.rewind(common).ok()) return false;
    const std::lock_guard lock(prefixes_mutex_);
    prefixes_.insert(prompt.first(static_cast<std::size_t>(common)), cache);
    return false;
  }
  const auto behind = std::ranges::upper_bound(leader.snapshots, common);
  std::int64_t point = behind == leader.snapshots.begin() ? 0 : *(behind - 1);
  if (point <= done || point + kWorthSharing < common) {
    point = common;
    leader.add_snapshot(point);
  }
  sequence.leader = leader.id;
  sequence.leader_length = point;
  return true;
}

// --- admission ---

Scheduler::Impl::Admission Scheduler::Impl::admit(Sequence& sequence) {
  const int n_places = std::max(1, options_.max_running);
  const bool is_full = static_cast<int>(running_.size()) >= n_places;
  if (is_full || memory_is_short_) return Admission::MustWait;
  const auto n_ids = static_cast<std::int64_t>(sequence.ids.size());
  std::int64_t n_rows = n_ids + std::min(kAnswerRows, sequence.limit - sequence.n_drawn());
  const auto needed = [&] { return plan_->bytes(n_rows, sequence.largest_block); };
  if (sequence.started && needed() > budget_) n_rows = n_ids;  // it goes on
  if (needed() > budget_) {
    fail(sequence, too_large(sequence, n_rows));
    return Admission::Failed;
  }
  PrefixCache::Match match;
  std::optional<KvCache> cached;
  {
    const std::lock_guard lock(prefixes_mutex_);
    match = prefixes_.find(sequence.reusable());
    cached = prefixes_.take(sequence.reusable());
  }
  KvCache cache = cached ? std::move(*cached) : empty_cache();
  cached.reset();
  if (!make_place(cache, n_rows - cache.length(), sequence.largest_block)) {
    memory_is_short_ = true;
    return Admission::MustWait;
  }
  if (auto stored = load_stored(sequence, cache.length())) cache = std::move(*stored);
  sequence.cache = std::move(cache);
  sequence.reserved_rows = n_rows;
  set_snapshots(sequence, match.common);
  start_running(sequence);
  return Admission::Admitted;
}

void Scheduler::Impl::set_snapshots(Sequence& sequence, std::int64_t common) {
  sequence.snapshots.clear();
  const std::int64_t done = sequence.cache.length();
  const auto add = [&](std::int64_t length) {
    if (length > done && length < sequence.n_prompt) sequence.add_snapshot(length);
  };
  for (const std::int64_t length : sequence.request.branch_points) add(length);
  if (common >= done + kWorthSharing) add(common);
  const std::lock_guard lock(prefixes_mutex_);
  for (const std::int64_t length : prefixes_.pinned_lengths(sequence.keys)) add(length);
  if (done < sequence.n_prompt) sequence.add_snapshot(sequence.n_prompt);
}

void Scheduler::Impl::start_running(Sequence& sequence) {
  const bool is_new = !sequence.started;
  const SequencePtr held = sequence.shared_from_this();
  std::erase(waiting_, held);
  running_.insert(std::ranges::upper_bound(running_, sequence.id, {}, &Sequence::id), held);
  sequence.running = true;
  sequence.started = true;
  const std::int64_t n_cached = sequence.cache.length();
  {
    const std::lock_guard lock(mutex_);
    ++stats_.n_running;
    if (!is_new) {
      --stats_.n_paused;
    } else {
      --stats_.n_waiting;
      if (--n_waiting_of_[sequence.request.user] == 0) n_waiting_of_.erase(sequence.request.user);
      stats_.lookup_tokens += static_cast<std::uint64_t>(sequence.n_prompt);
      stats_.hit_tokens += static_cast<std::uint64_t>(n_cached);
    }
  }
  if (!is_new) return;
  sequence.admitted = Clock::now();
  sequence.sink->on_start(n_cached);
}

}  // namespace fourfold
