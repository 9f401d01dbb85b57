// The ids that a model generates → thoughts, answer, tool calls, finish, as they come.
//
//   OutputParser parser(tokenizer, {.thought_is_open = prompt_opened_it});
//   for (const TokenId id : ids) handle(parser.push(id));
//   handle(parser.finish(ChatFinish::Length));  // nothing if a stop token came
//
// Markers are known by their ids: text that looks like one stays text (tokenizer-chat.md 3.1).
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "chat/call_stream.h"
#include "chat/call_syntax.h"
#include "chat/chat_event.h"
#include "tokenizer/detokenizer.h"
#include "tokenizer/tokenizer.h"

namespace fourfold {

// Text that comes in pieces: white space at its beginning is dropped on demand, white space at what
// is the end so far is held back.
class TrimmedStream {
 public:
  void begin(bool drop_leading) { drops_leading_ = drop_leading; }
  // What is certain now.
  std::string push(std::string_view text);
  // The held back end, which nothing holds any more.
  std::string take_end() { return std::exchange(held_, {}); }
  void drop_end() { held_.clear(); }

 private:
  bool drops_leading_ = false;
  std::string held_;
};

struct OutputParserOptions {
  bool thought_is_open = false;  // by the prompt
  // Report calls and their arguments while they are written. Only for output that a constraint
  // keeps valid: of other output no call is certain before its end.
  bool stream_calls = false;
  // A constraint keeps the answer to a form: white space in front of it is part of it.
  bool answer_has_form = false;
};

class OutputParser {
 public:
  using Options = OutputParserOptions;
  enum class State { Content, Thought, Call, Ended };

  // `tokenizer` outlives this.
  explicit OutputParser(const Tokenizer& tokenizer, Options options = {});

  // What is certain after this id. Nothing after the end.
  std::vector<ChatEvent> push(TokenId id);
  // The end came without a stop token.
  std::vector<ChatEvent> finish(ChatFinish reason);

  State state() const { return state_; }
  // In a thought: its label "thought\n" may still be coming.
  bool label_is_pending() const { return label_.has_value(); }
  // In a call: between two <|"|>.
  bool is_in_string() const { return in_string_; }
  int n_calls() const { return n_calls_; }
  const OutputUsage& usage() const { return usage_; }

 private:
  void count(State before, State after);
  void take_control(TokenId id);
  void take_control_in_content(TokenId id);
  void take_control_in_thought(TokenId id);
  void take_control_in_call(TokenId id);
  void take_text(std::string_view text);

  void begin_content();
  void begin_thought();
  void begin_call();
  // Collects the label of a thought, and hands on what is none.
  void take_label(std::string_view text);
  void take_thought(std::string_view text);
  void end_thought();
  void end_call(CallEnd end);
  void end(ChatFinish reason);

  void emit(ChatEvent event) { events_.push_back(std::move(event)); }
  void emit_text(ChatEvent::Type type, std::string text);
  void emit_malformed();

  const Tokenizer& tokenizer_;
  Options options_;
  Detokenizer detokenizer_;
  State state_ = State::Content;
  TrimmedStream content_, thought_;
  std::optional<std::string> label_;  // collected so far, while it is not known whether it is one
  bool has_thought_ = false;          // some text of a thought was reported
  bool thought_has_text_ = false;     // of the present one
  std::string call_;                  // text of the present call, with quote marks
  bool in_string_ = false;
  CallStream call_stream_;  // of the present call
  int n_calls_ = 0;
  OutputUsage usage_;
  std::vector<ChatEvent> events_;  // of the present push
};

}  // namespace fourfold
