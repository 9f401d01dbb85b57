// Answers in Ollama's dialect: lines of JSON, or one object (http-apis.md 4.3).
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "api/answer.h"
#include "base/json_value.h"

namespace fourfold {

// Unix time, now.
std::int64_t unix_time_ns();

struct OllamaFormatOptions {
  bool is_generate = false;   // /api/generate: "response" instead of "message"
  bool has_logprobs = false;  // were asked for
  bool has_context = false;   // of generate: the ids of the conversation are handed out
  std::function<std::int64_t()> now_ns = unix_time_ns;
};

class OllamaFormatter final : public AnswerFormatter {
 public:
  explicit OllamaFormatter(OllamaFormatOptions options) : options_(std::move(options)) {}

  std::string_view stream_type() const override { return "application/x-ndjson"; }
  std::string begin(const AnswerFacts& facts) override;
  std::string event(const ChatDelta& delta) override;
  std::string end(int candidate, const CandidateEnd& end,
                  const std::vector<DrawnToken>& tokens) override;
  std::string finish(const AnswerFacts& facts) override;
  std::string error(const Error& error) override;
  std::string keep_alive() override;
  std::string waiting(const AnswerFacts& facts, std::string_view progress) override;
  std::string whole(const AnswerFacts& facts, const std::vector<Candidate>& candidates) override;

 private:
  // What one object says.
  struct Said {
    std::string content, thinking;
    std::vector<JsonValue> calls;
  };

  // {"model", "created_at"}
  JsonValue opening() const;
  void add_said(JsonValue& object, const Said& said) const;
  JsonValue call_json(const ToolCall& call, int index) const;
  void add_logprobs(JsonValue& object, const std::vector<DrawnToken>& tokens) const;
  void add_summary(JsonValue& object, const AnswerFacts& facts, const CandidateEnd& end) const;
  JsonValue context_json(const AnswerFacts& facts, const std::vector<DrawnToken>& tokens) const;
  std::string line(const Said& said);

  OllamaFormatOptions options_;
  std::string model_;
  const Tokenizer* tokenizer_ = nullptr;  // of the facts
  std::vector<DrawnToken> waiting_;       // tokens that no object has described yet
  std::vector<DrawnToken> tokens_;        // all of them, for the context
  CandidateEnd end_;
};

// The reply to a request that only loads or unloads a model; `reason` is "load" or "unload".
JsonValue ollama_load_reply(std::string_view model, bool is_generate, std::string_view reason,
                            std::int64_t now_ns);

}  // namespace fourfold
