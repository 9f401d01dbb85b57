// A fixed set of workers for data-parallel loops. The caller works too.
//
//   ThreadPool pool(4);
//   pool.parallel_for(n_rows, 16, [&](std::int64_t begin, std::int64_t end, int worker) { … });
//
// Chunks are handed out dynamically, so a core that is stolen delays one chunk and not half of
// the work. Results must not depend on which worker takes which chunk.
#pragma once

#include <atomic>
#include <cstdint>
#include <thread>
#include <vector>

namespace fourfold {

class ThreadPool {
 public:
  // n_threads >= 1 counts the calling thread. `n_cpus` is what the process may use: with more
  // threads than that, workers sleep at once instead of spinning.
  explicit ThreadPool(int n_threads, int n_cpus = 0);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int n_threads() const { return static_cast<int>(workers_.size()) + 1; }

  // Calls body(begin, end, worker) on disjoint chunks of [0, n), each a multiple of `grain` long
  // but for the last; worker is in [0, n_threads). Returns when all are done. Not reentrant.
  template <class Body>
  void parallel_for(std::int64_t n, std::int64_t grain, const Body& body) {
    if (n <= 0) return;
    if (workers_.empty() || n <= grain) {
      body(std::int64_t{0}, n, 0);
      return;
    }
    run({.call = [](const void* b, std::int64_t begin, std::int64_t end,
                    int worker) { (*static_cast<const Body*>(b))(begin, end, worker); },
         .body = &body,
         .n = n,
         .grain = grain});
  }

 private:
  struct Job {
    void (*call)(const void*, std::int64_t, std::int64_t, int) = nullptr;
    const void* body = nullptr;
    std::int64_t n = 0;
    std::int64_t grain = 1;
  };

  void run(const Job& job);
  void work(int worker);
  void worker_main(int worker);
  bool join();
  void leave();

  std::vector<std::thread> workers_;
  Job job_;  // written while nobody has joined, read by those who have
  int n_spins_ = 0;

  // A job is done when its chunks are: a worker that wakes too late finds it closed and goes back
  // to waiting, so the caller never waits for one that the system did not schedule.
  alignas(64) std::atomic<std::uint32_t> epoch_{0};   // raised once a job, to wake workers
  alignas(64) std::atomic<std::uint32_t> joined_{0};  // bit 31: a job is open; below: who works
  alignas(64) std::atomic<std::int64_t> next_{0};     // first index not handed out
  std::atomic<bool> stop_{false};
};

}  // namespace fourfold
