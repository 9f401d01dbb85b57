#include "cli/input.h"

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <iostream>
#include <limits>

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include "base/mapped_file.h"

namespace fourfold {
namespace {

std::string join(const std::vector<std::string>& words) {
  std::string text;
  for (const auto& word : words) text += (text.empty() ? "" : " ") + word;
  return text;
}

void note_if_nothing_comes(std::string_view awaited, Context& context) {
  constexpr int kPatience_ms = 2000;
  pollfd input{.fd = STDIN_FILENO, .events = POLLIN, .revents = 0};
  if (poll(&input, 1, kPatience_ms) == 0) {
    context.note(fmt::format("waiting for {} on standard input (Ctrl-D ends it)", awaited));
  }
}

Result<std::string> read_all(int fd, std::string_view name, std::uint64_t limit_bytes) {
  std::string text;
  std::vector<char> buffer(1 << 16);
  while (true) {
    const ssize_t n = ::read(fd, buffer.data(), buffer.size());
    if (n == 0) return text;
    if (n > 0) {
      text.append(buffer.data(), static_cast<std::size_t>(n));
    } else if (errno != EINTR) {
      return data_loss("{}: {}", name, std::strerror(errno));
    }
    if (text.size() > limit_bytes) {
      return resource_exhausted("{}: more than {} bytes", name, limit_bytes);
    }
  }
}

}  // namespace

bool stdin_is_terminal() { return isatty(STDIN_FILENO) == 1; }

Result<std::string> read_stdin(std::string_view awaited, Context& context) {
  note_if_nothing_comes(awaited, context);
  return read_all(STDIN_FILENO, "standard input", std::numeric_limits<std::uint64_t>::max());
}

Result<std::string> read_text(const std::string& path, std::string_view awaited, Context& context,
                              std::uint64_t limit_bytes) {
  if (path == "-") return read_stdin(awaited, context);
  std::error_code error;
  const auto type = std::filesystem::status(path, error).type();
  if (type != std::filesystem::file_type::fifo) return read_text_file(path, limit_bytes);
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return data_loss("{}: {}", path, std::strerror(errno));
  auto text = read_all(fd, path, limit_bytes);
  ::close(fd);
  return text;
}

std::optional<std::string> read_stdin_line() {
  std::string line;
  if (!std::getline(std::cin, line)) return std::nullopt;
  return line;
}

Result<std::string> read_prompt(const std::vector<std::string>& words, Context& context) {
  std::string prompt = join(words);
  if (stdin_is_terminal()) return prompt;
  const std::string piped = TRY(read_stdin("a prompt", context));
  if (!prompt.empty() && !piped.empty()) prompt += '\n';
  return prompt + piped;
}

}  // namespace fourfold
