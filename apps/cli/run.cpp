#include "cli/run.h"

#include <memory>
#include <nlohmann/json.hpp>

#include "cli/chat.h"
#include "cli/flags.h"
#include "cli/input.h"
#include "cli/interactive.h"
#include "cli/model_flags.h"
#include "cli/request_lines.h"

namespace fourfold {
namespace {

struct RunFlags {
  EngineFlags engine;
  SamplingFlags sampling;
  std::vector<std::string> words;
  std::string system;
  bool lines = false;
};

Result<int> answer_once(const std::string& prompt, Chat& chat, Context& context) {
  const auto answer = TRY(chat.say(prompt, false));
  if (context.json) context.print_json(chat.json(answer));
  return kExitDone;
}

Result<int> run(const RunFlags& flags, Context& context) {
  const bool at_terminal = stdin_is_terminal() && flags.words.empty() && !flags.lines;
  if (at_terminal && context.json) {
    return context.usage_error("prompt: missing, expected as argument or on standard input");
  }
  if (flags.lines && !flags.words.empty()) {
    return context.usage_error("--lines: takes no prompt (requests come on standard input)");
  }
  std::string prompt;
  if (!at_terminal && !flags.lines) {
    prompt = TRY(read_prompt(flags.words, context));
    if (trim(prompt).empty()) {
      return context.usage_error("prompt: empty, expected as argument or on standard input");
    }
  }

  const auto engine = TRY(open_engine(flags.engine, context));
  auto chat = TRY(Chat::start(*engine, flags.sampling, context));
  chat.set_system(flags.system);
  if (at_terminal) return chat_at_terminal(chat, context);
  if (flags.lines) return answer_lines(chat, context);
  return answer_once(prompt, chat, context);
}

}  // namespace

void register_run(CLI::App& program, Context& context) {
  auto flags = std::make_shared<RunFlags>();
  CLI::App& command =
      context.add_command(program, {.name = "run",
                                    .summary = "chat with a model",
                                    .example = "fourfold run gemma.gguf 'Why is the sky blue?'",
                                    .action = [&context, flags] { return run(*flags, context); }});
  add_engine_flags(command, flags->engine);
  add_arguments(
      command,
      {.names = "prompt", .help = "standard input is added to it; none of both: a dialogue"},
      flags->words);
  add_value_flag(command, {"--system", "TEXT", "what the model is told first (nothing)"},
                 [flags](const std::string& text) -> Status {
                   flags->system = text;
                   return {};
                 });
  add_switch(
      command,
      {.names = "--lines", .help = "a request or turn a line, answered by a JSON line (off)"},
      flags->lines);
  add_sampling_flags(command, flags->sampling);
}

}  // namespace fourfold
