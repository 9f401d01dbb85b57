// The program: finds the command, runs it, and turns what happened into an exit status.
#include <CLI/CLI.hpp>
#include <csignal>
#include <new>

#include <fcntl.h>
#include <unistd.h>

#include "cli/bench.h"
#include "cli/command.h"
#include "cli/complete.h"
#include "cli/convert.h"
#include "cli/debug.h"
#include "cli/eval.h"
#include "cli/inspect.h"
#include "cli/listen.h"
#include "cli/parse.h"
#include "cli/render.h"
#include "cli/run.h"
#include "cli/serve.h"
#include "cli/signals.h"
#include "cli/tokenize.h"
#include "cli/trace.h"
#include "cli/transcribe.h"
#include "cli/usage.h"

namespace fourfold {
namespace {

void register_commands(CLI::App& program, Context& context) {
  register_run(program, context);
  register_complete(program, context);
  register_tokenize(program, context);
  register_parse(program, context);
  register_render(program, context);
  register_inspect(program, context);
  register_convert(program, context);
  register_eval(program, context);
  register_bench(program, context);
  register_serve(program, context);
  register_transcribe(program, context);
  register_listen(program, context);
  register_trace(program, context);
  register_debug(program, context);
}

// Standard output last: it may have failed after the command had done its work.
int finish(const Result<int>& result, Context& context) {
  if (!result.ok()) {
    context.print_error(result.error());
    return kExitFailed;
  }
  const Status written = context.out().status();
  if (!written.ok()) {
    context.print_error(written.error());
    return kExitFailed;
  }
  return *result;
}

Result<int> run_action(const CommandInfo& command) {
  try {
    return command.action();
  } catch (const std::bad_alloc&) {
    return resource_exhausted(
        "memory: exhausted (--context and --memory make the program smaller)");
  }
}

int run_program(std::vector<std::string> arguments) {
  Context context;
  CLI::App program("runs the Gemma 4 family", "fourfold");
  program.set_version_flag("--version", "fourfold " FOURFOLD_VERSION);
  program.require_subcommand(0, 1);
  register_commands(program, context);

  const auto parsed = parse_command_line(program, context, std::move(arguments));
  if (const int* status = std::get_if<int>(&parsed)) return *status;
  return finish(run_action(*std::get<const CommandInfo*>(parsed)), context);
}

// A stream that our caller closed would be given to the next file that is opened.
void open_missing_streams() {
  for (const int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    if (fcntl(fd, F_GETFD) == -1 && open("/dev/null", O_RDWR) == -1) return;
  }
}

}  // namespace
}  // namespace fourfold

int main(int argc, char** argv) {
  fourfold::open_missing_streams();
  std::signal(SIGPIPE, SIG_IGN);
  fourfold::end_on_signals();
  return fourfold::run_program({argv + 1, argv + argc});
}
