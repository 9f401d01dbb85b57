#include <cerrno>
#include <cstdio>

#include <unistd.h>

#include "cli/line_editor.h"
#include "cli/signals.h"

namespace fourfold {
namespace {

class PlainLineEditor : public LineEditor {
 public:
  Input read(const std::string& prompt) override {
    std::fputs(prompt.c_str(), stderr);
    Input input{.event = Event::Line, .line = {}};
    while (true) {
      wait_for_input();
      if (is_interrupted()) {
        std::fputc('\n', stderr);
        return {.event = Event::Interrupt, .line = {}};
      }
      char byte = 0;
      const ssize_t n = ::read(STDIN_FILENO, &byte, 1);
      if (n < 0 && errno == EINTR) continue;
      if (n <= 0) return input.line.empty() ? Input{} : input;
      if (byte == '\n') return input;
      input.line += byte;
    }
  }

  void remember(const std::string&) override {}
};

}  // namespace

std::unique_ptr<LineEditor> make_plain_line_editor() { return std::make_unique<PlainLineEditor>(); }

}  // namespace fourfold
