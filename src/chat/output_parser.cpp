#include "chat/output_parser.h"

#include <algorithm>
#include <utility>

#include "chat/white_space.h"

namespace fourfold {
namespace {

constexpr std::string_view kLabelWord = "thought";
constexpr std::string_view kLabel = "thought\n";

// As the model wrote it, for people to read.
std::string with_quotes_spelled(std::string_view call) {
  std::string text;
  for (const char c : call) {
    if (c == kQuoteMark) {
      text += "<|\"|>";
    } else {
      text += c;
    }
  }
  return text;
}

}  // namespace

std::string TrimmedStream::push(std::string_view text) {
  if (drops_leading_) {
    text = trim_start(text);
    if (text.empty()) return {};
    drops_leading_ = false;
  }
  const std::size_t n_certain = trim_end(text).size();
  if (n_certain == 0) {
    held_ += text;
    return {};
  }
  std::string certain = take_end();
  certain += text.substr(0, n_certain);
  held_ = text.substr(n_certain);
  return certain;
}

OutputParser::OutputParser(const Tokenizer& tokenizer, Options options)
    : tokenizer_(tokenizer), options_(options), detokenizer_(tokenizer) {
  if (!options.thought_is_open) return;
  begin_thought();
  label_.reset();  // the prompt wrote it
}

std::vector<ChatEvent> OutputParser::push(TokenId id) {
  events_.clear();
  if (state_ == State::Ended || !tokenizer_.is_valid(id)) return {};
  const State before = state_;
  if (tokenizer_.is_control(id)) {
    take_text(detokenizer_.finish());
    take_control(id);
  } else {
    take_text(detokenizer_.push(id));
  }
  count(before, state_);
  return std::exchange(events_, {});
}

std::vector<ChatEvent> OutputParser::finish(ChatFinish reason) {
  events_.clear();
  if (state_ == State::Ended) return {};
  take_text(detokenizer_.finish());
  if (state_ == State::Thought && label_ && kLabel.starts_with(*label_)) label_.reset();
  if (state_ == State::Call) emit_malformed();
  end(reason);
  return std::exchange(events_, {});
}

void OutputParser::count(State before, State after) {
  const auto touches = [&](State state) { return before == state || after == state; };
  if (after == State::Ended) return;
  if (touches(State::Call)) {
    ++usage_.call_tokens;
  } else if (touches(State::Thought)) {
    ++usage_.thought_tokens;
  } else {
    ++usage_.answer_tokens;
  }
}

void OutputParser::take_control(TokenId id) {
  if (id == tokenizer_.control().quote) {
    if (state_ == State::Call) {
      in_string_ = !in_string_;
      take_text({&kQuoteMark, 1});
    } else {
      take_text("\"");
    }
    return;
  }
  if (tokenizer_.ends_turn(id)) {
    if (state_ == State::Call) end_call(CallEnd::Cut);
    end(n_calls_ > 0 ? ChatFinish::ToolCalls : ChatFinish::Stop);
    return;
  }
  switch (state_) {
    case State::Content: take_control_in_content(id); break;
    case State::Thought: take_control_in_thought(id); break;
    case State::Call: take_control_in_call(id); break;
    case State::Ended: break;
  }
}

// What is not named here, stray closers among them, is dropped.
void OutputParser::take_control_in_content(TokenId id) {
  const ControlIds& control = tokenizer_.control();
  if (id == control.channel_open) {
    begin_thought();
  } else if (id == control.tool_call_open) {
    begin_call();
  }
}

void OutputParser::take_control_in_thought(TokenId id) {
  const ControlIds& control = tokenizer_.control();
  if (id == control.channel_open) {  // doubled, so the label may be coming again
    if (!label_) label_.emplace();
  } else if (id == control.channel_close) {
    end_thought();
    begin_content();
  } else if (id == control.tool_call_open) {  // models skip the closer
    end_thought();
    begin_call();
  }
}

void OutputParser::take_control_in_call(TokenId id) {
  const ControlIds& control = tokenizer_.control();
  if (id == control.tool_call_close) {
    end_call(CallEnd::Closed);
    begin_content();
  } else if (id == control.tool_call_open) {
    end_call(CallEnd::Cut);
    begin_call();
  }
}

void OutputParser::take_text(std::string_view text) {
  if (text.empty()) return;
  switch (state_) {
    case State::Content: emit_text(ChatEvent::Type::Text, content_.push(text)); break;
    case State::Thought: label_ ? take_label(text) : take_thought(text); break;
    case State::Call:
      call_ += text;
      if (options_.stream_calls) call_stream_.push(text, n_calls_, events_);
      break;
    case State::Ended: break;
  }
}

// After a thought or a call: white space in front of free text belongs to neither.
void OutputParser::begin_content() {
  state_ = State::Content;
  content_.begin(/*drop_leading=*/!options_.answer_has_form);
}

void OutputParser::begin_thought() {
  state_ = State::Thought;
  content_.drop_end();
  thought_.begin(/*drop_leading=*/true);
  thought_has_text_ = false;
  label_.emplace();
}

void OutputParser::begin_call() {
  state_ = State::Call;
  content_.drop_end();
  call_.clear();
  in_string_ = false;
  call_stream_ = {};
}

void OutputParser::take_label(std::string_view text) {
  *label_ += text;
  if (label_->size() < kLabel.size() && kLabel.starts_with(*label_)) return;
  const std::string collected = *std::exchange(label_, std::nullopt);
  const bool is_label = collected.starts_with(kLabel);
  take_thought(std::string_view(collected).substr(is_label ? kLabel.size() : 0));
}

void OutputParser::take_thought(std::string_view text) {
  std::string certain = thought_.push(text);
  if (certain.empty()) return;
  const bool follows_another = has_thought_ && !thought_has_text_;
  thought_has_text_ = has_thought_ = true;
  emit_text(ChatEvent::Type::Thought, follows_another ? '\n' + certain : std::move(certain));
}

void OutputParser::end_thought() {
  if (const auto collected = std::exchange(label_, std::nullopt); collected != kLabelWord) {
    take_thought(collected.value_or(""));
  }
  thought_.drop_end();
}

void OutputParser::end_call(CallEnd end) {
  auto call = read_call(call_, end);
  if (!call.ok()) {
    emit_malformed();
    return;
  }
  call_stream_.finish(*call, n_calls_, events_);
  emit({.type = ChatEvent::Type::Call, .call_index = n_calls_, .call = std::move(*call)});
  ++n_calls_;
}

void OutputParser::end(ChatFinish reason) {
  if (state_ == State::Thought) end_thought();
  if (state_ == State::Content) emit_text(ChatEvent::Type::Text, content_.take_end());
  emit({.type = ChatEvent::Type::Finish, .finish = reason});
  state_ = State::Ended;
}

void OutputParser::emit_text(ChatEvent::Type type, std::string text) {
  if (!text.empty()) emit({.type = type, .text = std::move(text)});
}

void OutputParser::emit_malformed() {
  emit({.type = ChatEvent::Type::Malformed, .text = with_quotes_spelled(call_)});
}

}  // namespace fourfold
