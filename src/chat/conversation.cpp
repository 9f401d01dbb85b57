#include "chat/conversation.h"

#include "chat/white_space.h"

namespace fourfold {

Message Message::of(Role role, std::string text) {
  Message message;
  message.role = role;
  message.parts.push_back({.kind = Part::Kind::Text, .text = std::move(text)});
  return message;
}

std::string_view trim(std::string_view text) { return trim_end(trim_start(text)); }

std::string without_thoughts(std::string_view text) {
  constexpr std::string_view kOpen = "<|channel>", kClose = "<channel|>";
  std::string out;
  for (;;) {
    const std::size_t close = text.find(kClose);
    const std::string_view part = text.substr(0, close);
    out += part.substr(0, part.find(kOpen));
    if (close == text.npos) return std::string(trim(out));
    text.remove_prefix(close + kClose.size());
  }
}

}  // namespace fourfold
