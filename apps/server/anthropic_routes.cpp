// Anthropic's API over HTTP.
#include <utility>

#include "api/anthropic_format.h"
#include "api/anthropic_request.h"
#include "api/json_number.h"
#include "server/call.h"
#include "server/chat_flow.h"
#include "server/openai_call.h"

namespace fourfold {
namespace {

Result<AnthropicRequest> parse(Call& call) {
  const auto body = TRY(call.json_body());
  ServerState& server = call.server();
  AnthropicOptions options;
  options.sealer = &server.sealer;
  options.read_file = file_reader(server);
  const auto think = server.settings.think_default.find(Dialect::Anthropic);
  options.thinks_by_default = think != server.settings.think_default.end() && think->second;
  options.rules.billing_prefixes = server.settings.billing_prefixes;
  options.rules.refuse_broken_calls = server.settings.refuse_broken_calls;
  return parse_anthropic(body, options);
}

ChatCall chat_call(AnthropicRequest request) {
  ChatCall call;
  call.model = std::move(request.model);
  call.chat = std::move(request.chat);
  call.stream = request.stream;
  call.warnings = std::move(request.warnings);
  return call;
}

Status messages(Call& call) {
  auto request = TRY(parse(call));
  AnthropicFormatter formatter({.sealer = &call.server().sealer,
                                .hides_thoughts = request.hides_thoughts,
                                .request_id = call.request_id()});
  TRY(answer_chat(call, chat_call(std::move(request)), formatter));
  return {};
}

Status count_tokens(Call& call) {
  auto request = TRY(parse(call));
  const auto counted = TRY(count_prompt(call, chat_call(std::move(request))));
  call.reply(200, JsonValue::object({{"input_tokens", json_number(counted.n_tokens)}}));
  return {};
}

}  // namespace

void add_anthropic_routes(Handlers& handlers) {
  handlers.add("anthropic.messages", messages);
  handlers.add("anthropic.count_tokens", count_tokens);
}

}  // namespace fourfold
