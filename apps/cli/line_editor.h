// Reads lines from a person at a terminal.
#pragma once

#include <memory>
#include <string>

#include "cli/command.h"

namespace fourfold {

class LineEditor {
 public:
  virtual ~LineEditor() = default;

  enum class Event { Line, Interrupt, End };
  struct Input {
    Event event = Event::End;
    std::string line;  // without its newline
  };
  virtual Input read(const std::string& prompt) = 0;

  virtual void remember(const std::string& line) = 0;
};

// With editing and a history (kept in history_file(), one note when that cannot be), where there is
// libedit and the terminal can do it.
std::unique_ptr<LineEditor> make_line_editor(Context& context);

// The terminal's own line editing and no history.
std::unique_ptr<LineEditor> make_plain_line_editor();

}  // namespace fourfold
