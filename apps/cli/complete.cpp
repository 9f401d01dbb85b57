#include "cli/complete.h"

#include <memory>
#include <nlohmann/json.hpp>

#include "cli/answer.h"
#include "cli/flags.h"
#include "cli/input.h"
#include "cli/model_flags.h"

namespace fourfold {
namespace {

struct CompleteFlags {
  EngineFlags engine;
  SamplingChoice sampling;
  std::vector<std::string> words;
  bool trusted = false;
  bool echo = false;
};

Result<int> complete(const CompleteFlags& flags, Context& context) {
  const auto text = TRY(read_prompt(flags.words, context));
  if (text.empty()) {
    return context.usage_error("text: missing, expected as argument or on standard input");
  }
  const auto engine = TRY(open_engine(flags.engine, context));
  const Tokenizer* tokenizer = TRY(engine->tokenizer());
  const Trust trust = flags.trusted ? Trust::Trusted : Trust::Untrusted;
  const auto request =
      raw_request(tokenizer->encode(text, trust), flags.sampling, *engine, *tokenizer);
  context.detail(fmt::format("seed {}", request.sampling.seed));

  const bool echo_now = flags.echo && !context.json;
  if (echo_now) context.out().write(text);
  auto answer = TRY(stream_text(*engine->new_session(), request, false, context));
  context.detail(describe_speed(answer));
  if (context.json) {
    if (flags.echo) answer.text.insert(0, text);
    context.print_json_value(answer_json(answer, *engine, request, false));
  }
  return kExitDone;
}

}  // namespace

void register_complete(CLI::App& program, Context& context) {
  auto flags = std::make_shared<CompleteFlags>();
  CLI::App& command = context.add_command(
      program, {.name = "complete",
                .summary = "continues raw text, without any chat format",
                .example = "fourfold complete gemma.gguf -n 20 'The capital of France is'",
                .action = [&context, flags] { return complete(*flags, context); }});
  add_engine_flags(command, flags->engine);
  add_arguments(command, {.names = "text", .help = "standard input is added to it"}, flags->words);
  add_switch(command,
             {.names = "--trusted", .help = "control spellings become control tokens (off)"},
             flags->trusted);
  add_switch(command, {.names = "--echo", .help = "print the text first (off)"}, flags->echo);
  add_sampling_flags(command, flags->sampling);
}

}  // namespace fourfold
