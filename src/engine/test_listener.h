// For tests: keeps what a sequence says and waits for its end.
#pragma once

#include <condition_variable>
#include <mutex>
#include <utility>
#include <vector>

#include "runtime/scheduler.h"

namespace fourfold {

class Listener : public SequenceSink {
 public:
  void on_start(std::int64_t cached_tokens) override { cached = cached_tokens; }
  void on_prefill(std::int64_t, std::int64_t) override {}
  TokenMask* mask() override { return nullptr; }
  bool on_token(SampledToken token) override {
    tokens.push_back(std::move(token));
    return true;
  }
  void on_end(SequenceEnd report) override {
    const std::lock_guard lock(mutex_);
    end = std::move(report);
    has_ended_ = true;
    changed_.notify_all();
  }
  void wait() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return has_ended_; });
  }

  std::int64_t cached = -1;
  std::vector<SampledToken> tokens;
  SequenceEnd end;

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool has_ended_ = false;
};

}  // namespace fourfold
