#include "server/server_signals.h"

#include <csignal>
#include <utility>

namespace fourfold {
namespace {

sigset_t our_signals() {
  sigset_t signals;
  sigemptyset(&signals);
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) sigaddset(&signals, signal);
  return signals;
}

}  // namespace

void ServerSignals::block() {
  const sigset_t signals = our_signals();
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
}

ServerSignals::ServerSignals(Actions actions)
    : actions_(std::move(actions)), thread_([this](std::stop_token stop) { wait(stop); }) {}

ServerSignals::~ServerSignals() {
  thread_.request_stop();
  pthread_kill(thread_.native_handle(), SIGHUP);  // ends its wait
}

void ServerSignals::wait(std::stop_token stop) {
  const sigset_t signals = our_signals();
  bool is_ending = false;
  for (int signal = 0; sigwait(&signals, &signal) == 0 && !stop.stop_requested();) {
    if (signal == SIGHUP) {
      actions_.reload();
    } else {
      is_ending ? actions_.end_now() : actions_.end();
      is_ending = true;
    }
  }
}

}  // namespace fourfold
