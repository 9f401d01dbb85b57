// Memory: places for what is admitted, room for the rows of a step, and the prefixes that live on
// what is left.
#include <algorithm>
#include <unordered_set>

#include "runtime/scheduler_impl.h"

namespace fourfold {
namespace {

// The latest prefixes stay as long as running sequences leave room for them: one long conversation
// needs its last turn, however small the share of prefixes is.
constexpr std::size_t kLeastPrefixes = 4;

}  // namespace

// Evicts prefixes until this cache can take n_rows more beside what others were promised. Evicts
// nothing if that would not suffice.
bool Scheduler::Impl::make_place(const KvCache& cache, std::int64_t n_rows,
                                 std::int64_t largest_step) {
  std::int64_t promised = 0;
  for (const SequencePtr& other : running_) {
    promised +=
        other->cache.room_bytes(other->reserved_rows - other->cache.length(), other->largest_block);
  }
  const auto most = [&] { return budget_ - promised - cache.room_bytes(n_rows, largest_step); };
  if (used_bytes() <= most()) return true;
  if (running_.empty()) {
    // Alone it fits, whatever the others are worth.
    while (used_bytes() > most() && evict(true)) {
    }
    return true;
  }
  std::unordered_set<const void*> seen;
  std::int64_t stays = cache.size_bytes(seen);
  for (const SequencePtr& other : running_) stays += other->cache.size_bytes(seen);
  {
    const std::lock_guard lock(prefixes_mutex_);
    stays += prefixes_.pinned_bytes(seen);
  }
  if (stays > most()) return false;
  while (used_bytes() > most() && evict(false)) {
  }
  return used_bytes() <= most();
}

void Scheduler::Impl::make_room() {
  const auto needed = [&] {
    std::int64_t total = 0;
    for (const Piece& piece : pieces_) {
      total += piece.sequence->cache.room_bytes(piece.n_rows, piece.n_rows);
    }
    return total;
  };
  while (!pieces_.empty() && used_bytes() + needed() > budget_) {
    if (!evict(false) && !pause_youngest() && !evict(true)) {
      Sequence& last = *pieces_.front().sequence;
      fail(last, too_large(last, last.cache.length() + pieces_.front().n_rows));
    }
  }
  // The plan holds, but the machine may have less than was planned.
  const std::vector<Piece> pieces = pieces_;
  for (const Piece& piece : pieces) {
    while (true) {
      const Status status = piece.sequence->cache.make_room(piece.n_rows);
      if (status.ok()) break;
      if (evict(false)) continue;
      if (running_.size() > 1) {
        pause(*piece.sequence);
      } else if (!evict(true)) {
        fail(*piece.sequence, status.error());
      } else {
        continue;
      }
      break;
    }
  }
}

// Of the lowest class the one that came last, unless it is the only one.
bool Scheduler::Impl::pause_youngest() {
  if (running_.size() < 2) return false;
  Sequence* victim = running_.front().get();
  for (const SequencePtr& sequence : running_) {
    if (sequence->request.priority <= victim->request.priority) victim = sequence.get();
  }
  pause(*victim);
  return true;
}

// Its tokens are kept, and computed again later: with the same bits.
void Scheduler::Impl::pause(Sequence& sequence) {
  drop_piece(sequence);
  const SequencePtr held = sequence.shared_from_this();
  std::erase(running_, held);
  waiting_.insert(std::ranges::upper_bound(waiting_, sequence.id, {}, &Sequence::id), held);
  sequence.running = false;
  sequence.cache = empty_cache();
  sequence.reserved_rows = 0;
  sequence.leader = 0;
  const std::lock_guard lock(mutex_);
  --stats_.n_running;
  ++stats_.n_paused;
  ++stats_.n_preemptions;
}

// Frees memory of prefixes; false when there is nothing left to free.
bool Scheduler::Impl::evict(bool pinned_too) {
  if (store_ && store_->finish_one()) return true;
  std::optional<CachedPrefix> evicted;
  {
    const std::lock_guard lock(prefixes_mutex_);
    evicted = prefixes_.evict_oldest();
    if (!evicted && pinned_too) evicted = prefixes_.evict_oldest_pinned();
  }
  if (!evicted) return false;
  if (store_ && evicted->to_store) store_->add(std::move(*evicted));
  return true;
}

// Puts what the sequence has computed into the prefix cache.
void Scheduler::Impl::keep_prefix(const Sequence& sequence, bool is_worth_storing) {
  const std::int64_t length = sequence.cache.length();
  const bool may_store = store_ && is_worth_storing && length >= options_.store.least_tokens;
  std::vector<CachedPrefix> evicted;
  {
    const std::lock_guard lock(prefixes_mutex_);
    prefixes_.insert(sequence.computed(), sequence.cache, may_store);
    while (prefixes_.size_bytes() > prefix_budget_ && prefixes_.n_evictable() > kLeastPrefixes) {
      auto oldest = prefixes_.evict_oldest();
      if (oldest->to_store) evicted.push_back(std::move(*oldest));
    }
  }
  for (CachedPrefix& prefix : evicted) store_->add(std::move(prefix));
}

// Writes what has not been used for long, one at a time.
void Scheduler::Impl::store_idle() {
  if (!store_) return;
  store_->collect();
  if (store_->is_busy()) return;
  const std::chrono::duration<double> idle(options_.store.idle_s);
  const auto since = Clock::now() - std::chrono::duration_cast<Clock::duration>(idle);
  std::optional<CachedPrefix> prefix;
  {
    const std::lock_guard lock(prefixes_mutex_);
    if (prefixes_.has_unstored()) prefix = prefixes_.take_idle(since);
  }
  if (prefix) store_->add(std::move(*prefix));
}

// A prefix from the disk, if it is much longer than what memory holds.
std::optional<KvCache> Scheduler::Impl::load_stored(const Sequence& sequence, std::int64_t usable) {
  if (!store_) return std::nullopt;
  const std::int64_t n_stored = store_->find(sequence.reusable());
  if (n_stored < usable + options_.store.least_tokens) return std::nullopt;
  return store_->load(sequence.reusable());
}

void Scheduler::Impl::drop_piece(const Sequence& sequence) {
  std::erase_if(pieces_, [&](const Piece& piece) { return piece.sequence.get() == &sequence; });
}

Error Scheduler::Impl::too_large(const Sequence& sequence, std::int64_t n_rows) const {
  return resource_exhausted(
      "a prompt of {} tokens and {} of the answer need {} bytes of K/V memory, there are {}",
      sequence.n_prompt, n_rows - sequence.n_prompt, plan_->bytes(n_rows, sequence.largest_block),
      budget_);
}

}  // namespace fourfold
