#include "cli/progress.h"

#include <condition_variable>
#include <mutex>

#include <unistd.h>

#include "cli/signals.h"

namespace fourfold {
namespace {

using namespace std::chrono_literals;

void write_to_terminal(const std::string& text) {
  // Nothing can be done about a terminal that is gone.
  [[maybe_unused]] const auto written = ::write(STDERR_FILENO, text.data(), text.size());
}

// False: stopped before the time was over.
bool wait(const std::stop_token& stop, std::chrono::milliseconds time) {
  std::mutex mutex;
  std::condition_variable_any changed;
  std::unique_lock lock(mutex);
  changed.wait_for(lock, stop, time, [] { return false; });
  return !stop.stop_requested();
}

std::string bar(double fraction) {
  constexpr int kWidth = 24;
  const int full = static_cast<int>(fraction * kWidth);
  std::string text = "[";
  for (int i = 0; i < kWidth; ++i) text += i < full ? '#' : '-';
  return text + "]";
}

}  // namespace

Progress::Progress(std::string phase, const Context& context) : phase_(std::move(phase)) {
  if (context.quiet || !is_capable_terminal(STDERR_FILENO)) return;
  thread_ = std::jthread([this](const std::stop_token& stop) { draw_until_stopped(stop); });
}

Progress::~Progress() = default;

void Progress::update(std::int64_t done, std::int64_t total) {
  done_ = done;
  total_ = total;
}

void Progress::draw_until_stopped(const std::stop_token& stop) {
  if (!wait(stop, 500ms)) return;
  set_erase_at_end(true);
  do {
    write_to_terminal("\r" + line() + "\033[K");
  } while (wait(stop, 100ms));
  write_to_terminal("\r\033[K");
  set_erase_at_end(false);
}

std::string Progress::line() const {
  const std::chrono::duration<double> elapsed = Clock::now() - start_;
  const std::int64_t done = done_, total = total_;
  if (total <= 0) return fmt::format("{} {:.1f} s", phase_, elapsed.count());
  const double fraction = static_cast<double>(done) / static_cast<double>(total);
  return fmt::format("{} {} {}/{} {:.1f} s", phase_, bar(fraction), done, total, elapsed.count());
}

}  // namespace fourfold
