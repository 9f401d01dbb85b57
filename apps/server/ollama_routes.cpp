// Ollama's API over HTTP: generation here, models and blobs in ollama_model_routes.cpp.
#include <utility>

#include "api/ollama_context.h"
#include "api/ollama_format.h"
#include "api/ollama_request.h"
#include "server/call.h"
#include "server/chat_flow.h"
#include "server/models.h"
#include "server/ollama_model_routes.h"

namespace fourfold {
namespace {

Result<OllamaModelTraits> traits_of(Call& call, const JsonValue& body) {
  OllamaModelTraits traits;
  traits.name = TRY(ollama_model_name(body));
  const auto facts = call.server().models.find(traits.name);
  if (!facts) return model_not_found(traits.name);
  traits.capabilities = facts->capabilities;
  traits.context = facts->context;
  const ServerSettings& settings = call.server().settings;
  const auto think = settings.think_default.find(Dialect::Ollama);
  traits.thinks_by_default = think == settings.think_default.end() || think->second;
  traits.rules.billing_prefixes = settings.billing_prefixes;
  traits.rules.refuse_broken_calls = settings.refuse_broken_calls;
  return traits;
}

// A request that says nothing is about the model alone.
Status load_or_unload(Call& call, const std::string& model, const OllamaRequest& request,
                      bool is_generate) {
  Models& models = call.server().models;
  if (request.unloads()) {
    TRY(models.unload(model));
  } else {
    TRY(models.acquire(model, {.keep_alive = request.keep_alive, .gone = call.gone()}));
  }
  const auto reply =
      ollama_load_reply(model, is_generate, request.unloads() ? "unload" : "load", unix_time_ns());
  if (!request.stream) {
    call.reply(200, reply);
    return {};
  }
  call.begin("application/x-ndjson");
  call.write(to_json_text(reply) + "\n");
  call.end();
  return {};
}

Status add_context(Call& call, const std::string& model, OllamaRequest& request) {
  if (request.context.empty()) return {};
  const auto lease = TRY(
      call.server().models.acquire(model, {.keep_alive = request.keep_alive, .gone = call.gone()}));
  return add_ollama_context(lease.service().tokenizer(), request);
}

Status answer(Call& call, const std::string& model, OllamaRequest request, bool is_generate) {
  if (request.only_loads) return load_or_unload(call, model, request, is_generate);
  TRY(add_context(call, model, request));
  OllamaFormatter formatter({.is_generate = is_generate,
                             .has_logprobs = request.has_logprobs(),
                             .has_context = is_generate && !(request.raw && request.raw->trusted)});
  ChatCall chat;
  chat.model = model;
  chat.chat = std::move(request.chat);
  chat.raw = std::move(request.raw);
  chat.stream = request.stream;
  chat.warnings = std::move(request.warnings);
  chat.keep_alive = request.keep_alive;
  TRY(answer_chat(call, std::move(chat), formatter));
  return {};
}

Status chat(Call& call) {
  const auto body = TRY(call.json_body());
  const auto traits = TRY(traits_of(call, body));
  auto request = TRY(parse_ollama_chat(body, traits));
  return answer(call, traits.name, std::move(request), /*is_generate=*/false);
}

Status generate(Call& call) {
  const auto body = TRY(call.json_body());
  const auto traits = TRY(traits_of(call, body));
  auto request = TRY(parse_ollama_generate(body, traits));
  return answer(call, traits.name, std::move(request), /*is_generate=*/true);
}

Status embed(Call& call) {
  const auto body = TRY(call.json_body());
  TRY(traits_of(call, body));
  return invalid_argument("this model does not support embeddings")
      .with({.reason = "unsupported_value", .field = "model"});
}

}  // namespace

void add_ollama_routes(Handlers& handlers) {
  handlers.add("ollama.chat", chat);
  handlers.add("ollama.generate", generate);
  handlers.add("ollama.embed", embed);
  handlers.add("ollama.embeddings", embed);
  add_ollama_model_routes(handlers);
}

}  // namespace fourfold
