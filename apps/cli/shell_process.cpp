#include "cli/shell_process.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>

extern char** environ;

namespace fourfold {
namespace {

constexpr std::size_t kMostOutput = 1 << 20;  // bytes; more would not fit into a context

struct Pipe {
  PipeEnd read, write;
};

Result<Pipe> make_pipe() {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return internal_error("pipe: {}", std::strerror(errno));
  return Pipe{PipeEnd(ends[0]), PipeEnd(ends[1])};
}

// Signals act as usual in the child, whatever we ignore or block.
void set_attributes(posix_spawnattr_t& attributes) {
  sigset_t none, ours;
  sigemptyset(&none);
  sigemptyset(&ours);
  for (const int signal : {SIGPIPE, SIGINT, SIGTERM, SIGTSTP}) sigaddset(&ours, signal);
  posix_spawnattr_init(&attributes);
  posix_spawnattr_setpgroup(&attributes, 0);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setsigdefault(&attributes, &ours);
  posix_spawnattr_setflags(&attributes,
                           POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
}

}  // namespace

Result<ShellProcess> ShellProcess::start(const std::string& shell) {
  auto in = TRY(make_pipe()), out = TRY(make_pipe()), err = TRY(make_pipe());
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, in.read.fd(), STDIN_FILENO);
  posix_spawn_file_actions_adddup2(&actions, out.write.fd(), STDOUT_FILENO);
  posix_spawn_file_actions_adddup2(&actions, err.write.fd(), STDERR_FILENO);
  posix_spawnattr_t attributes;
  set_attributes(attributes);
  const std::array<const char*, 4> arguments = {"sh", "-c", shell.c_str(), nullptr};
  pid_t pid = 0;
  const int failed = posix_spawn(&pid, "/bin/sh", &actions, &attributes,
                                 const_cast<char* const*>(arguments.data()), environ);
  posix_spawn_file_actions_destroy(&actions);
  posix_spawnattr_destroy(&attributes);
  if (failed) return internal_error("/bin/sh: {}", std::strerror(failed));
  ::fcntl(in.write.fd(), F_SETFL, O_NONBLOCK);
  return ShellProcess(pid, std::move(in.write), std::move(out.read), std::move(err.read));
}

bool ShellProcess::communicate(std::string_view input, const std::function<bool()>& go_on) {
  while (out_.is_open() || err_.is_open() || !has_ended()) {
    if (!go_on()) {
      ::kill(-pid_, SIGKILL);
      return false;
    }
    wait_for_pipes(!input.empty());
    if (in_.is_open()) write_some(input);
    read_some(out_, output);
    read_some(err_, error);
  }
  return true;
}

int ShellProcess::wait() {
  while (!has_ended_ && ::waitpid(pid_, &status_, 0) < 0 && errno == EINTR) {
  }
  has_ended_ = true;
  return WIFEXITED(status_) ? WEXITSTATUS(status_) : 128 + WTERMSIG(status_);
}

bool ShellProcess::has_ended() {
  if (!has_ended_) has_ended_ = ::waitpid(pid_, &status_, WNOHANG) == pid_;
  return has_ended_;
}

void ShellProcess::wait_for_pipes(bool has_input) {
  // For go_on; without a pipe also for the end, which comes at once then.
  const int look_ms = out_.is_open() || err_.is_open() ? 100 : 2;
  const short in_events = has_input ? POLLOUT : 0;
  pollfd pipes[] = {{in_.fd(), in_events, 0}, {out_.fd(), POLLIN, 0}, {err_.fd(), POLLIN, 0}};
  ::poll(pipes, std::size(pipes), look_ms);
  is_readable_[0] = pipes[1].revents != 0;
  is_readable_[1] = pipes[2].revents != 0;
}

void ShellProcess::write_some(std::string_view& input) {
  const auto n = ::write(in_.fd(), input.data(), input.size());
  if (n > 0) input.remove_prefix(static_cast<std::size_t>(n));
  const bool nobody_reads = n < 0 && errno != EAGAIN && errno != EINTR;
  if (input.empty() || nobody_reads) in_.close();
}

void ShellProcess::read_some(PipeEnd& pipe, std::string& text) {
  if (!is_readable_[&pipe == &err_]) return;
  std::array<char, 4096> buffer;
  const auto n = ::read(pipe.fd(), buffer.data(), buffer.size());
  if (n > 0) {
    const auto room = kMostOutput - std::min(kMostOutput, text.size());
    text.append(buffer.data(), std::min(room, static_cast<std::size_t>(n)));
  } else if (n == 0 || errno != EINTR) {
    pipe.close();
  }
}

}  // namespace fourfold
