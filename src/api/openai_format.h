// Answers in the form of OpenAI's chat completions, whole and as a stream (http-apis.md 3.3, 3.4).
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "api/answer.h"
#include "api/openai_request.h"
#include "api/sealed_text.h"

namespace fourfold {

struct OpenAiChatFormat {
  OpenAiChatStyle style;
  std::string reasoning_field = "reasoning_content";  // or "reasoning", "both", "none"
  // Seals thoughts into the calls they led to, as clients of Google's layer expect; null: not.
  const Sealer* sealer = nullptr;
  std::string request_id;
};

class OpenAiChatFormatter final : public AnswerFormatter {
 public:
  explicit OpenAiChatFormatter(OpenAiChatFormat format);

  std::string_view stream_type() const override { return "text/event-stream"; }
  std::string begin(const AnswerFacts& facts) override;
  std::string event(const ChatDelta& delta) override;
  std::string end(int candidate, const CandidateEnd& end,
                  const std::vector<DrawnToken>& tokens) override;
  std::string finish(const AnswerFacts& facts) override;
  std::string error(const Error& error) override;
  std::string keep_alive() override { return sse_comment("keep-alive"); }
  std::string waiting(const AnswerFacts&, std::string_view progress) override {
    return sse_comment(progress);
  }
  std::string whole(const AnswerFacts& facts, const std::vector<Candidate>& candidates) override;

 private:
  // What must be remembered of a candidate while it streams.
  struct State {
    std::string thought;              // all of it, to be sealed
    std::string malformed;            // shown only if nothing else was said
    std::vector<JsonValue> logprobs;  // of tokens whose text is still to come
    bool has_said = false;
    int n_calls = 0;
    CandidateEnd end;
  };

  JsonValue head(const AnswerFacts& facts, std::string_view object) const;
  // One chunk with one choice.
  std::string chunk(int index, JsonValue delta, JsonValue finish_reason = JsonValue::null());
  std::string chunk_of(JsonValue choices) const;
  std::string call_chunks(int index, State& state, const ToolCall& call);
  std::string legacy_call_chunk(int index, State& state, const ToolCall& call);
  void take_tokens(State& state, const std::vector<DrawnToken>& tokens) const;

  bool shows_thoughts() const;
  void add_thought(JsonValue& object, const std::string& text) const;
  JsonValue call_json(const ToolCall& call, const std::string& id) const;
  JsonValue signature(const std::string& thought) const;
  std::string finish_reason(const CandidateEnd& end, bool has_calls) const;
  JsonValue choice(int index, const AnswerFacts& facts, const Candidate& candidate) const;
  JsonValue message(const Candidate& candidate) const;

  OpenAiChatFormat format_;
  std::string id_;
  JsonValue head_;  // of every chunk
  const Tokenizer* tokenizer_ = nullptr;
  bool thinks_ = false;  // large bodies sometimes think unasked, which is not shown
  std::vector<State> states_;
};

// {"prompt_tokens", "completion_tokens", …} of all candidates together.
JsonValue openai_usage(const AnswerFacts& facts, const std::vector<const CandidateEnd*>& ends);
// llama.cpp's times of an answer, which many clients show.
JsonValue openai_timings(const AnswerFacts& facts, const std::vector<const CandidateEnd*>& ends);

// "b0.1.0": the same answers come from the same build.
std::string system_fingerprint();
// "data: {…}" and an empty line.
std::string data_event(const JsonValue& value);
// What is said of a call that could not be read: only its text, and only if there is nothing else.
// A call that the limit has cut is not said at all.
bool shows_malformed(const CandidateEnd& end, bool has_said);

}  // namespace fourfold
