// Answers in the form of OpenAI's Responses API, whole and as a stream (http-apis.md 3.7).
#pragma once

#include <functional>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "api/answer.h"
#include "api/responses_request.h"
#include "api/sealed_text.h"

namespace fourfold {

struct ResponsesFormat {
  ResponsesStyle style;
  const Sealer* sealer = nullptr;
  std::string request_id;
  std::vector<JsonValue> first_items;  // of the output, made before the answer
  std::stop_token cancelled;           // by its route: the response then says so
  // Is told the complete response before its client is.
  std::function<void(const JsonValue& response)> on_complete;
};

std::string new_response_id();

// {"input_tokens", "input_tokens_details", "output_tokens", …}
JsonValue responses_usage(const AnswerFacts& facts, const CandidateEnd& end);

class ResponsesFormatter final : public AnswerFormatter {
 public:
  ResponsesFormatter(std::string id, ResponsesFormat format);

  std::string_view stream_type() const override { return "text/event-stream"; }
  std::string begin(const AnswerFacts& facts) override;
  std::string event(const ChatDelta& delta) override;
  std::string end(int candidate, const CandidateEnd& end,
                  const std::vector<DrawnToken>& tokens) override;
  std::string finish(const AnswerFacts& facts) override;
  std::string error(const Error& error) override;
  std::string keep_alive() override { return sse_comment("keep-alive"); }
  std::string waiting(const AnswerFacts& facts, std::string_view progress) override {
    facts_ = facts;  // for an error before begin()
    return sse_comment(progress);
  }
  std::string whole(const AnswerFacts& facts, const std::vector<Candidate>& candidates) override;

  // An item that is complete as it comes; between begin() and end().
  std::string item(JsonValue item);

 private:
  enum class Open { Nothing, Reasoning, Message };

  // These add to bytes_ what a stream says, and to output_ what is complete.
  void say(std::string_view type, JsonValue members);
  void say_of_item(std::string_view type, JsonValue members);
  void say_response(std::string_view type, const JsonValue& response);
  void add_complete(JsonValue item);
  void take_thought(const std::string& text);
  void take_text(const std::string& text);
  void take_call(const ToolCall& call);
  void take_malformed(const std::string& text);
  void take_cut_call(const std::string& text);
  void open(Open kind);
  void open_reasoning();
  void open_message();
  void close(std::string_view status = "completed");
  void close_reasoning(std::string_view status);
  void close_message(std::string_view status);
  void take_end(const CandidateEnd& end);

  JsonValue reasoning_item(std::string_view status, bool is_whole) const;
  JsonValue message_item(std::string_view status, bool is_whole) const;
  JsonValue call_item(const ToolCall& call, const std::string& id) const;
  JsonValue text_part(bool is_whole) const;
  JsonValue response(const AnswerFacts& facts, std::string_view status) const;
  std::string_view end_status() const;
  std::string take_bytes() { return std::exchange(bytes_, {}); }

  ResponsesFormat format_;
  std::string id_;
  AnswerFacts facts_;  // as begin() had them, for errors
  bool streams_ = false;
  bool thinks_ = false;
  std::string bytes_;
  std::int64_t sequence_ = 0;

  std::vector<JsonValue> output_;
  Open open_ = Open::Nothing;
  std::string item_id_, text_;  // of the open item
  std::vector<JsonValue> logprobs_;
  std::vector<JsonValue> new_logprobs_;  // of tokens whose text is still to come
  std::string malformed_;
  bool malformed_is_last_ = false;  // of what came
  bool has_said_ = false;
  CandidateEnd end_;
};

}  // namespace fourfold
