#include "base/thread_pool.h"

#include <algorithm>

#include "base/check.h"
#include "base/signal_block.h"

namespace fourfold {
namespace {

// Some 30 µs of spinning cover the gap between two phases of a layer.
constexpr int kSpins = 2000;

constexpr std::uint32_t kOpen = 1u << 31;

inline void cpu_relax() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

}  // namespace

ThreadPool::ThreadPool(int n_threads, int n_cpus) {
  CHECK(n_threads >= 1);
  if (n_cpus <= 0) n_cpus = static_cast<int>(std::thread::hardware_concurrency());
  n_spins_ = n_threads <= n_cpus ? kSpins : 0;
  const SignalBlock block;
  workers_.reserve(static_cast<std::size_t>(n_threads - 1));
  for (int worker = 1; worker < n_threads; ++worker) {
    workers_.emplace_back([this, worker] { worker_main(worker); });
  }
}

ThreadPool::~ThreadPool() {
  stop_.store(true, std::memory_order_relaxed);
  epoch_.fetch_add(1, std::memory_order_release);
  epoch_.notify_all();
  for (auto& worker : workers_) worker.join();
}

void ThreadPool::run(const Job& job) {
  job_ = job;
  next_.store(0, std::memory_order_relaxed);
  joined_.store(kOpen, std::memory_order_release);
  epoch_.fetch_add(1, std::memory_order_release);
  epoch_.notify_all();
  work(0);
  auto joined = joined_.fetch_and(~kOpen, std::memory_order_acq_rel) & ~kOpen;
  for (int spins = 0; joined != 0; ++spins) {
    if (spins < n_spins_) {
      cpu_relax();
    } else {
      joined_.wait(joined, std::memory_order_acquire);
    }
    joined = joined_.load(std::memory_order_acquire);
  }
}

// Enters the open job; false when there is none.
bool ThreadPool::join() {
  auto joined = joined_.load(std::memory_order_relaxed);
  while (joined & kOpen) {
    if (joined_.compare_exchange_weak(joined, joined + 1, std::memory_order_acquire,
                                      std::memory_order_relaxed)) {
      return true;
    }
  }
  return false;
}

void ThreadPool::leave() {
  if (joined_.fetch_sub(1, std::memory_order_acq_rel) == 1) joined_.notify_one();
}

void ThreadPool::work(int worker) {
  // Large chunks first, smaller ones towards the end: few hand-outs, little waiting.
  const std::int64_t n = job_.n;
  const std::int64_t grain = job_.grain;
  const std::int64_t n_shares = 4 * n_threads();
  const std::int64_t least = std::max<std::int64_t>(1, n / grain / (4 * n_shares));
  std::int64_t begin = next_.load(std::memory_order_relaxed);
  while (begin < n) {
    const std::int64_t chunk = std::max(least, (n - begin) / grain / n_shares) * grain;
    if (!next_.compare_exchange_weak(begin, begin + chunk, std::memory_order_relaxed)) continue;
    job_.call(job_.body, begin, std::min(n, begin + chunk), worker);
    begin = next_.load(std::memory_order_relaxed);
  }
}

void ThreadPool::worker_main(int worker) {
  std::uint32_t seen = 0;
  while (true) {
    std::uint32_t epoch = epoch_.load(std::memory_order_acquire);
    for (int spins = 0; epoch == seen; ++spins) {
      if (spins < n_spins_) {
        cpu_relax();
      } else {
        epoch_.wait(seen, std::memory_order_acquire);
      }
      epoch = epoch_.load(std::memory_order_acquire);
    }
    seen = epoch;
    if (stop_.load(std::memory_order_relaxed)) return;
    if (!join()) continue;
    work(worker);
    leave();
  }
}

}  // namespace fourfold
