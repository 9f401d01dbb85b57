#include "chat/output_machine.h"

#include <algorithm>
#include <iterator>
#include <utility>

namespace fourfold {
namespace {

OutputParserOptions parser_options(const OutputMachineOptions& options) {
  return {.thought_is_open = options.thought_is_open,
          .stream_calls = options.calls.has_value(),
          .answer_has_form = options.answer.has_value()};
}

}  // namespace

OutputMachine::OutputMachine(const Tokenizer& tokenizer, Options options)
    : tokenizer_(tokenizer),
      options_(std::move(options)),
      parser_(tokenizer, parser_options(options_)),
      stop_(options_.stop),
      loops_(options_.loop_limits),
      mask_(tokenizer.text_ids().size(), 0) {
  update_mask();
}

bool OutputMachine::may_penalise(TokenId id) const {
  switch (parser_.state()) {
    case State::Thought: return true;
    case State::Call:
      return options_.calls ? options_.calls->may_penalise(id) : parser_.is_in_string();
    case State::Content: return !options_.answer || options_.answer->may_penalise(id);
    case State::Ended: break;
  }
  return false;
}

Status OutputMachine::commit(TokenId id) {
  const State before = parser_.state();
  const bool is_in_label = parser_.label_is_pending();
  TRY(advance_constraints(before, id));
  report(parser_.push(id));
  const State after = parser_.state();
  if (after == State::Call && id == tokenizer_.control().tool_call_open) ++n_calls_begun_;
  if (before == State::Thought && after == State::Thought && !is_in_label) {
    ++n_thought_tokens_;
  }
  is_looping_ = loops_.push(id) || is_looping_;
  is_empty_ = false;
  update_mask();
  return {};
}

void OutputMachine::finish(TokenId stop_id, ChatFinish reason) {
  if (stop_id != kNoToken) report(parser_.push(stop_id));
  report(parser_.finish(is_looping_ ? ChatFinish::Loop : reason));
}

// Behind a stop text only the end is reported.
void OutputMachine::report(std::vector<ChatEvent> events) {
  for (auto& event : events) {
    if (event.type == ChatEvent::Type::Text) {
      report_text(stop_.push(event.text));
      continue;
    }
    report_text(stop_.finish());
    const bool is_end = event.type == ChatEvent::Type::Finish;
    if (is_end && stop_.is_met()) event.finish = ChatFinish::Stop;
    if (is_end || !stop_.is_met()) events_.push_back(std::move(event));
  }
}

void OutputMachine::report_text(std::string text) {
  if (!text.empty()) events_.push_back({.type = ChatEvent::Type::Text, .text = std::move(text)});
}

Status OutputMachine::advance_constraints(State before, TokenId id) {
  const ControlIds& control = tokenizer_.control();
  if (tokenizer_.ends_turn(id) || before == State::Ended) return {};
  if (before == State::Call || id == control.tool_call_open) {
    return options_.calls ? options_.calls->commit(id) : Status();
  }
  if (before != State::Content || id == control.channel_open) return {};
  answer_has_begun_ = true;
  return options_.answer ? options_.answer->commit(id) : Status();
}

void OutputMachine::update_mask() {
  std::fill(mask_.begin(), mask_.end(), 0);
  switch (parser_.state()) {
    case State::Content: allow_in_content(); break;
    case State::Thought: allow_in_thought(); break;
    case State::Call: allow_in_call(); break;
    case State::Ended: break;
  }
  if (nothing_is_allowed()) allow_end_of_turn();
}

void OutputMachine::allow_in_content() {
  const ControlIds& control = tokenizer_.control();
  if (n_calls_begun_ > 0 && !calls_are_free()) return allow_after_calls();
  if (owes_call()) {
    allow({control.tool_call_open});
  } else if (options_.answer) {
    allow_by(*options_.answer);
    if (options_.answer->is_accepting()) allow({control.turn_close, control.eos});
    if (may_begin_call() && !answer_has_begun_) allow({control.tool_call_open});
  } else {
    allow_text();
    allow({control.quote});
    if (may_begin_call()) allow({control.tool_call_open});
    allow_end_of_turn();
  }
  if (may_begin_thought()) allow({control.channel_open});
}

// Between calls and behind the last one.
void OutputMachine::allow_after_calls() {
  const ControlIds& control = tokenizer_.control();
  if (options_.parallel_calls && options_.calls) allow_by(*options_.calls);
  if (options_.parallel_calls && !options_.calls) allow({control.tool_call_open});
  allow({control.tool_response_open});
  if (options_.parallel_calls) allow_end_of_turn();
}

void OutputMachine::allow_in_thought() {
  const ControlIds& control = tokenizer_.control();
  if (options_.thought_budget >= 0 && n_thought_tokens_ >= options_.thought_budget &&
      !parser_.label_is_pending()) {
    return allow({control.channel_close});
  }
  allow_text();
  allow({control.channel_close, control.quote});
  if (may_begin_call()) allow({control.tool_call_open});
  if (!owes_answer()) allow_end_of_turn();
}

void OutputMachine::allow_in_call() {
  if (options_.calls) return allow_by(*options_.calls);
  const ControlIds& control = tokenizer_.control();
  allow_text();
  allow({control.quote, control.tool_call_close});
}

void OutputMachine::allow_text() {
  const auto text = tokenizer_.text_ids();
  mask_.assign(text.begin(), text.end());
}

void OutputMachine::allow(std::initializer_list<TokenId> ids) {
  for (const TokenId id : ids) {
    if (id != kNoToken) set_id(mask_, id);
  }
}

void OutputMachine::allow_end_of_turn() {
  for (const TokenId id : tokenizer_.stop_ids()) set_id(mask_, id);
}

void OutputMachine::allow_by(Constraint& constraint) {
  const auto allowed = constraint.allowed();
  if (!allowed.ok()) return allow_end_of_turn();
  const std::size_t n_words = std::min(mask_.size(), allowed->size());
  for (std::size_t word = 0; word < n_words; ++word) mask_[word] |= (*allowed)[word];
}

bool OutputMachine::nothing_is_allowed() const {
  return std::all_of(mask_.begin(), mask_.end(), [](std::uint64_t word) { return word == 0; });
}

// Text and thoughts may follow a call.
bool OutputMachine::calls_are_free() const {
  return options_.parallel_calls && !options_.must_call && !options_.calls && !options_.answer;
}

// Constrained output has one thought at most, in front of everything else.
bool OutputMachine::may_begin_thought() const {
  if (!options_.may_think) return false;
  if (options_.answer || options_.must_call) return is_empty_;
  return options_.thought_budget < 0 || n_thought_tokens_ < options_.thought_budget;
}

}  // namespace fourfold
