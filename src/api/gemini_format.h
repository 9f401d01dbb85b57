// Answers in Gemini's dialect: whole, as server-sent events, or as an array that is written piece
// by piece (http-apis.md 2.6–2.9).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "api/answer.h"
#include "api/sealed_text.h"
#include "base/json_value.h"

namespace fourfold {

struct GeminiFormatOptions {
  bool is_sse = true;  // of a stream; false: an array
  bool include_thoughts = false;
  bool has_logprobs = false;                // were asked for
  std::vector<std::string> declared_tools;  // names that a call may have
  const Sealer* sealer = nullptr;           // null: no signatures
};

class GeminiFormatter final : public AnswerFormatter {
 public:
  explicit GeminiFormatter(GeminiFormatOptions options) : options_(std::move(options)) {}

  std::string_view stream_type() const override;
  std::string_view whole_type() const override { return "application/json; charset=UTF-8"; }
  std::string begin(const AnswerFacts& facts) override;
  std::string event(const ChatDelta& delta) override;
  std::string end(int candidate, const CandidateEnd& end,
                  const std::vector<DrawnToken>& tokens) override;
  std::string finish(const AnswerFacts& facts) override;
  std::string error(const Error& error) override;
  std::string keep_alive() override;
  int keep_alive_after_s() const override { return 20; }
  std::string waiting(const AnswerFacts& facts, std::string_view progress) override;
  std::string whole(const AnswerFacts& facts, const std::vector<Candidate>& candidates) override;

 private:
  // What is to be remembered of a candidate while it streams.
  struct Progress {
    std::string thought;              // hidden or not
    std::vector<DrawnToken> waiting;  // told of by no chunk yet
    double logprob_sum = 0.0;
    std::int64_t n_logprobs = 0;
    bool is_signed = false;
    bool has_call = false, has_undeclared_call = false, has_malformed = false;
    OutputUsage usage;
  };

  void note(const ChatDelta& delta, Progress& progress);
  bool is_declared(std::string_view name) const;
  // Of the thought, once in an answer, if there is one and it is short enough; else empty.
  std::string signature(Progress& progress) const;
  JsonValue call_part(const ToolCall& call, Progress& progress) const;
  std::string_view finish_reason(const CandidateEnd& end, const Progress& progress) const;
  JsonValue final_part(Progress& progress) const;
  std::vector<JsonValue> parts_of(const Candidate& candidate, Progress& progress) const;
  bool has_logprob(const DrawnToken& drawn) const;
  void add_logprobs(JsonValue& candidate, Progress& progress) const;
  JsonValue candidate_json(int index, std::vector<JsonValue> parts) const;
  JsonValue usage_json(const OutputUsage& usage) const;
  OutputUsage usage_so_far() const;
  std::string chunk(JsonValue candidate);
  std::string framed(const JsonValue& json);

  GeminiFormatOptions options_;
  std::string model_, response_id_;
  std::int64_t prompt_tokens_ = 0, cached_tokens_ = 0;
  MediaTokens prompt_media_, cached_media_;
  const Tokenizer* tokenizer_ = nullptr;  // of the facts
  std::vector<Progress> progress_;
  bool is_first_ = true;  // of an array: no item was written yet
};

}  // namespace fourfold
