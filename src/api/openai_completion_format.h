// Answers in the form of OpenAI's completions (http-apis.md 3.5). One reply may hold the answers to
// several prompts: each is begun and finished, or added, in turn.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "api/answer.h"
#include "api/openai_request.h"

namespace fourfold {

class CompletionFormatter final : public AnswerFormatter {
 public:
  CompletionFormatter(CompletionStyle style, int n_prompts, std::string request_id);

  std::string_view stream_type() const override { return "text/event-stream"; }
  std::string begin(const AnswerFacts& facts) override;
  std::string event(const ChatDelta& delta) override;
  std::string end(int candidate, const CandidateEnd& end,
                  const std::vector<DrawnToken>& tokens) override;
  // The stream ends with that of the last prompt.
  std::string finish(const AnswerFacts& facts) override;
  std::string error(const Error& error) override;
  std::string keep_alive() override { return sse_comment("keep-alive"); }
  std::string waiting(const AnswerFacts&, std::string_view progress) override {
    return sse_comment(progress);
  }
  std::string whole(const AnswerFacts& facts, const std::vector<Candidate>& candidates) override;

  // The answers to one of several prompts, and the reply with all that were added.
  void add(const AnswerFacts& facts, const std::vector<Candidate>& candidates);
  std::string body() const;

 private:
  // The tokens of a choice and where they begin in its text.
  struct TokenLists {
    JsonValue tokens = JsonValue::array();
    JsonValue logprobs = JsonValue::array();
    JsonValue top = JsonValue::array();
    JsonValue offsets = JsonValue::array();
  };

  JsonValue head() const;
  JsonValue choice(int index, std::string text, JsonValue logprobs, JsonValue finish) const;
  std::string chunk(JsonValue choices) const;
  JsonValue whole_choice(const AnswerFacts& facts, const Candidate& candidate) const;
  JsonValue usage() const;

  bool has_logprobs() const { return style_.n_logprobs >= 0; }
  void add_prompt_tokens(const AnswerFacts& facts, TokenLists& lists, std::size_t& offset) const;
  void add_tokens(const std::vector<DrawnToken>& tokens, TokenLists& lists,
                  std::size_t& offset) const;
  static JsonValue as_json(TokenLists lists);
  // Entries for the tokens of a piece of a stream.
  JsonValue piece_logprobs(int candidate, const std::vector<DrawnToken>& tokens);

  CompletionStyle style_;
  int n_prompts_;
  std::string id_;
  std::string request_id_;
  std::string model_;
  std::int64_t created_s_ = 0;
  const Tokenizer* tokenizer_ = nullptr;
  int n_finished_ = 0;
  int first_index_ = 0;               // of the present prompt's choices
  std::vector<std::size_t> offsets_;  // by candidate of the present prompt
  JsonValue choices_ = JsonValue::array();
  std::int64_t prompt_tokens_ = 0, cached_tokens_ = 0;
  OutputUsage completion_;
};

}  // namespace fourfold
