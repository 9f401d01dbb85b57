// Any bytes are refused with a message, or are a request that can be asked.
#include <cstdint>
#include <string_view>

#include "api/anthropic_request.h"
#include "base/check.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace fourfold;
  const auto body = parse_json_value({reinterpret_cast<const char*>(data), size});
  if (!body) return 0;
  static const Sealer sealer(Sealer::Key{});
  const auto request = parse_anthropic(*body, {.sealer = &sealer, .rules = {}});
  if (!request) {
    CHECK(!request.error().message.empty());
    return 0;
  }
  CHECK(!request->model.empty());
  CHECK(request->chat.sampling.max_tokens > 0);
  const auto& messages = request->chat.conversation.messages;
  CHECK(!messages.empty());
  CHECK(!request->chat.conversation.continue_last || messages.back().role == Role::Model);
  for (const auto& message : messages) {
    CHECK(message.results.empty() || message.role == Role::Tool);
    for (const auto& call : message.calls) CHECK(call.arguments.is_object());
  }
  return 0;
}
