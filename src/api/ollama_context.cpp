#include "api/ollama_context.h"

#include <algorithm>
#include <string>
#include <utility>

#include "base/utf8.h"
#include "tokenizer/detokenizer.h"

namespace fourfold {
namespace {

// What stands between <|channel> and <channel|>, or up to the end, is a thought.
std::vector<TokenId> without_channels(const ControlIds& control, std::span<const TokenId> ids) {
  std::vector<TokenId> kept;
  bool in_thought = false;
  for (const TokenId id : ids) {
    if (id == control.channel_open && id != kNoToken) in_thought = true;
    if (!in_thought) kept.push_back(id);
    if (id == control.channel_close) in_thought = false;
  }
  return kept;
}

std::string_view text_of(const Message& message) {
  return message.parts.empty() ? std::string_view() : trim(message.parts.front().text);
}

// "model\nHello" → a message.
Result<Message> message_of_turn(const Tokenizer& tokenizer, std::span<const TokenId> ids) {
  const auto kept = without_channels(tokenizer.control(), ids);
  const std::string text = decode(tokenizer, kept, {.hide_control = true});
  const std::size_t line_end = std::min(text.find('\n'), text.size());
  const std::string role = text.substr(0, line_end);
  std::string content = line_end < text.size() ? text.substr(line_end + 1) : "";
  if (role == "user") return Message::of(Role::User, std::move(content));
  if (role == "model") return Message::of(Role::Model, std::move(content));
  if (role == "system") return Message::of(Role::System, std::move(content));
  return invalid_argument("context: a turn of {} (expected system, user or model)",
                          printable(role));
}

}  // namespace

Result<std::vector<Message>> messages_of_context(const Tokenizer& tokenizer,
                                                 std::span<const TokenId> ids) {
  const ControlIds& control = tokenizer.control();
  const auto wrong = std::ranges::find_if_not(ids, [&](auto id) { return tokenizer.is_valid(id); });
  if (wrong != ids.end()) {
    return invalid_argument("context: {} is no token of this model (0 to {})", *wrong,
                            tokenizer.vocab_size() - 1);
  }
  std::vector<Message> messages;
  auto turn = std::ranges::find(ids, control.turn_open);
  if (!ids.empty() && turn == ids.end()) {
    return invalid_argument("context: no turn begins in it (expected what a reply has returned)");
  }
  while (turn != ids.end()) {
    const auto begin = turn + 1;
    turn = std::find(begin, ids.end(), control.turn_open);
    const auto end = std::find(begin, turn, control.turn_close);
    messages.push_back(TRY(message_of_turn(tokenizer, {begin, end})));
  }
  return messages;
}

Status add_ollama_context(const Tokenizer& tokenizer, OllamaRequest& request) {
  if (request.context.empty()) return {};
  if (request.raw) {  // a model that only continues text
    const auto ids = tokenizer.encode(request.raw->text, Trust::Untrusted);
    request.raw->ids = request.context;
    request.raw->ids.insert(request.raw->ids.end(), ids.begin(), ids.end());
    return {};
  }
  auto messages = TRY(messages_of_context(tokenizer, request.context));
  for (auto& message : request.chat.conversation.messages) {
    // Clients repeat the system text with each call.
    const bool is_known = message.role == Role::System && !messages.empty() &&
                          messages.front().role == Role::System &&
                          text_of(messages.front()) == text_of(message);
    if (!is_known) messages.push_back(std::move(message));
  }
  request.chat.conversation.messages = std::move(messages);
  return {};
}

}  // namespace fourfold
