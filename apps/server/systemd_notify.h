// Tells systemd how far the program is (sd_notify(3)), without its library.
#pragma once

#include <string_view>

namespace fourfold {

// "READY=1", "STOPPING=1". Does nothing when no one listens.
void notify_systemd(std::string_view state);

}  // namespace fourfold
