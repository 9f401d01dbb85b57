// Threads for work that may block: made when there is more to do than idle ones, kept for a while.
#pragma once

#include <chrono>
#include <condition_variable>
#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <thread>
#include <vector>

namespace fourfold {

class WorkerThreads {
 public:
  // A thread without work ends after `idle_time`.
  WorkerThreads(int most_threads, std::chrono::milliseconds idle_time);
  ~WorkerThreads();  // waits until all that was given is done
  WorkerThreads(const WorkerThreads&) = delete;
  WorkerThreads& operator=(const WorkerThreads&) = delete;

  // False if the system gives no thread and there is none.
  bool run(std::function<void()> task);
  int n_threads() const;

 private:
  void work();
  void join_ended(std::unique_lock<std::mutex>& lock);

  const int most_threads_;
  const std::chrono::milliseconds idle_time_;
  mutable std::mutex mutex_;
  std::condition_variable has_task_;
  std::deque<std::function<void()>> tasks_;
  std::map<std::thread::id, std::thread> threads_;
  std::vector<std::thread> ended_;  // still to be joined
  int n_idle_ = 0;
  bool is_ending_ = false;
};

}  // namespace fourfold
