// One automaton over the ids of an answer. As a mask it tells the sampler what may come next; as a
// parser it reports what came: what was allowed is what is understood.
//
//   OutputMachine machine(tokenizer, {.may_call = has_tools, .thought_budget = 1024});
//   request.mask = &machine;
//   session.generate(request, [&](const TokenEvent&) {
//     for (const auto& event : machine.take_events()) show(event);
//     return !machine.is_over();
//   });
//   machine.finish(result.stop_id, ChatFinish::Length);  // and show what it reports
#pragma once

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "chat/loop_detector.h"
#include "chat/output_parser.h"
#include "chat/stop_text.h"
#include "grammar/constraint.h"
#include "grammar/token_mask.h"

namespace fourfold {

struct OutputMachineOptions {
  bool thought_is_open = false;  // by the prompt
  // May a thought begin? With an answer constraint only in front of everything else.
  bool may_think = true;
  // Tokens of all thoughts without their labels, then their end is forced; −1: no limit.
  std::int64_t thought_budget = -1;

  bool may_call = false;
  bool must_call = false;            // before the turn ends; nothing else is said then
  bool parallel_calls = true;        // may a second call follow the first?
  std::optional<Constraint> calls;   // of ConstraintFactory::tools(); none: calls are free text
  std::optional<Constraint> answer;  // what the answer has to be, begun with the client's beginning

  std::vector<std::string> stop;  // the answer ends where one of these begins
  LoopLimits loop_limits;
};

class OutputMachine final : public TokenMask {
 public:
  using Options = OutputMachineOptions;

  // `tokenizer` outlives this.
  OutputMachine(const Tokenizer& tokenizer, Options options);

  std::span<const std::uint64_t> allowed() const override { return mask_; }
  bool may_penalise(TokenId id) const override;
  Status commit(TokenId id) override;

  // What was reported since the last call.
  std::vector<ChatEvent> take_events() { return std::exchange(events_, {}); }
  // The generation should end: a stop text was met, or the text goes in circles.
  bool is_over() const { return is_looping_ || stop_.is_met(); }
  // The end of the generation: by this stop token, or without one (kNoToken) for this reason,
  // unless the machine itself knows a better one.
  void finish(TokenId stop_id, ChatFinish reason);

  const OutputUsage& usage() const { return parser_.usage(); }
  // The stop text that ended the answer.
  const std::optional<std::string>& stop_text() const { return stop_.met(); }

 private:
  using State = OutputParser::State;

  void report(std::vector<ChatEvent> events);
  void report_text(std::string text);
  Status advance_constraints(State before, TokenId id);

  // The mask of the present state.
  void update_mask();
  void allow_in_content();
  void allow_after_calls();
  void allow_in_thought();
  void allow_in_call();
  void allow_text();
  void allow(std::initializer_list<TokenId> ids);
  void allow_end_of_turn();
  // What the constraint allows; an ambiguous grammar ends the answer rather than losing it.
  void allow_by(Constraint& constraint);
  bool nothing_is_allowed() const;

  bool owes_call() const { return options_.must_call && n_calls_begun_ == 0; }
  // Something must be said that the end of the turn would cut off.
  bool owes_answer() const { return owes_call() || (options_.answer && n_calls_begun_ == 0); }
  bool calls_are_free() const;
  bool may_begin_thought() const;
  bool may_begin_call() const { return options_.may_call || options_.must_call; }

  const Tokenizer& tokenizer_;
  Options options_;
  OutputParser parser_;
  StopText stop_;
  LoopDetector loops_;
  std::vector<std::uint64_t> mask_;
  bool is_empty_ = true;  // no id has come
  bool answer_has_begun_ = false;
  int n_calls_begun_ = 0;
  std::int64_t n_thought_tokens_ = 0;  // without labels and markers
  bool is_looping_ = false;
  std::vector<ChatEvent> events_;
};

}  // namespace fourfold
