// Gemini's newer dialect, interactions: requests, and answers as steps (http-apis.md 2.14).
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "api/answer.h"
#include "api/gemini_content.h"
#include "api/sealed_text.h"
#include "base/json_value.h"
#include "base/result.h"
#include "engine/chat_service.h"

namespace fourfold {

struct InteractionOptions {
  bool thinks_by_default = false;
  bool ignore_server_tools = false;
  GeminiContentOptions content;
  std::vector<std::string> billing_prefixes = {"x-anthropic-billing-header:"};
  bool refuse_broken_calls = false;
  // Steps of the interactions before, as interaction_steps() gave them; null: none.
  const JsonValue* history = nullptr;
};

struct InteractionRequest {
  std::string model;
  ChatRequest chat;
  bool stream = false;
  bool store = true;
  bool include_thoughts = true;
  JsonValue steps = JsonValue::array();  // the history and this input
  std::vector<std::string> warnings;
};

Result<InteractionRequest> parse_interaction(const JsonValue& body,
                                             const InteractionOptions& options);
// "previous_interaction_id"; empty if there is none.
Result<std::string> previous_interaction_id(const JsonValue& body);

struct InteractionFormatOptions {
  std::string id;  // of the interaction
  bool include_thoughts = true;
  const Sealer* sealer = nullptr;
  // Hears of the finished interaction before the client does, who may go on from it at once.
  std::function<void(const JsonValue& interaction)> on_end;
};

class InteractionFormatter final : public AnswerFormatter {
 public:
  explicit InteractionFormatter(InteractionFormatOptions options) : options_(std::move(options)) {}

  std::string_view stream_type() const override { return "text/event-stream"; }
  std::string begin(const AnswerFacts& facts) override;
  std::string event(const ChatDelta& delta) override;
  std::string end(int candidate, const CandidateEnd& end,
                  const std::vector<DrawnToken>& tokens) override;
  std::string finish(const AnswerFacts& facts) override;
  std::string error(const Error& error) override;
  std::string whole(const AnswerFacts& facts, const std::vector<Candidate>& candidates) override;

 private:
  enum class Open { None, Thought, Text };

  JsonValue thought_step(const std::string& thought) const;
  std::string step_event(std::string_view type, std::string_view name, JsonValue value);
  std::string open_step(Open kind, JsonValue step);
  std::string close_step();
  std::string call_events(const ToolCall& call);
  JsonValue finished(const AnswerFacts& facts) const;  // told to on_end, too

  InteractionFormatOptions options_;
  std::string text_, thought_;  // of the open step
  Open open_ = Open::None;
  int index_ = 0;                         // of the open or next step
  JsonValue steps_ = JsonValue::array();  // that are done
  CandidateEnd end_;
  bool has_call_ = false;
};

}  // namespace fourfold
