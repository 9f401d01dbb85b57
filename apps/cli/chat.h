// A conversation with a model. A pretrained model, which cannot chat, continues each text instead.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "chat/simple_render.h"
#include "cli/answer.h"
#include "cli/model_flags.h"
#include "engine/engine.h"

namespace fourfold {

class Chat {
 public:
  // `engine`, `flags` and `context` outlive this. FailedPrecondition without a tokenizer.
  static Result<Chat> start(Engine& engine, const SamplingFlags& flags, Context& context);

  bool is_pretrained() const { return is_pretrained_; }
  void set_system(std::string text) { conversation_.system = std::move(text); }
  void clear() { conversation_.messages.clear(); }

  struct Conversation {
    std::string system;
    std::vector<ChatMessage> messages;
  };
  // Another conversation takes the place of the present one, which is returned.
  Conversation replace(Conversation conversation) {
    return std::exchange(conversation_, std::move(conversation));
  }

  // One turn. What was said stays in the history, also when it was interrupted.
  Result<Answer> say(const std::string& text, bool silent);
  // The answer to the last message of the history.
  Result<Answer> answer(bool silent);
  // Of the answer that came last.
  nlohmann::ordered_json json(const Answer& answer) const;

  SamplingFlags& sampling() { return sampling_; }

 private:
  Chat(Engine& engine, const Tokenizer& tokenizer, const SamplingFlags& flags, Context& context);

  GenerateRequest chat_request() const;
  Result<Answer> stream(GenerateRequest request, bool silent);

  Engine& engine_;
  const Tokenizer& tokenizer_;
  Context& context_;
  SamplingFlags sampling_;
  std::unique_ptr<Session> session_;
  bool is_pretrained_ = false;
  Conversation conversation_;
  GenerateRequest last_request_;
};

}  // namespace fourfold
