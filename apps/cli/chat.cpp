#include "cli/chat.h"

#include <nlohmann/json.hpp>

#include "chat/model_kind.h"

namespace fourfold {

Result<Chat> Chat::start(Engine& engine, const SamplingFlags& flags, Context& context) {
  const Tokenizer* tokenizer = TRY(engine.tokenizer());
  Chat chat(engine, *tokenizer, flags, context);
  if (chat.is_pretrained()) {
    context.note("this is a pretrained model: it continues the text and does not chat");
  }
  return chat;
}

Chat::Chat(Engine& engine, const Tokenizer& tokenizer, const SamplingFlags& flags, Context& context)
    : engine_(engine),
      tokenizer_(tokenizer),
      context_(context),
      sampling_(flags),
      session_(engine.new_session()),
      is_pretrained_(!is_chat_model(engine.checkpoint(), engine.config(), tokenizer)) {}

Result<Answer> Chat::say(const std::string& text, bool silent) {
  if (is_pretrained_) {
    return stream(
        raw_request(tokenizer_.encode(text, Trust::Untrusted), sampling_, engine_, tokenizer_),
        silent);
  }
  auto& messages = conversation_.messages;
  const std::size_t n_before = messages.size();
  messages.push_back({.role = Role::User, .text = text});
  auto said = answer(silent);
  const bool was_stopped = said.ok() && said->result.finish == Finish::Cancelled;
  // As if it had not been asked.
  if (!said.ok() || (was_stopped && said->text.empty())) messages.resize(n_before);
  return said;
}

Result<Answer> Chat::answer(bool silent) {
  auto said = TRY(stream(chat_request(), silent));
  conversation_.messages.push_back({.role = Role::Model, .text = said.text});
  return said;
}

nlohmann::ordered_json Chat::json(const Answer& answer) const {
  return answer_json(answer, engine_, last_request_, true);
}

GenerateRequest Chat::chat_request() const {
  auto messages = conversation_.messages;
  if (!conversation_.system.empty()) {
    messages.insert(messages.begin(), {.role = Role::System, .text = conversation_.system});
  }
  const bool is_large = engine_.config().text.per_layer_width == 0;

  GenerateRequest request;
  request.prompt = render_chat(tokenizer_, messages, {.empty_thought = is_large});
  request.sampling = sample_options(sampling_, engine_.config().sampling);
  request.max_tokens = sampling_.max_tokens;
  request.stop_ids = tokenizer_.stop_ids();
  request.stop_ids.push_back(tokenizer_.control().turn_open);  // it speaks for somebody else
  request.stop_text = sampling_.stop;
  return request;
}

Result<Answer> Chat::stream(GenerateRequest request, bool silent) {
  last_request_ = std::move(request);
  context_.detail(fmt::format("seed {}", last_request_.sampling.seed));
  const StreamOptions options{.silent = silent, .split_thoughts = !is_pretrained_};
  auto answer = TRY(stream_answer(*session_, last_request_, tokenizer_, options, context_));
  context_.detail(describe_speed(answer));
  return answer;
}

}  // namespace fourfold
