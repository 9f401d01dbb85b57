#include "cli/run.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "base/json_value.h"
#include "cli/chat.h"
#include "cli/flags.h"
#include "cli/input.h"
#include "cli/interactive.h"
#include "cli/media.h"
#include "cli/model_flags.h"
#include "cli/request_lines.h"

namespace fourfold {
namespace {

struct RunFlags {
  EngineFlags engine;
  SamplingChoice sampling;
  std::vector<std::string> words;
  std::string system;
  Thinking thinking;
  std::optional<std::string> schema, regex, grammar;  // a file, an expression, a file
  std::optional<std::string> tools;                   // a file
  bool unconstrained = false;
  ToolLoop tool_loop;
  const CLI::App* command = nullptr;  // knows in which order the arguments came
  MediaSettings media;                // of what comes next
  bool lines = false;
  bool events = false;
};

Result<int> answer_once(Message turn, Chat& chat, Context& context) {
  const auto answer = TRY(chat.say(std::move(turn), false));
  if (context.json) context.print_json_value(chat.json(answer));
  return kExitDone;
}

Result<ResponseFormat> load_format(const RunFlags& flags, Context& context) {
  using Kind = ResponseFormat::Kind;
  ResponseFormat format;
  if (flags.schema) {
    const auto text = TRY(read_text(*flags.schema, "a schema", context));
    format = {.kind = Kind::JsonSchema, .schema = {}, .source = {}};
    format.schema = TRY_IN(*flags.schema, parse_json_value(text));
  } else if (flags.regex) {
    format = {.kind = Kind::Regex, .schema = {}, .source = *flags.regex};
  } else if (flags.grammar) {
    auto source = TRY(read_text(*flags.grammar, "a grammar", context));
    format = {.kind = Kind::Grammar, .schema = {}, .source = std::move(source)};
  }
  return format;
}

Result<ChatSettings> load_settings(const RunFlags& flags, Context& context) {
  ChatSettings settings{
      .thinking = flags.thinking, .unconstrained = flags.unconstrained, .sampling = flags.sampling};
  settings.format = TRY(load_format(flags, context));
  if (flags.tools) settings.tools = TRY(load_tools(*flags.tools, context));
  return settings;
}

bool says_nothing(const Message& turn) {
  return std::ranges::all_of(turn.parts, [](const Part& part) {
    return part.kind == Part::Kind::Text && trim(part.text).empty();
  });
}

Result<int> run(const RunFlags& flags, Context& context) {
  const bool at_terminal = stdin_is_terminal() && flags.words.empty() && !flags.lines;
  if (at_terminal && (context.json || flags.events)) {
    return context.usage_error("prompt: missing, expected as argument or on standard input");
  }
  if (flags.lines && !flags.words.empty()) {
    return context.usage_error("--lines: takes no prompt (requests come on standard input)");
  }
  if (flags.events && (flags.lines || context.json)) {
    return context.usage_error("--events: does not go together with --lines and --json");
  }
  if (flags.schema.has_value() + flags.regex.has_value() + flags.grammar.has_value() > 1) {
    return context.usage_error("expected one of --schema, --regex and --grammar");
  }
  const bool runs_tools = !flags.tool_loop.command.shell.empty();
  if (runs_tools && !flags.tools && !flags.lines) {
    return context.usage_error("--tool-exec: expected --tools too");
  }
  auto settings = TRY(load_settings(flags, context));
  const bool answers_once = !at_terminal && !flags.lines;
  MediaSettings media = flags.media;
  auto turn = TRY(read_user_turn(arguments_in_order(*flags.command), answers_once, media, context));
  if (flags.lines && has_media(turn)) {
    return context.usage_error("--lines: takes no media (requests bring their own)");
  }
  if (answers_once && says_nothing(turn)) {
    return context.usage_error("prompt: empty, expected as argument or on standard input");
  }

  const auto engine = TRY(open_engine(flags.engine, context));
  auto chat = TRY(Chat::start(*engine, flags.sampling, context));
  chat.set_system(flags.system);
  TRY(chat.set(std::move(settings)));
  if (runs_tools) chat.run_tools(flags.tool_loop);
  if (flags.events) chat.print_events();
  if (at_terminal) {
    // The default body answers at once, which others need not.
    const bool greets = engine->config().body == "keeper" &&
                        chat.settings().format.kind == ResponseFormat::Kind::Text;
    return chat_at_terminal(
        chat, {.greets = greets, .first_media = std::move(turn.parts), .media = media}, context);
  }
  if (flags.lines) return answer_lines(chat, media, context);
  return answer_once(std::move(turn), chat, context);
}

}  // namespace

void register_run(CLI::App& program, Context& context) {
  auto flags = std::make_shared<RunFlags>();
  CLI::App& command =
      context.add_command(program, {.name = "run",
                                    .summary = "chat with a model",
                                    .example = "fourfold run gemma.gguf 'Why is the sky blue?'",
                                    .action = [&context, flags] { return run(*flags, context); }});
  flags->command = &command;
  add_engine_flags(command, flags->engine);
  add_mmproj_flag(command, flags->engine);
  add_arguments(
      command,
      {.names = "prompt", .help = "standard input is added to it; none of both: a dialogue"},
      flags->words);
  add_value_flag(command, {"--system", "TEXT", "what the model is told first (nothing)"},
                 [flags](const std::string& text) -> Status {
                   flags->system = text;
                   return {};
                 });
  add_optional_value_flag(
      command, {"--think", "N", "think first, at most N tokens (off; without N what fits)"},
      [flags](const std::string& text) -> Status {
        flags->thinking = TRY(parse_thinking(text.empty() ? "on" : text));
        return {};
      });
  add_optional_value_flag(command, {"--no-think", "", "the default"},
                          [flags](const std::string& text) -> Status {
                            if (text != "false") flags->thinking = {};
                            return {};
                          });
  const auto text_flag = [&](const char* name, const char* value, const char* help,
                             std::optional<std::string>& target) {
    add_value_flag(command, {.names = name, .value = value, .help = help},
                   [&target](const std::string& text) -> Status {
                     target = text;
                     return {};
                   });
  };
  text_flag("--schema", "FILE", "the answer is JSON as this JSON schema says (free)",
            flags->schema);
  text_flag("--regex", "R", "the answer is what this expression describes (free)", flags->regex);
  text_flag("--grammar", "FILE", "the answer is as this Lark or GBNF grammar says (free)",
            flags->grammar);
  text_flag("--tools", "FILE", "a JSON list of functions that the model may call (none)",
            flags->tools);
  add_switch(
      command,
      {.names = "--unconstrained", .help = "calls and JSON are asked for, but not enforced (off)"},
      flags->unconstrained);
  add_media_flags(command, flags->media);
  add_value_flag(command,
                 {"--tool-exec", "CMD", "run by sh for each call, which it reads as JSON (none)"},
                 [flags](const std::string& text) -> Status {
                   flags->tool_loop.command.shell = text;
                   return {};
                 });
  add_value_flag(command, {"--tool-timeout", "S", "seconds for each call (60)"},
                 take_integer(flags->tool_loop.command.timeout_s, {.least = 1, .most = 86400}));
  add_value_flag(command, {"--max-rounds", "N", "rounds of calls before it stops (16)"},
                 take_integer(flags->tool_loop.max_rounds, {.least = 0, .most = 1 << 20}));
  add_switch(command, {.names = "--events", .help = "the answer as JSON lines, one an event (off)"},
             flags->events);
  add_switch(
      command,
      {.names = "--lines", .help = "a request or turn a line, answered by a JSON line (off)"},
      flags->lines);
  add_sampling_flags(command, flags->sampling);
}

}  // namespace fourfold
