#include "server/http/worker_threads.h"

#include <system_error>
#include <utility>

namespace fourfold {

WorkerThreads::WorkerThreads(int most_threads, std::chrono::milliseconds idle_time)
    : most_threads_(most_threads), idle_time_(idle_time) {}

WorkerThreads::~WorkerThreads() {
  std::unique_lock lock(mutex_);
  is_ending_ = true;
  has_task_.notify_all();
  while (!threads_.empty()) {
    std::thread thread = std::move(threads_.begin()->second);
    threads_.erase(threads_.begin());
    lock.unlock();
    thread.join();
    lock.lock();
  }
  join_ended(lock);
}

bool WorkerThreads::run(std::function<void()> task) {
  std::unique_lock lock(mutex_);
  join_ended(lock);
  tasks_.push_back(std::move(task));
  const auto n_tasks = static_cast<int>(tasks_.size());
  if (n_tasks > n_idle_ && static_cast<int>(threads_.size()) < most_threads_) {
    try {
      std::thread thread([this] { work(); });
      const auto id = thread.get_id();
      threads_.emplace(id, std::move(thread));
    } catch (const std::system_error&) {
      if (threads_.empty()) {
        tasks_.pop_back();
        return false;
      }
    }
  }
  has_task_.notify_one();
  return true;
}

int WorkerThreads::n_threads() const {
  const std::lock_guard lock(mutex_);
  return static_cast<int>(threads_.size());
}

void WorkerThreads::work() {
  std::unique_lock lock(mutex_);
  while (true) {
    ++n_idle_;
    has_task_.wait_for(lock, idle_time_, [this] { return !tasks_.empty() || is_ending_; });
    --n_idle_;
    if (tasks_.empty()) break;
    auto task = std::move(tasks_.front());
    tasks_.pop_front();
    lock.unlock();
    task();
    task = nullptr;  // what it holds is let go outside the lock
    lock.lock();
  }
  // Gone already if the destructor waits for this thread.
  const auto self = threads_.find(std::this_thread::get_id());
  if (self == threads_.end()) return;
  ended_.push_back(std::move(self->second));
  threads_.erase(self);
}

void WorkerThreads::join_ended(std::unique_lock<std::mutex>& lock) {
  std::vector<std::thread> ended;
  ended.swap(ended_);
  lock.unlock();
  for (auto& thread : ended) thread.join();
  lock.lock();
}

}  // namespace fourfold
