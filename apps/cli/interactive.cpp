#include "cli/interactive.h"

#include <iterator>
#include <utility>

#include "chat/conversation.h"
#include "cli/line_editor.h"
#include "cli/media.h"
#include "cli/signals.h"
#include "cli/spelling.h"

namespace fourfold {
namespace {

constexpr std::string_view kHelp =
    "/help         these lines\n"
    "/system TEXT  what the model is told before everything else (nothing: forget it)\n"
    "/clear        forget the conversation\n"
    "/think N      think first, at most N tokens; or on, or off\n"
    "/stats        tokens and speed of the last answer\n"
    "/bye, /exit   leave; so does Ctrl-D\n"
    "\"\"\"           opens and closes an input of several lines\n"
    "a path         of a picture, sound or film, dropped into the line, goes with it\n"
    "Ctrl-C        stops an answer";

constexpr std::string_view kQuotes = "\"\"\"";

constexpr std::string_view kPrompt = ">>> ";
// What the default body is told at the start, and what a newcomer may ask it.
constexpr std::string_view kFirstWords = "Hello";
constexpr std::string_view kQuestion = "How much water does basil need?";

// One input: a line, or everything between two """.
class InputReader {
 public:
  explicit InputReader(Context& context) : context_(context), editor_(make_line_editor(context)) {}

  // nullopt: the person leaves.
  std::optional<std::string> read() {
    while (true) {
      auto input = editor_->read(std::string(kPrompt));
      if (input.event == LineEditor::Event::End) return std::nullopt;
      if (input.event == LineEditor::Event::Interrupt) {
        clear_interrupt();
        context_.note("Ctrl-D or /bye leaves, and so does a second Ctrl-C at once");
        continue;
      }
      if (!input.line.starts_with(kQuotes)) return remembered(std::move(input.line));
      auto text = read_until_quotes(input.line.substr(kQuotes.size()));
      if (text) return remembered(std::move(*text));
    }
  }

 private:
  // nullopt: interrupted, or the end of input before the closing """.
  std::optional<std::string> read_until_quotes(std::string text) {
    while (!text.ends_with(kQuotes)) {
      auto input = editor_->read("... ");
      clear_interrupt();
      if (input.event != LineEditor::Event::Line) return std::nullopt;
      text += "\n" + input.line;
    }
    text.resize(text.size() - kQuotes.size());
    return text;
  }

  std::string remembered(std::string text) {
    if (!trim(text).empty()) editor_->remember(text);
    return text;
  }

  Context& context_;
  std::unique_ptr<LineEditor> editor_;
};

// An exchange of the conversation. One that fails ends nothing.
void say(Message turn, Chat& chat, ChatCommands& commands, Context& context) {
  clear_interrupt();
  const auto answer = chat.say(std::move(turn), false);
  clear_interrupt();
  if (answer.ok()) {
    commands.set_last_speed(describe_speed(*answer));
  } else {
    context.print_error(answer.error());
  }
}

}  // namespace

bool ChatCommands::run(const std::string& line) {
  const std::string_view text = trim(line);
  const auto name = text.substr(0, text.find(' '));
  const auto rest = trim(text.substr(name.size()));
  if (name == "/bye" || name == "/exit") return false;
  if (name == "/help") {
    context_.note(kHelp);
  } else if (name == "/clear") {
    chat_.clear();
  } else if (name == "/system") {
    chat_.set_system(std::string(rest));
  } else if (name == "/think") {
    set_thinking(rest);
  } else if (name == "/stats") {
    context_.note(last_speed_.empty() ? "no answer so far" : last_speed_);
  } else {
    const auto meant =
        closest_name(name, {"/bye", "/exit", "/help", "/clear", "/system", "/think", "/stats"});
    context_.note(
        fmt::format("{}: unknown (did you mean {}?)", name, meant.empty() ? "/help" : meant));
  }
  return true;
}

void ChatCommands::set_thinking(std::string_view text) {
  const auto set = [&]() -> Status {
    ChatSettings settings = chat_.settings();
    settings.thinking = TRY(parse_thinking(text));
    return chat_.set(std::move(settings));
  }();
  if (!set.ok()) context_.note(fmt::format("/think: {}", set.error().message));
}

// The turn that a line is, files that were dropped into it included; nullopt: a command, nothing at
// all, or a file that cannot be read.
std::optional<Message> turn_of(const std::string& line, const MediaSettings& settings,
                               Context& context) {
  auto dropped = find_dropped_media(line, settings, context);
  if (!dropped.ok()) {
    context.print_error(dropped.error());
    return std::nullopt;
  }
  if (*dropped) {
    for (const auto& file : (*dropped)->files) context.note(fmt::format("with {}", file));
    return std::move((*dropped)->message);
  }
  if (ChatCommands::is_command(line) || trim(line).empty()) return std::nullopt;
  return Message::of(Role::User, line);
}

void put_in_front(std::vector<Part> media, Message& turn) {
  if (media.empty()) return;
  turn.is_part_list = true;
  turn.parts.insert(turn.parts.begin(), std::make_move_iterator(media.begin()),
                    std::make_move_iterator(media.end()));
}

Result<int> chat_at_terminal(Chat& chat, TerminalOptions options, Context& context) {
  raise_flag_on_interrupt();
  ChatCommands commands(chat, context);
  InputReader reader(context);
  context.note("/help shows what can be typed");
  if (options.greets && options.first_media.empty() && !context.quiet) {
    context.note(fmt::format("{}{}", kPrompt, kFirstWords));
    say(Message::of(Role::User, std::string(kFirstWords)), chat, commands, context);
    context.note(fmt::format("try: {}", kQuestion));
  }
  while (context.out().is_open()) {
    const auto input = reader.read();
    if (!input) break;
    // A path may look like a command.
    auto turn = turn_of(*input, options.media, context);
    if (!turn && ChatCommands::is_command(*input) && !commands.run(*input)) break;
    if (!turn) continue;
    put_in_front(std::exchange(options.first_media, {}), *turn);
    say(std::move(*turn), chat, commands, context);
  }
  return kExitDone;
}

}  // namespace fourfold
