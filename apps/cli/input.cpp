#include "cli/input.h"

#include <cerrno>
#include <cstring>
#include <iostream>

#include <poll.h>
#include <unistd.h>

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

}  // namespace

bool stdin_is_terminal() { return isatty(STDIN_FILENO) == 1; }

Result<std::string> read_stdin(std::string_view awaited, Context& context) {
  note_if_nothing_comes(awaited, context);
  std::string text;
  char buffer[1 << 16];
  while (true) {
    const ssize_t n = ::read(STDIN_FILENO, buffer, sizeof buffer);
    if (n == 0) return text;
    if (n > 0) {
      text.append(buffer, static_cast<std::size_t>(n));
    } else if (errno != EINTR) {
      return data_loss("standard input: {}", std::strerror(errno));
    }
  }
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
