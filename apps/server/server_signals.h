// The signals of a server, taken by a thread of their own.
#pragma once

#include <functional>
#include <thread>

namespace fourfold {

class ServerSignals {
 public:
  struct Actions {
    std::function<void()> end;      // SIGTERM or SIGINT, the first time
    std::function<void()> end_now;  // … and each time after that
    std::function<void()> reload;   // SIGHUP
  };

  // Before other threads are started, which must not be given these signals.
  static void block();

  explicit ServerSignals(Actions actions);
  ~ServerSignals();
  ServerSignals(const ServerSignals&) = delete;
  ServerSignals& operator=(const ServerSignals&) = delete;

 private:
  void wait(std::stop_token stop);

  Actions actions_;
  std::jthread thread_;
};

}  // namespace fourfold
