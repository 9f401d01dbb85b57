// Memory that many requests share: who does not fit waits for the others.
//
//   const auto pass = TRY(gate.enter(bytes, go_on));   // until it goes out of scope
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>

#include "base/resources.h"
#include "base/result.h"

namespace fourfold {

class MemoryGate {
 public:
  using Pass = std::shared_ptr<const void>;

  explicit MemoryGate(std::uint64_t limit_bytes) : limit_(limit_bytes) {}

  // ResourceExhausted for what would not fit alone; Cancelled when go_on, asked while it waits,
  // says false. The gate outlives its passes.
  Result<Pass> enter(std::uint64_t bytes, const std::function<bool()>& go_on) {
    if (bytes > limit_) {
      return resource_exhausted("decoding needs {}, the limit is {}", format_size(bytes),
                                format_size(limit_));
    }
    std::unique_lock lock(mutex_);
    while (used_ + bytes > limit_) {
      if (go_on && !go_on()) return Error{Code::Cancelled, "stopped"};
      changed_.wait_for(lock, std::chrono::milliseconds(20));
    }
    used_ += bytes;
    return Pass(this, [this, bytes](const void*) { leave(bytes); });
  }

 private:
  void leave(std::uint64_t bytes) {
    {
      const std::lock_guard lock(mutex_);
      used_ -= bytes;
    }
    changed_.notify_all();
  }

  const std::uint64_t limit_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::uint64_t used_ = 0;
};

}  // namespace fourfold
