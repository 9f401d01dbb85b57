// The prompt of `fourfold run`: a person types, the model answers.
#pragma once

#include "cli/chat.h"

namespace fourfold {

// What begins with / is a command of the prompt itself.
class ChatCommands {
 public:
  ChatCommands(Chat& chat, Context& context) : chat_(chat), context_(context) {}

  static bool is_command(const std::string& line) { return line.starts_with('/'); }
  // False: the person wants to leave.
  bool run(const std::string& line);
  void set_last_speed(std::string speed) { last_speed_ = std::move(speed); }

 private:
  void set_thinking(std::string_view text);

  Chat& chat_;
  Context& context_;
  std::string last_speed_;
};

struct TerminalOptions {
  bool greets = false;            // at the beginning, so that a newcomer sees the model speak
  std::vector<Part> first_media;  // of the command line, for the first turn
  MediaSettings media;            // of what is dropped into a line
};
Result<int> chat_at_terminal(Chat& chat, TerminalOptions options, Context& context);

}  // namespace fourfold
