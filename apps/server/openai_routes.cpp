// OpenAI's endpoints but for the Responses API (http-apis.md 3).
#include <utility>

#include "api/openai_completion_format.h"
#include "api/openai_format.h"
#include "api/openai_request.h"
#include "server/call.h"
#include "server/chat_flow.h"
#include "server/listed_models.h"
#include "server/openai_call.h"
#include "server/transcriptions.h"

namespace fourfold {
namespace {

Status chat_completions(Call& call) {
  const auto body = TRY(call.json_body());
  auto request = TRY(parse_openai_chat(body, openai_options(call)));
  OpenAiChatFormat format{.style = std::move(request.style),
                          .reasoning_field = call.server().settings.reasoning_field,
                          .request_id = call.request_id()};
  if (is_google_layer(call)) format.sealer = &call.server().sealer;
  OpenAiChatFormatter formatter(std::move(format));
  ChatCall chat;
  chat.model = std::move(request.model);
  chat.chat = std::move(request.chat);
  chat.stream = request.stream;
  chat.warnings = std::move(request.warnings);
  chat.keep_alive = request.keep_alive;
  chat.priority = request.priority;
  TRY(answer_chat(call, std::move(chat), formatter));
  return {};
}

// ---- completions ----

ChatCall chat_call(const CompletionRequest& request, std::size_t prompt) {
  ChatCall chat;
  chat.model = request.model;
  chat.raw = request.prompts[prompt];
  chat.stream = request.stream;
  chat.warnings = request.warnings;
  chat.keep_alive = request.keep_alive;
  chat.priority = request.priority;
  return chat;
}

// Writes the answers to several prompts as one stream, one after the other.
class CompletionWriter final : public AnswerListener {
 public:
  CompletionWriter(Call& call, CompletionFormatter& formatter)
      : call_(call), formatter_(formatter) {}

  void started(const AnswerFacts& facts) override {
    if (!call_.has_begun()) call_.begin(formatter_.stream_type());
    write(formatter_.begin(facts));
  }
  bool said(const ChatDelta& delta, const CandidateEnd* end) override {
    return write(end ? formatter_.end(delta.candidate, *end, delta.tokens)
                     : formatter_.event(delta));
  }
  bool silent() override { return write(formatter_.keep_alive()); }
  bool write(const std::string& bytes) {
    is_read_ = is_read_ && (bytes.empty() || call_.write(bytes));
    return is_read_;
  }

 private:
  Call& call_;
  CompletionFormatter& formatter_;
  bool is_read_ = true;
};

Status stream_prompts(Call& call, const CompletionRequest& request,
                      CompletionFormatter& formatter) {
  CompletionWriter writer(call, formatter);
  for (std::size_t i = 0; i < request.prompts.size(); ++i) {
    auto outcome = gather_answer(call, chat_call(request, i), writer);
    if (!outcome && !call.has_begun()) return std::move(outcome).error();
    writer.write(outcome ? formatter.finish(outcome->facts) : formatter.error(outcome.error()));
    if (!outcome) break;
  }
  call.end();
  return {};
}

Status answer_prompts(Call& call, const CompletionRequest& request,
                      CompletionFormatter& formatter) {
  AnswerListener nobody;
  for (std::size_t i = 0; i < request.prompts.size(); ++i) {
    const auto outcome = TRY(gather_answer(call, chat_call(request, i), nobody));
    formatter.add(outcome.facts, outcome.candidates);
  }
  call.reply(200, formatter.whole_type(), formatter.body());
  return {};
}

Status completions(Call& call) {
  const auto body = TRY(call.json_body());
  const auto request = TRY(parse_completion(body));
  const auto n_prompts = request.prompts.size();
  CompletionFormatter formatter(request.style, static_cast<int>(n_prompts), call.request_id());
  if (n_prompts > 1) {
    return request.stream ? stream_prompts(call, request, formatter)
                          : answer_prompts(call, request, formatter);
  }
  TRY(answer_chat(call, chat_call(request, 0), formatter));
  return {};
}

// ---- what the models here cannot do ----

Status embeddings(Call& call) {
  const auto json = TRY(call.json_body());
  const Field body(&json, "");
  TRY(body.require_object());
  const auto model = TRY(read_model_name(body));
  if (!call.server().models.find(model)) {
    return not_found("model '{}' not found", model).with({.reason = "model_not_found"});
  }
  return body["model"].error(
      fmt::format("{} does not support embeddings (expected an embedding model)", model),
      "unsupported_value");
}

// ---- models ----

Status list_models(Call& call) {
  const auto page = TRY(parse_page(call.query("pageSize"), call.query("pageToken")));
  call.reply(200, TRY(merged_model_list(listed_models(call.server().models), page)));
  return {};
}

Status get_model(Call& call) {
  const auto& name = call.parameter("model");
  const auto facts = call.server().models.find(name);
  if (!facts) {
    return not_found("model '{}' not found", name).with({.reason = "model_not_found"});
  }
  call.reply(200, merged_model(listed_model(*facts)));
  return {};
}

}  // namespace

void add_openai_routes(Handlers& handlers) {
  handlers.add("openai.chat", chat_completions);
  handlers.add("openai.completions", completions);
  handlers.add("openai.embeddings", embeddings);
  handlers.add("openai.transcriptions", answer_transcription);
  handlers.add("openai.models", list_models);
  handlers.add("openai.model", get_model);
}

}  // namespace fourfold
