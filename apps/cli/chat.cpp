#include "cli/chat.h"

#include <algorithm>

#include "base/utf8.h"
#include "cli/flags.h"
#include "cli/progress.h"
#include "cli/signals.h"
#include "engine/film_windows.h"
#include "engine/media_seen.h"

namespace fourfold {

namespace {

constexpr double kLongLookS = 10.0;

// JSON as it is, unless it is long or could steer the terminal.
std::string shown(const JsonValue& value) {
  constexpr std::size_t kMostBytes = 400;
  std::string text = to_json_text(value);
  if (text.size() <= kMostBytes && !has_control_character(text)) return text;
  return printable(text, kMostBytes);
}

// A pretrained model has no place for anything else.
Result<std::string> text_of(const Message& turn) {
  std::string text;
  for (const auto& part : turn.parts) {
    if (part.kind != Part::Kind::Text) {
      return unimplemented("{}: a pretrained model continues text and takes no media", part.where)
          .with({.reason = "unsupported_media", .field = part.where});
    }
    text += part.text;
  }
  return text;
}

// Those that the newest user message brought, and what came after it.
std::size_t count_new_media(const std::vector<Message>& messages) {
  std::size_t n = 0;
  for (auto message = messages.rbegin(); message != messages.rend(); ++message) {
    for (const auto& part : message->parts) n += part.kind != Part::Kind::Text;
    for (const auto& result : message->results) n += result.media.size();
    if (message->role == Role::User) break;
  }
  return n;
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
  Chat chat(engine, TRY(ChatPreparer::make(engine)), flags, context);
  if (chat.is_pretrained()) {
    context.note("this is a pretrained model: it continues the text and does not chat");
  }
  return chat;
}

Chat::Chat(Engine& engine, std::unique_ptr<ChatPreparer> preparer, const SamplingChoice& flags,
           Context& context)
    : engine_(engine),
      preparer_(std::move(preparer)),
      tokenizer_(preparer_->tokenizer()),
      context_(context),
      settings_{.sampling = flags},
      session_(engine.new_session()) {}

Status Chat::set(ChatSettings settings) {
  Conversation asked;
  asked.thinking = settings.thinking;
  asked.tools = settings.tools;
  asked.response_format = settings.format;
  TRY(preparer_->check(asked));
  settings_ = std::move(settings);
  return {};
}

Result<Answer> Chat::say(Message turn, bool silent) {
  if (is_pretrained()) {
    const std::string text = TRY(text_of(turn));
    last_request_ = raw_request(tokenizer_.encode(text, Trust::Untrusted), settings_.sampling,
                                engine_, tokenizer_);
    auto said = TRY(stream_text(*session_, last_request_, silent, context_));
    describe(said);
    return said;
  }
  history_.messages.push_back(std::move(turn));
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
  n_new_media_ = count_new_media(history_.messages);
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

// Ctrl-C while media are looked at and encoded ends an answer that has not begun: no error.
Result<Answer> Chat::speak(bool silent) {
  auto said = speak_through(silent);
  const bool was_stopped = !said.ok() && said.error().code == Code::Cancelled && is_interrupted();
  if (!was_stopped) return said;
  if (!silent && !context_.json) context_.out().write("\n");
  Answer nothing;
  nothing.finish = name(ChatFinish::Cancelled);
  return nothing;
}

Result<Answer> Chat::speak_through(bool silent) {
  auto turn = TRY(next_turn());
  TRY(encode_media(turn.prepared, *session_));
  last_request_ = std::move(turn.request);
  OutputMachine machine(tokenizer_, std::move(turn.options));
  StreamOptions options = stream_options_;
  options.silent = silent;
  options.show_thoughts = turn.thinks;
  options.runs_calls = tool_loop_.has_value();
  auto said = TRY(stream_answer(*session_, last_request_, machine, options, context_));
  said.result.prompt_tokens += turn.prepared.watched.prompt_tokens;
  said.completion_tokens += turn.prepared.watched.answer_tokens;
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
  auto json = answer_json(answer, engine_, last_request_, true);
  if (!media_.empty()) json.set("media", media_json(media_));
  return json;
}

Result<Chat::Turn> Chat::next_turn() {
  ChatRequest asked{.conversation = conversation(),
                    .sampling = settings_.sampling,
                    .forget_oldest = settings_.is_dialogue,
                    .enforce = !settings_.unconstrained};
  const auto held = settings_.is_dialogue ? session_->ids() : std::vector<TokenId>();
  auto prepared = TRY(preparer_->prepare(asked, held));
  if (prepared.forgotten.n_forgotten_messages > 0) forget(prepared.forgotten);
  tell(prepared.warnings);
  tell_of_media(prepared);
  tell_of_long_looks(prepared);
  TRY(watch_long_films(prepared));

  Turn turn;
  turn.thinks = prepared.thinks;
  turn.options = std::move(prepared.rules);
  turn.request.prompt = prepared.prompt.ids;
  turn.request.soft = prepared.prompt.soft;
  turn.request.sampling = prepared.sampling;
  turn.request.max_tokens = settings_.sampling.max_tokens;
  turn.request.stop_ids = std::move(prepared.stop_ids);
  turn.prepared = std::move(prepared);
  return turn;
}

// Of each medium once, in the turn that brings it.
void Chat::tell_of_media(const PreparedChat& prepared) {
  media_ = prepared.media;
  const std::size_t n_new = std::min(std::exchange(n_new_media_, 0), media_.size());
  for (std::size_t i = media_.size() - n_new; i < media_.size(); ++i) {
    context_.note(fourfold::describe(media_[i]));
  }
}

void Chat::tell_of_long_looks(const PreparedChat& prepared) {
  const auto first = session_->reusable(prepared.prompt.ids, prepared.prompt.soft);
  const double about_s = preparer_->media_seconds(prepared, first);
  if (about_s >= kLongLookS) {
    context_.note(fmt::format("encoding the media takes about {:.0f} s", about_s));
  }
}

Status Chat::encode_media(const PreparedChat& prepared, const Session& session) {
  if (prepared.prompt.soft.empty()) return {};
  const Progress progress("look", context_);
  const auto first = session.reusable(prepared.prompt.ids, prepared.prompt.soft);
  return preparer_->encode_media(
      prepared, [] { return !is_interrupted(); }, first);
}

Status Chat::watch_long_films(PreparedChat& prepared) {
  if (!prepared.films) return {};
  const auto session = engine_.new_session();
  return watch_films(
      *preparer_, prepared, [&](PreparedChat turn) { return note_film(*session, std::move(turn)); },
      [&](int index, int count, double from_s, double to_s) {
        context_.note(
            fmt::format("window {} of {}: {:.0f} to {:.0f} s", index + 1, count, from_s, to_s));
      });
}

Result<FilmNotes> Chat::note_film(Session& session, PreparedChat turn) {
  TRY(encode_media(turn, session));
  GenerateRequest request;
  request.prompt = std::move(turn.prompt.ids);
  request.soft = std::move(turn.prompt.soft);
  request.sampling = turn.sampling;
  request.max_tokens = turn.max_tokens;
  request.stop_ids = std::move(turn.stop_ids);
  OutputMachine machine(tokenizer_, std::move(turn.rules));
  StreamOptions options;
  options.silent = true;
  auto said = TRY(stream_answer(session, std::move(request), machine, options, context_));
  if (is_interrupted()) return Error{Code::Cancelled, "interrupted"};
  return FilmNotes{.text = std::move(said.text),
                   .prompt_tokens = said.result.prompt_tokens,
                   .answer_tokens = said.completion_tokens};
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
  return conversation;
}

void Chat::forget(const FittedPrompt& fitted) {
  forget_messages(history_.messages, fitted.n_forgotten_messages);
  context_.note(fmt::format(
      "the context of {} tokens is full: forgot the oldest {} ({} tokens)", engine_.context(),
      fitted.n_forgotten_exchanges == 1 ? "exchange"
                                        : fmt::format("{} exchanges", fitted.n_forgotten_exchanges),
      fitted.n_forgotten_tokens));
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

// Each once: tools and format are the same in every turn.
void Chat::tell(const std::vector<std::string>& warnings) {
  for (const auto& warning : warnings) {
    if (told_.insert(warning).second) context_.note(warning);
  }
}

}  // namespace fourfold
