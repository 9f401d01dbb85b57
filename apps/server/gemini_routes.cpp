// Gemini's dialect: models, generation, counting (http-apis.md 2.1–2.11).
#include "api/gemini_format.h"
#include "api/json_number.h"
#include "api/modalities.h"
#include "base/letter_case.h"
#include "server/call.h"
#include "server/chat_flow.h"
#include "server/gemini_call.h"
#include "server/listed_models.h"

namespace fourfold {
namespace {

// A request with what it is answered by.
struct Asked {
  GeminiRequest request;
  std::optional<CachedContent> cached;
};

using Parser = Result<GeminiRequest>(const JsonValue&, const GeminiRequestOptions&);

Result<Asked> read_request(Call& call, Parser* parse) {
  const std::string& model = call.parameter("model");
  const auto body = TRY(call.json_body());
  Asked asked;
  asked.cached = TRY(cached_content_of(call, body, model));
  auto options = gemini_options(call, model);
  if (asked.cached) options.cached = &asked.cached->body;
  asked.request = TRY(parse(body, options));
  return asked;
}

// It may have been loaded anew since the content was cached.
Status keep_cached(Call& call, const std::optional<CachedContent>& cached) {
  if (!cached) return {};
  const auto lease = TRY(call.server().models.acquire(cached->model, {.gone = call.gone()}));
  call.server().caches.pin(*cached, lease.service());
  return {};
}

Status generate(Call& call, bool stream) {
  auto asked = TRY(read_request(call, parse_gemini_request));
  TRY(keep_cached(call, asked.cached));
  GeminiRequest& request = asked.request;
  GeminiFormatOptions options;
  options.is_sse = to_lower(call.query("alt")) == "sse";
  options.include_thoughts = request.include_thoughts;
  options.has_logprobs = request.has_logprobs;
  options.sealer = &call.server().sealer;
  for (const auto& tool : request.chat.conversation.tools) {
    options.declared_tools.push_back(tool.name);
  }
  GeminiFormatter formatter(std::move(options));
  ChatCall chat;
  chat.model = call.parameter("model");
  chat.chat = std::move(request.chat);
  chat.stream = stream;
  chat.warnings = std::move(request.warnings);
  TRY(answer_chat(call, std::move(chat), formatter));
  return {};
}

Status count_tokens(Call& call) {
  auto asked = TRY(read_request(call, parse_gemini_count));
  ChatCall chat;
  chat.model = call.parameter("model");
  chat.chat = std::move(asked.request.chat);
  chat.warnings = std::move(asked.request.warnings);
  const auto counted = TRY(count_prompt(call, std::move(chat)));
  const auto details = gemini_token_details(counted.n_tokens, counted.media);
  auto reply = JsonValue::object(
      {{"totalTokens", json_number(counted.n_tokens)}, {"promptTokensDetails", details}});
  if (asked.cached) {
    const std::int64_t n_cached = asked.cached->n_tokens;
    reply.set("cachedContentTokenCount", json_number(n_cached));
    reply.set("cacheTokensDetails", gemini_token_details(n_cached, asked.cached->media));
  }
  call.reply(200, reply);
  return {};
}

Status list_models(Call& call) {
  const auto page = TRY(page_request(call));
  call.reply(200, TRY(gemini_model_list(listed_models(call.server().models), page)));
  return {};
}

Status get_model(Call& call) {
  const auto facts = call.server().models.find(call.parameter("model"));
  if (!facts) return model_not_found(call.parameter("model"));
  call.reply(200, gemini_model(listed_model(*facts)));
  return {};
}

Status refuse_embedding(Call& call) {
  const std::string& model = call.parameter("model");
  if (!call.server().models.find(model)) return model_not_found(model);
  return invalid_argument("models/{} does not support embedContent", model)
      .with({.reason = "unsupported_value", .field = "model"});
}

// Adapters would be listed here; this server loads none.
Status list_tuned_models(Call& call) {
  call.reply(200, JsonValue::object({{"tunedModels", JsonValue::array()}}));
  return {};
}

Status get_tuned_model(Call& call) {
  return not_found("tunedModels/{} was not found", call.parameter("id"));
}

}  // namespace

void add_gemini_routes(Handlers& handlers) {
  handlers.add("gemini.generateContent", [](Call& call) { return generate(call, false); });
  handlers.add("gemini.streamGenerateContent", [](Call& call) { return generate(call, true); });
  handlers.add("gemini.countTokens", count_tokens);
  handlers.add("gemini.embedContent", refuse_embedding);
  handlers.add("gemini.batchEmbedContents", refuse_embedding);
  handlers.add("gemini.models", list_models);
  handlers.add("gemini.model", get_model);
  handlers.add("gemini.tunedModels", list_tuned_models);
  handlers.add("gemini.tunedModel", get_tuned_model);
}

}  // namespace fourfold
