// Standard output that survives its reader, and what may be written to a terminal.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace fourfold {

enum class ColorMode { Auto, Always, Never };

// Writes to standard output at once, without a buffer. After the first failed write nothing more is
// written; a reader that went away is not an error.
class Output {
 public:
  // False: nobody reads, stop working for the output.
  bool write(std::string_view bytes);
  bool is_open() const { return errno_ == 0; }

  // What failed, unless it was the reader going away.
  Status status() const;

 private:
  int errno_ = 0;
};

// Escape codes may go to this stream: it is a terminal, and TERM says what kind.
bool is_capable_terminal(int fd);
// Colours may: the same, NO_COLOR and --color considered.
bool may_colour(int fd, ColorMode mode);

}  // namespace fourfold
