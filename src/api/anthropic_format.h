// Answers in Anthropic's dialect: one message, or its blocks as named events (http-apis.md 5).
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "api/answer.h"
#include "api/sealed_text.h"
#include "base/json_value.h"

namespace fourfold {

struct AnthropicFormatOptions {
  const Sealer* sealer = nullptr;  // makes the signatures of thoughts; null: they have none
  bool hides_thoughts = false;     // a thought is its signature alone
  std::string request_id;          // in errors
};

class AnthropicFormatter final : public AnswerFormatter {
 public:
  explicit AnthropicFormatter(AnthropicFormatOptions options) : options_(std::move(options)) {}

  std::string_view stream_type() const override { return "text/event-stream"; }
  std::string begin(const AnswerFacts& facts) override;
  std::string event(const ChatDelta& delta) override;
  std::string end(int candidate, const CandidateEnd& end,
                  const std::vector<DrawnToken>& tokens) override;
  std::string finish(const AnswerFacts& facts) override;
  std::string error(const Error& error) override;
  std::string keep_alive() override;
  std::string whole(const AnswerFacts& facts, const std::vector<Candidate>& candidates) override;

 private:
  enum class Block { None, Thinking, Text };

  JsonValue message(const AnswerFacts& facts) const;
  std::string signature(const std::string& thought) const;

  std::string start_block(JsonValue block);
  std::string block_delta(JsonValue delta);
  // Ends the block that is open, if one is, and begins one of this kind, unless it is open.
  std::string go_to(Block kind);
  std::string stop_block();
  std::string thought_event(const std::string& text);
  std::string text_event(const std::string& text);
  std::string call_event(const ToolCall& call);

  AnthropicFormatOptions options_;
  Block block_ = Block::None;
  int index_ = 0;        // of the block that is open, or comes next
  std::string thought_;  // of the block that is open
  CandidateEnd end_;
};

}  // namespace fourfold
