#include "cli/speaker.h"

#include <chrono>
#include <utility>

#include "base/utf8.h"
#include "cli/shell_process.h"
#include "cli/signals.h"

namespace fourfold {

Speaker::Speaker(std::string shell) : shell_(std::move(shell)), thread_([this] { work(); }) {}

Speaker::~Speaker() {
  {
    const std::lock_guard lock(mutex_);
    must_end_ = is_silent_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

void Speaker::begin() {
  cutter_.finish();
  const std::lock_guard lock(mutex_);
  is_silent_ = false;
}

void Speaker::say(std::string_view text) {
  auto sentences = cutter_.push(text);
  const std::lock_guard lock(mutex_);
  if (is_silent_) return;
  for (auto& sentence : sentences) waiting_.push_back(std::move(sentence));
  changed_.notify_all();
}

void Speaker::finish() {
  auto rest = cutter_.finish();
  std::unique_lock lock(mutex_);
  if (!rest.empty() && !is_silent_) waiting_.push_back(std::move(rest));
  changed_.notify_all();
  // Looks up now and then: Ctrl-C wakes nobody.
  while (!waiting_.empty() || is_speaking_) {
    changed_.wait_for(lock, std::chrono::milliseconds(100));
    if (is_interrupted()) {
      is_silent_ = true;
      waiting_.clear();
    }
  }
}

void Speaker::silence() {
  const std::lock_guard lock(mutex_);
  is_silent_ = true;
  waiting_.clear();
  changed_.notify_all();
}

std::optional<std::string> Speaker::take_error() {
  const std::lock_guard lock(mutex_);
  return std::exchange(error_, std::nullopt);
}

void Speaker::work() {
  std::unique_lock lock(mutex_);
  while (true) {
    changed_.wait(lock, [&] { return must_end_ || !waiting_.empty(); });
    if (must_end_) return;
    const std::string sentence = std::move(waiting_.front());
    waiting_.pop_front();
    is_speaking_ = true;
    lock.unlock();
    speak(sentence);
    lock.lock();
    is_speaking_ = false;
    changed_.notify_all();
  }
}

void Speaker::speak(const std::string& sentence) {
  const auto is_wanted = [this] {
    const std::lock_guard lock(mutex_);
    return !is_silent_;
  };
  std::string why;
  auto process = ShellProcess::start(shell_);
  if (process.ok()) {
    const bool ended = process->communicate(sentence + '\n', is_wanted);
    const int status = process->wait();
    if (!ended || status == 0) return;
    why = fmt::format("status {}: {}", status, printable(process->error, 200));
  } else {
    why = process.error().message;
  }
  const std::lock_guard lock(mutex_);
  if (!std::exchange(has_failed_, true)) error_ = std::move(why);
}

}  // namespace fourfold
