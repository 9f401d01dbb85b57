#include "cli/signals.h"

#include <atomic>
#include <cerrno>
#include <climits>
#include <csignal>
#include <cstring>
#include <ctime>

#include <poll.h>
#include <termios.h>
#include <unistd.h>

#include "cli/command.h"

// Everything that a handler calls is on POSIX's list of async-signal-safe functions.
namespace fourfold {
namespace {

std::atomic<bool> flag_only{false};
std::atomic<bool> interrupted{false};
std::atomic<bool> redraw{false};
std::atomic<bool> erase_at_end{false};
std::atomic<long> last_interrupt_ms{-1'000'000};
static_assert(std::atomic<long>::is_always_lock_free && std::atomic<bool>::is_always_lock_free);

char unfinished_file[PATH_MAX];
std::atomic<bool> has_unfinished_file{false};

bool has_terminal = false;
termios original_terminal;

long now_ms() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1000 + now.tv_nsec / 1'000'000;
}

[[noreturn]] void end_now(int status) {
  if (has_unfinished_file) ::unlink(unfinished_file);
  constexpr char kEraseLine[] = "\r\033[K";
  if (erase_at_end && ::write(STDERR_FILENO, kEraseLine, sizeof kEraseLine - 1) < 0) _exit(status);
  if (has_terminal) tcsetattr(STDIN_FILENO, TCSANOW, &original_terminal);
  _exit(status);
}

void on_interrupt(int) {
  constexpr long kSoon_ms = 1000;
  const long now = now_ms();
  const bool is_second = now - last_interrupt_ms.exchange(now) < kSoon_ms;
  if (!flag_only || is_second) end_now(kExitInterrupted);
  interrupted = true;
}

void on_terminate(int) { end_now(143); }

// The shell gets its terminal while we are stopped, and we ours when we go on.
void on_stop(int) {
  const int saved_errno = errno;
  termios ours;
  const bool restore = has_terminal && tcgetattr(STDIN_FILENO, &ours) == 0;
  if (restore) tcsetattr(STDIN_FILENO, TCSANOW, &original_terminal);
  raise(SIGSTOP);
  if (restore) tcsetattr(STDIN_FILENO, TCSANOW, &ours);
  redraw = true;
  errno = saved_errno;
}

void on_resize(int) { redraw = true; }

// Without SA_RESTART: a read that waits for the user returns.
void handle(int signal, void (*handler)(int)) {
  struct sigaction action {};
  action.sa_handler = handler;
  sigaction(signal, &action, nullptr);
}

}  // namespace

void end_on_signals() {
  has_terminal = tcgetattr(STDIN_FILENO, &original_terminal) == 0;
  handle(SIGINT, on_interrupt);
  handle(SIGTERM, on_terminate);
}

void raise_flag_on_interrupt() {
  flag_only = true;
  handle(SIGTSTP, on_stop);
  handle(SIGWINCH, on_resize);
}

bool is_interrupted() { return interrupted; }
void clear_interrupt() { interrupted = false; }

void wait_for_input() {
  sigset_t ours, before;
  sigemptyset(&ours);
  for (const int signal : {SIGINT, SIGTSTP, SIGWINCH}) sigaddset(&ours, signal);
  pthread_sigmask(SIG_BLOCK, &ours, &before);
  if (!interrupted && !redraw) {
    pollfd input{.fd = STDIN_FILENO, .events = POLLIN, .revents = 0};
    ppoll(&input, 1, nullptr, &before);
  }
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

void remove_at_end(const std::string& path) {
  has_unfinished_file = false;
  if (path.size() >= sizeof unfinished_file) return;
  std::memcpy(unfinished_file, path.c_str(), path.size() + 1);
  has_unfinished_file = true;
}

bool take_redraw() { return redraw.exchange(false); }
void set_erase_at_end(bool erase) { erase_at_end = erase; }

}  // namespace fourfold
