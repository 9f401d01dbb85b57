// A command of the user's: run by sh, fed, and killed with all that it started.
//
//   auto process = TRY(ShellProcess::start("espeak-ng --stdin"));
//   process.communicate("Good morning.\n", [] { return !is_interrupted(); });
//   const int status = process.wait();
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <utility>

#include <sys/types.h>
#include <unistd.h>

#include "base/result.h"

namespace fourfold {

// The end of a pipe that is ours, closed when it goes.
class PipeEnd {
 public:
  explicit PipeEnd(int fd = -1) : fd_(fd) {}
  PipeEnd(PipeEnd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  PipeEnd& operator=(PipeEnd&& other) noexcept {
    close();
    fd_ = std::exchange(other.fd_, -1);
    return *this;
  }
  ~PipeEnd() { close(); }

  int fd() const { return fd_; }
  bool is_open() const { return fd_ >= 0; }
  void close() {
    if (fd_ >= 0) ::close(std::exchange(fd_, -1));
  }

 private:
  int fd_;
};

// A child process with pipes to its three streams, the leader of a group of its own.
class ShellProcess {
 public:
  static Result<ShellProcess> start(const std::string& shell);

  // Writes `input` and gathers what comes until the process ends. False: go_on, asked ten times a
  // second, wanted no more, and it was killed.
  bool communicate(std::string_view input, const std::function<bool()>& go_on);
  // Its exit status, 128 + the signal that ended it.
  int wait();

  std::string output, error;  // at most 1 MiB of each

 private:
  ShellProcess(pid_t pid, PipeEnd in, PipeEnd out, PipeEnd err)
      : pid_(pid), in_(std::move(in)), out_(std::move(out)), err_(std::move(err)) {}

  bool has_ended();
  void wait_for_pipes(bool has_input);
  void write_some(std::string_view& input);
  void read_some(PipeEnd& pipe, std::string& text);

  pid_t pid_;
  PipeEnd in_, out_, err_;
  bool has_ended_ = false;
  int status_ = 0;
  bool is_readable_[2] = {false, false};  // out_, err_
};

}  // namespace fourfold
