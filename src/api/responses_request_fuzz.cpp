// Any bytes are refused with a message, or are a request that can be asked.
#include <cstdint>
#include <string_view>

#include "api/responses_request.h"
#include "base/check.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace fourfold;
  const auto body = parse_json_value({reinterpret_cast<const char*>(data), size});
  if (!body) return 0;
  const Sealer sealer(Sealer::Key{});
  ResponsesOptions options;
  options.common.help.sealer = &sealer;
  options.find_response = [](const std::string&) {
    return std::optional(std::vector{user_item("before")});
  };
  options.find_item = [](const std::string&) { return std::optional(user_item("referred")); };
  auto request = parse_responses(*body, options);
  if (!request) {
    CHECK(!request.error().message.empty());
    return 0;
  }
  CHECK(!request->chat.conversation.messages.empty());
  for (const auto& message : request->chat.conversation.messages) {
    CHECK(message.calls.empty() || message.role == Role::Model);
    for (const auto& call : message.calls) CHECK(call.arguments.is_object());
  }
  // What a compaction does with the items ends, and leaves what it must.
  ItemList list = request->list;
  const auto n_kept = kept_items(list).size();
  CHECK(n_kept <= list.items.size());
  while (drop_oldest(list)) CHECK(list.n_previous <= list.items.size());
  return 0;
}
