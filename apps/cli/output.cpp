#include "cli/output.h"

#include <cerrno>
#include <cstdlib>
#include <cstring>

#include <unistd.h>

namespace fourfold {

bool Output::write(std::string_view bytes) {
  while (!bytes.empty() && is_open()) {
    const ssize_t n = ::write(STDOUT_FILENO, bytes.data(), bytes.size());
    if (n >= 0) {
      bytes.remove_prefix(static_cast<std::size_t>(n));
    } else if (errno != EINTR) {
      errno_ = errno;
    }
  }
  return is_open();
}

Status Output::status() const {
  if (errno_ == 0 || errno_ == EPIPE) return {};
  return Error{Code::Unavailable, fmt::format("standard output: {}", std::strerror(errno_))};
}

bool is_capable_terminal(int fd) {
  const char* term = std::getenv("TERM");
  return term && *term && std::string_view(term) != "dumb" && isatty(fd);
}

bool may_colour(int fd, ColorMode mode) {
  switch (mode) {
    case ColorMode::Always: return true;
    case ColorMode::Never: return false;
    case ColorMode::Auto: break;
  }
  const char* no_color = std::getenv("NO_COLOR");
  return !(no_color && *no_color) && is_capable_terminal(fd);
}

}  // namespace fourfold
