#include "cli/chat.h"

#include <algorithm>

#include "base/utf8.h"
#include "chat/format_hint.h"
#include "chat/held_spelling.h"
#include "chat/model_kind.h"
#include "chat/output_rules.h"
#include "chat/render.h"
#include "chat/thinking_budget.h"
#include "cli/flags.h"
#include "cli/signals.h"

namespace fourfold {

namespace {

bool is_medium(const Part& part) {
  using Kind = Part::Kind;
  return part.kind == Kind::Image || part.kind == Kind::Audio || part.kind == Kind::Video;
}

// The prompt would have a place for them, and nothing to put there.
Status refuse_media(const std::vector<Message>& messages) {
  for (std::size_t i = 0; i < messages.size(); ++i) {
    bool has_media = std::ranges::any_of(messages[i].parts, is_medium);
    for (const auto& result : messages[i].results) {
      has_media = has_media || std::ranges::any_of(result.media, is_medium);
    }
    if (has_media) {
      return unimplemented("messages[{}]: this version reads text only, no images, audio or video",
                           i);
    }
  }
  return {};
}

// JSON as it is, unless it is long or could steer the terminal.
std::string shown(const JsonValue& value) {
  constexpr std::size_t kMostBytes = 400;
  std::string text = to_json_text(value);
  if (text.size() <= kMostBytes && !has_control_character(text)) return text;
  return printable(text, kMostBytes);
}

}  // namespace

Result<Thinking> parse_thinking(std::string_view text) {
  if (text == "on" || text == "true") return Thinking{.on = true};
  if (text == "off" || text == "false") return Thinking{};
  const auto n_tokens = parse_integer(text, {.least = 0});
  if (!n_tokens.ok()) {
    return invalid_argument("{} (expected on, off or a number of tokens)", printable(text));
  }
  return Thinking{.on = *n_tokens > 0, .budget_tokens = *n_tokens};
}

Result<Chat> Chat::start(Engine& engine, const SamplingChoice& flags, Context& context) {
  const Tokenizer* tokenizer = TRY(engine.tokenizer());
  Chat chat(engine, *tokenizer, flags, context);
  if (chat.is_pretrained()) {
    context.note("this is a pretrained model: it continues the text and does not chat");
  }
  return chat;
}

Chat::Chat(Engine& engine, const Tokenizer& tokenizer, const SamplingChoice& flags, Context& context)
    : engine_(engine),
      tokenizer_(tokenizer),
      context_(context),
      settings_{.sampling = flags},
      session_(engine.new_session()),
      is_pretrained_(!is_chat_model(engine.checkpoint(), engine.config(), tokenizer)),
      constraints_(std::make_unique<ConstraintFactory>(tokenizer)) {}

Status Chat::set(ChatSettings settings) {
  const ControlIds& control = tokenizer_.control();
  if (settings.thinking.on && (is_pretrained_ || control.think == kNoToken)) {
    return failed_precondition("this model cannot think (expected a Gemma 4 chat model)");
  }
  if (!settings.tools.empty() && (is_pretrained_ || control.tool_call_open == kNoToken)) {
    return failed_precondition("this model knows no tools (expected a Gemma 4 chat model)");
  }
  if (settings.format.kind != ResponseFormat::Kind::Text && is_pretrained_) {
    return failed_precondition("a pretrained model answers in no format");
  }
  settings_ = std::move(settings);
  return {};
}

Result<Answer> Chat::say(const std::string& text, bool silent) {
  if (is_pretrained_) {
    last_request_ = raw_request(tokenizer_.encode(text, Trust::Untrusted), settings_.sampling,
                                engine_, tokenizer_);
    auto said = TRY(stream_text(*session_, last_request_, silent, context_));
    describe(said);
    return said;
  }
  history_.messages.push_back(Message::of(Role::User, text));
  auto said = answer(silent);
  const bool was_stopped = said.ok() && said->finish == name(ChatFinish::Cancelled);
  // As if it had not been asked.
  if (!said.ok() || (was_stopped && said->text.empty())) forget_last_exchange();
  return said;
}

void Chat::forget_last_exchange() {
  auto& messages = history_.messages;
  while (messages.back().role != Role::User) messages.pop_back();
  messages.pop_back();
}

Result<Answer> Chat::answer(bool silent) {
  Answer whole = TRY(speak(silent));
  for (int round = 0; tool_loop_ && whole.finish == name(ChatFinish::ToolCalls); ++round) {
    if (round == tool_loop_->max_rounds) {
      context_.note(fmt::format("stopped after {} rounds of tools", round));
      break;
    }
    add_results();
    settings_.continue_last = false;  // the results are last now
    if (is_interrupted()) break;
    Answer next = TRY(speak(silent));
    next.thinking = whole.thinking + (whole.thinking.empty() ? "" : "\n") + next.thinking;
    next.calls.insert(next.calls.begin(), whole.calls.begin(), whole.calls.end());
    next.thought_tokens += whole.thought_tokens;
    next.completion_tokens += whole.completion_tokens;
    whole = std::move(next);
  }
  return whole;
}

Result<Answer> Chat::speak(bool silent) {
  auto turn = TRY(next_turn());
  last_request_ = std::move(turn.request);
  OutputMachine machine(tokenizer_, std::move(turn.options));
  StreamOptions options = stream_options_;
  options.silent = silent;
  options.show_thoughts = turn.thinks;
  options.runs_calls = tool_loop_.has_value();
  auto said = TRY(stream_answer(*session_, last_request_, machine, options, context_));
  describe(said);
  remember(said);
  return said;
}

void Chat::remember(Answer& answer) {
  for (auto& call : answer.calls) call.id = fmt::format("call-{}", ++n_calls_);
  // Nothing but a thought that was cut off.
  if (answer.text.empty() && answer.calls.empty()) return;
  auto message = Message::of(Role::Model, answer.text);
  message.thought = answer.thinking;
  message.calls = answer.calls;
  history_.messages.push_back(std::move(message));
}

// Of the calls of the last message.
void Chat::add_results() {
  const auto calls = history_.messages.back().calls;
  for (const auto& call : calls) {
    auto message = Message::of(Role::Tool, "");
    message.parts.clear();
    message.results.push_back({.call_id = call.id,
                               .name = call.name,
                               .value = run_tool(tool_loop_->command, call),
                               .media = {}});
    context_.note(fmt::format("result {} {}", call.name, shown(message.results.back().value)));
    history_.messages.push_back(std::move(message));
  }
}

JsonValue Chat::json(const Answer& answer) const {
  return answer_json(answer, engine_, last_request_, true);
}

Result<Chat::Turn> Chat::next_turn() {
  TRY(refuse_media(history_.messages));
  Conversation asked = conversation();
  auto prompt = TRY(render_prompt(asked));
  if (asked.thinking.on && thinking_budget(asked.thinking, room_behind(prompt)) == 0) {
    context_.note("too few tokens are left to think");
    asked.thinking = {};
    prompt = TRY(render_prompt(asked));
  }
  // Large bodies may think unasked.
  const Thinking most = asked.thinking.on ? asked.thinking : Thinking{.on = true};

  Turn turn;
  turn.thinks = asked.thinking.on;
  turn.options = TRY(output_rules(asked, *constraints_, {.enforce = !settings_.unconstrained}));
  turn.options.thought_is_open = prompt.thought_is_open;
  turn.options.thought_budget = thinking_budget(most, room_behind(prompt));
  tell_loosened(turn.options);
  turn.request.prompt = std::move(prompt.ids);
  turn.request.sampling = sample_options(settings_.sampling, engine_.config().sampling);
  turn.request.max_tokens = settings_.sampling.max_tokens;
  turn.request.stop_ids = tokenizer_.stop_ids();
  turn.request.stop_ids.push_back(tokenizer_.control().turn_open);  // it speaks for somebody else
  return turn;
}

Conversation Chat::conversation() const {
  Conversation conversation;
  conversation.messages = history_.messages;
  if (!history_.system.empty()) {
    conversation.messages.insert(conversation.messages.begin(),
                                 Message::of(Role::System, history_.system));
  }
  conversation.thinking = settings_.thinking;
  conversation.tools = settings_.tools;
  conversation.tool_choice = settings_.tool_choice;
  conversation.response_format = settings_.format;
  conversation.stop = settings_.sampling.stop;
  conversation.continue_last = settings_.continue_last;
  return with_format_hint(std::move(conversation));
}

Result<Prompt> Chat::render_prompt(Conversation& conversation) {
  const RenderOptions options{.variant = variant_of(engine_.config())};
  if (!settings_.is_dialogue) {
    auto prompt = TRY(render(tokenizer_, conversation, options));
    const auto n_tokens = static_cast<std::int64_t>(prompt.ids.size());
    if (n_tokens >= engine_.context()) return prompt_too_long(n_tokens, engine_.context());
    return prompt;
  }
  auto fitted = TRY(fit_prompt(tokenizer_, conversation, options, engine_.context()));
  if (fitted.n_forgotten_messages > 0) forget(fitted, conversation);
  Prompt prompt = std::move(fitted.prompt);
  auto ids = with_held_spelling(tokenizer_, session_->ids(), prompt.ids);
  if (static_cast<std::int64_t>(ids.size()) < engine_.context()) prompt.ids = std::move(ids);
  return prompt;
}

void Chat::forget(const FittedPrompt& fitted, Conversation& conversation) {
  forget_messages(conversation.messages, fitted.n_forgotten_messages);
  forget_messages(history_.messages, fitted.n_forgotten_messages);
  context_.note(fmt::format(
      "the context of {} tokens is full: forgot the oldest {} ({} tokens)", engine_.context(),
      fitted.n_forgotten_exchanges == 1 ? "exchange"
                                        : fmt::format("{} exchanges", fitted.n_forgotten_exchanges),
      fitted.n_forgotten_tokens));
}

std::int64_t Chat::room_behind(const Prompt& prompt) const {
  const auto room = engine_.context() - static_cast<std::int64_t>(prompt.ids.size());
  const auto most = settings_.sampling.max_tokens;
  return most < 0 ? room : std::min(room, most);
}

void Chat::describe(const Answer& answer) {
  const GenerateResult& result = answer.result;
  context_.detail(fmt::format("seed {}", last_request_.sampling.seed));
  context_.detail(describe_speed(answer));
  const auto n_used = result.prompt_tokens + static_cast<std::int64_t>(result.ids.size());
  if (result.finish == Finish::Length && n_used >= engine_.context()) {
    context_.note(fmt::format("the context of {} tokens is full", engine_.context()));
  }
}

void Chat::tell_loosened(const OutputMachine::Options& options) {
  if (std::exchange(told_loosened_, true)) return;
  for (const auto* constraint : {&options.calls, &options.answer}) {
    if (!*constraint) continue;
    for (const auto& what : (*constraint)->loosened()) {
      context_.note(fmt::format("not enforced: {}", what));
    }
  }
}

}  // namespace fourfold
