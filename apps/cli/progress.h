// A line on the terminal that shows how far a phase has come. It appears after half a second and is
// erased at the end.
//
//   Progress progress("prefill", context);
//   … progress.update(done, total);
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <string>
#include <thread>

#include "cli/command.h"

namespace fourfold {

class Progress {
 public:
  // Does nothing with -q and where standard error is no terminal.
  Progress(std::string phase, const Context& context);
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  // Until the first call only the time is shown. Any thread.
  void update(std::int64_t done, std::int64_t total);

 private:
  using Clock = std::chrono::steady_clock;

  void draw_until_stopped(const std::stop_token& stop);
  std::string line() const;

  const std::string phase_;
  const Clock::time_point start_ = Clock::now();
  std::atomic<std::int64_t> done_ = 0, total_ = 0;
  std::jthread thread_;  // last: it uses the others
};

}  // namespace fourfold
