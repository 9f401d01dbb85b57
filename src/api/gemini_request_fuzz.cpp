// Any body is refused with a reason, or gives a conversation that says something.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "api/gemini_request.h"
#include "base/check.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace fourfold;
  const auto body =
      parse_json_value({reinterpret_cast<const char*>(data), size}, {.max_depth = 100});
  if (!body) return 0;
  const auto sealer = Sealer(Sealer::Key{});
  GeminiRequestOptions options;
  options.content.sealer = &sealer;
  const auto request = parse_gemini_request(*body, options);
  if (!request) {
    CHECK(request.error().code == Code::InvalidArgument);
    CHECK(!request.error().message.empty());
    return 0;
  }
  const auto& conversation = request->chat.conversation;
  CHECK(!conversation.messages.empty());
  for (const auto& message : conversation.messages) {
    CHECK(!message.parts.empty() || !message.thought.empty() || !message.calls.empty() ||
          !message.results.empty());
  }
  CHECK(request->chat.n_candidates >= 1 && request->chat.n_candidates <= 8);
  return 0;
}
