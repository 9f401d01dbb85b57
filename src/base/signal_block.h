// Signals belong to the program's own threads: a worker that took one would leave a thread that
// waits for input asleep. New threads inherit the mask of the one that starts them:
//
//   const SignalBlock block;
//   thread_ = std::thread(…);
#pragma once

#include <csignal>

namespace fourfold {

// While it lives, this thread takes no signals.
class SignalBlock {
 public:
  SignalBlock() {
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &before_);
  }
  ~SignalBlock() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
  SignalBlock(const SignalBlock&) = delete;
  SignalBlock& operator=(const SignalBlock&) = delete;

 private:
  sigset_t before_;
};

}  // namespace fourfold
