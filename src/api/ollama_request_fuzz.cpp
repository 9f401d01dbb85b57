// Any bytes are refused with a message, or are a request that can be asked.
#include <cstdint>
#include <string_view>

#include "api/ollama_request.h"
#include "base/check.h"

namespace {

void check(const fourfold::Result<fourfold::OllamaRequest>& request) {
  using namespace fourfold;
  if (!request) {
    CHECK(!request.error().message.empty());
    return;
  }
  if (request->only_loads || request->raw) return;
  CHECK(!request->chat.conversation.messages.empty());
  for (const auto& message : request->chat.conversation.messages) {
    CHECK(message.calls.empty() || message.role == Role::Model);
    for (const auto& call : message.calls) CHECK(call.arguments.is_object());
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace fourfold;
  const auto body = parse_json_value({reinterpret_cast<const char*>(data), size});
  if (!body) return 0;
  OllamaModelTraits model;
  model.name = "m";
  model.capabilities = {.chat = true, .tools = true, .thinking = true};
  model.context = 4096;
  const auto name = ollama_model_name(*body);
  CHECK(name.ok() ? !name->empty() : !name.error().message.empty());
  check(parse_ollama_chat(*body, model));
  check(parse_ollama_generate(*body, model));
  return 0;
}
