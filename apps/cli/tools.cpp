#include "cli/tools.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstring>

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/utf8.h"
#include "chat/request_json.h"
#include "cli/input.h"
#include "cli/signals.h"

extern char** environ;

namespace fourfold {
namespace {

constexpr std::size_t kMostOutput = 1 << 20;  // bytes; more would not fit into a context
constexpr std::size_t kMostError = 2000;

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

struct Pipe {
  PipeEnd read, write;
};

Result<Pipe> make_pipe() {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return internal_error("pipe: {}", std::strerror(errno));
  return Pipe{PipeEnd(ends[0]), PipeEnd(ends[1])};
}

// A child process with pipes to its three streams, the leader of a group of its own.
class ShellProcess {
 public:
  static Result<ShellProcess> start(const std::string& shell) {
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

  // Writes `input` and gathers what comes until the process ends. False: it was killed, because the
  // time was up or the person interrupted.
  bool communicate(std::string_view input, int timeout_s) {
    using Clock = std::chrono::steady_clock;
    const auto deadline = Clock::now() + std::chrono::seconds(timeout_s);
    while (out_.is_open() || err_.is_open() || !has_ended()) {
      if (Clock::now() >= deadline || is_interrupted()) {
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

  // Its exit status, 128 + the signal that ended it.
  int wait() {
    while (!has_ended_ && ::waitpid(pid_, &status_, 0) < 0 && errno == EINTR) {
    }
    has_ended_ = true;
    return WIFEXITED(status_) ? WEXITSTATUS(status_) : 128 + WTERMSIG(status_);
  }

  std::string output, error;

 private:
  ShellProcess(pid_t pid, PipeEnd in, PipeEnd out, PipeEnd err)
      : pid_(pid), in_(std::move(in)), out_(std::move(out)), err_(std::move(err)) {}

  // Signals act as usual in the child, whatever we ignore or block.
  static void set_attributes(posix_spawnattr_t& attributes) {
    sigset_t none, ours;
    sigemptyset(&none);
    sigemptyset(&ours);
    for (const int signal : {SIGPIPE, SIGINT, SIGTERM, SIGTSTP}) sigaddset(&ours, signal);
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setpgroup(&attributes, 0);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setsigdefault(&attributes, &ours);
    posix_spawnattr_setflags(
        &attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  }

  bool has_ended() {
    if (!has_ended_) has_ended_ = ::waitpid(pid_, &status_, WNOHANG) == pid_;
    return has_ended_;
  }

  void wait_for_pipes(bool has_input) {
    // For the deadline and interrupts; without a pipe also for the end, which comes at once then.
    const int look_ms = out_.is_open() || err_.is_open() ? 100 : 2;
    const short in_events = has_input ? POLLOUT : 0;
    pollfd pipes[] = {{in_.fd(), in_events, 0}, {out_.fd(), POLLIN, 0}, {err_.fd(), POLLIN, 0}};
    ::poll(pipes, std::size(pipes), look_ms);
    is_readable_[0] = pipes[1].revents != 0;
    is_readable_[1] = pipes[2].revents != 0;
  }

  void write_some(std::string_view& input) {
    const auto n = ::write(in_.fd(), input.data(), input.size());
    if (n > 0) input.remove_prefix(static_cast<std::size_t>(n));
    const bool nobody_reads = n < 0 && errno != EAGAIN && errno != EINTR;
    if (input.empty() || nobody_reads) in_.close();
  }

  void read_some(PipeEnd& pipe, std::string& text) {
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

  pid_t pid_;
  PipeEnd in_, out_, err_;
  bool has_ended_ = false;
  int status_ = 0;
  bool is_readable_[2] = {false, false};  // out_, err_
};

// Malformed bytes become U+FFFD.
std::string as_utf8(std::string_view bytes) {
  std::string text;
  while (!bytes.empty()) {
    const std::size_t size = utf8_sequence_length(bytes);
    text += size == 0 ? std::string_view("\uFFFD") : bytes.substr(0, size);
    bytes.remove_prefix(std::max<std::size_t>(size, 1));
  }
  return text;
}

// As the shell's $(…).
std::string_view without_last_newlines(std::string_view text) {
  while (text.ends_with('\n')) text.remove_suffix(1);
  return text;
}

JsonValue error_result(std::string what) {
  return JsonValue::object({{"error", JsonValue::of(std::move(what))}});
}

JsonValue result_of(const std::string& output) {
  const std::string text = as_utf8(without_last_newlines(output));
  auto json = parse_json_value(text);
  return json.ok() ? std::move(*json) : JsonValue::of(text);
}

JsonValue failure(int status, std::string_view error) {
  error = without_last_newlines(error);
  error.remove_prefix(error.size() - std::min(error.size(), kMostError));
  return error_result(error.empty() ? fmt::format("exit status {}", status) : as_utf8(error));
}

// Bare functions get their wrapping.
Result<Tool> read_one_tool(const JsonValue& entry) {
  if (entry.find("function")) return read_tool(entry);
  return read_tool(JsonValue::object({{"type", JsonValue::of("function")}, {"function", entry}}));
}

}  // namespace

Result<std::vector<Tool>> read_tools(const JsonValue& list) {
  if (!list.is_array()) return invalid_argument("tools: expected a list of functions");
  std::vector<Tool> tools;
  for (const auto& entry : list.items) {
    const auto where = fmt::format("tools[{}]", tools.size());
    tools.push_back(TRY_IN(where, read_one_tool(entry)));
  }
  return tools;
}

Result<std::vector<Tool>> load_tools(const std::string& path, Context& context) {
  const auto text = TRY(read_text(path, "tools", context));
  const auto list = TRY_IN(path, parse_json_value(text));
  return TRY_IN(path, read_tools(list));
}

JsonValue run_tool(const ToolCommand& command, const ToolCall& call) {
  auto started = ShellProcess::start(command.shell);
  if (!started.ok()) return error_result(started.error().message);
  const auto input = to_json_text(JsonValue::object(
                         {{"name", JsonValue::of(call.name)}, {"arguments", call.arguments}})) +
                     '\n';
  const bool ended = started->communicate(input, command.timeout_s);
  const int status = started->wait();
  if (!ended && is_interrupted()) return error_result("interrupted");
  if (!ended) return error_result(fmt::format("no result within {} s", command.timeout_s));
  return status == 0 ? result_of(started->output) : failure(status, started->error);
}

}  // namespace fourfold
