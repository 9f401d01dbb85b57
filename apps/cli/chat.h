// A conversation with a model. A pretrained model, which cannot chat, continues each text instead.
#pragma once

#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "chat/conversation.h"
#include "chat/fit_prompt.h"
#include "cli/answer.h"
#include "cli/model_flags.h"
#include "cli/tools.h"
#include "engine/engine.h"
#include "engine/film_windows.h"
#include "engine/prepare_chat.h"

namespace fourfold {

// "on", "off" or the most tokens that a thought may have. InvalidArgument for other texts.
Result<Thinking> parse_thinking(std::string_view text);

// What beside the conversation shapes an answer.
struct ChatSettings {
  Thinking thinking;
  std::vector<Tool> tools;
  ToolChoice tool_choice;
  ResponseFormat format;
  bool unconstrained = false;  // tools and format are asked for, and not enforced
  SamplingChoice sampling;
  // Turns of one conversation: what the model said keeps its own spelling, and the oldest exchanges
  // are forgotten once the context is full. Otherwise the prompt does not depend on what came
  // before, and is refused if it does not fit.
  bool is_dialogue = true;
  bool continue_last = false;  // the answer goes on where the last message, the model's, ends
};

// Runs the calls of an answer, so that the model goes on with their results.
struct ToolLoop {
  ToolCommand command;
  int max_rounds = 16;
};

class Chat {
 public:
  // `engine`, `flags` and `context` outlive this. FailedPrecondition without a tokenizer.
  static Result<Chat> start(Engine& engine, const SamplingChoice& flags, Context& context);

  bool is_pretrained() const { return !preparer_->capabilities().chat; }
  void set_system(std::string text) { history_.system = std::move(text); }
  void clear() { history_.messages.clear(); }

  struct History {
    std::string system;
    std::vector<Message> messages;
  };
  // Another history takes the place of the present one, which is returned.
  History replace(History history) { return std::exchange(history_, std::move(history)); }

  // One turn, rounds of tools included. What was said stays in the history, also when it was
  // interrupted.
  Result<Answer> say(Message turn, bool silent);
  Result<Answer> say(const std::string& text, bool silent) {
    return say(Message::of(Role::User, text), silent);
  }
  // The answer to the last message of the history.
  Result<Answer> answer(bool silent);
  // Of the answer that came last.
  JsonValue json(const Answer& answer) const;

  const ChatSettings& settings() const { return settings_; }
  // FailedPrecondition if the model cannot do what they ask for.
  Status set(ChatSettings settings);
  void run_tools(ToolLoop loop) { tool_loop_ = std::move(loop); }
  // Events instead of text on standard output.
  void print_events() { stream_options_.events = true; }

 private:
  Chat(Engine& engine, std::unique_ptr<ChatPreparer> preparer, const SamplingChoice& flags,
       Context& context);

  // A request, and how long the model may think about it.
  struct Turn {
    GenerateRequest request;
    OutputMachine::Options options;
    bool thinks = false;
    PreparedChat prepared;  // what is left of it: the media
  };
  Result<Turn> next_turn();
  Conversation conversation() const;
  void forget(const FittedPrompt& fitted);

  // One round: the model speaks until it ends its turn or wants results.
  Result<Answer> speak(bool silent);
  Result<Answer> speak_through(bool silent);
  void remember(Answer& answer);
  void forget_last_exchange();
  void add_results();
  void describe(const Answer& answer);
  void tell(const std::vector<std::string>& warnings);
  void tell_of_media(const PreparedChat& prepared);
  // What the prompt needs of its media beyond what the session holds.
  Status encode_media(const PreparedChat& prepared, const Session& session);
  // Films that do not fit are seen in turns of their own, which end in notes.
  // Before it takes more than ten seconds to encode them.
  void tell_of_long_looks(const PreparedChat& prepared);
  Status watch_long_films(PreparedChat& prepared);
  Result<FilmNotes> note_film(Session& session, PreparedChat turn);

  Engine& engine_;
  std::unique_ptr<ChatPreparer> preparer_;
  const Tokenizer& tokenizer_;
  Context& context_;
  ChatSettings settings_;
  StreamOptions stream_options_;
  std::unique_ptr<Session> session_;
  std::set<std::string> told_;    // warnings
  std::vector<MediaSeen> media_;  // of the last prompt
  std::size_t n_new_media_ = 0;   // at its end, of which nobody was told
  std::optional<ToolLoop> tool_loop_;
  int n_calls_ = 0;  // in the whole chat
  History history_;
  GenerateRequest last_request_;
};

}  // namespace fourfold
