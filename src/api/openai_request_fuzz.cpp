// Any bytes are refused with a message, or are a request that can be asked.
#include <cstdint>
#include <string_view>

#include "api/openai_request.h"
#include "base/check.h"

namespace {

void check_messages(const fourfold::Conversation& conversation) {
  using namespace fourfold;
  CHECK(!conversation.messages.empty());
  for (const auto& message : conversation.messages) {
    CHECK(message.calls.empty() || message.role == Role::Model);
    for (const auto& call : message.calls) CHECK(call.arguments.is_object());
  }
  for (const auto& tool : conversation.tools) CHECK(!tool.name.empty());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace fourfold;
  const auto body = parse_json_value({reinterpret_cast<const char*>(data), size});
  if (!body) return 0;
  const Sealer sealer(Sealer::Key{});
  const auto chat = parse_openai_chat(*body, {.help = {.sealer = &sealer}});
  if (chat) {
    check_messages(chat->chat.conversation);
  } else {
    CHECK(!chat.error().message.empty());
  }
  const auto completion = parse_completion(*body);
  CHECK(completion.ok() ? !completion->prompts.empty() : !completion.error().message.empty());
  return 0;
}
