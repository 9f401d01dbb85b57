// What SIGINT, SIGTERM and SIGTSTP do. The terminal is left as it was found.
#pragma once

#include <string>

namespace fourfold {

// Ends at once: 130 after SIGINT, 143 after SIGTERM.
void end_on_signals();

// From now on SIGINT only raises a flag; a second one within a second still ends the program.
void raise_flag_on_interrupt();
bool is_interrupted();
void clear_interrupt();

// Waits until standard input can be read or a signal came. None is lost between a check of the
// flags and the wait: SIGINT, SIGTSTP and SIGWINCH are let in only while waiting.
void wait_for_input();

// True once after the program was stopped and continued, or the window changed: what was typed so
// far must be drawn again.
bool take_redraw();

// A file that nobody must find when a signal ends the program; the last one counts.
void remove_at_end(const std::string& path);

// Whether a line on standard error must be erased before the program ends.
void set_erase_at_end(bool erase);

}  // namespace fourfold
