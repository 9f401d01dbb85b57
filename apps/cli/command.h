// What the commands of `fourfold` share: how one is registered, what it writes to, how it ends.
//
//   void register_inspect(CLI::App& app, Context& context) {
//     auto flags = std::make_shared<InspectFlags>();  // lives in the action below
//     CLI::App& command = context.add_command(app, {
//         .name = "inspect",
//         .summary = "what a model file holds",
//         .example = "fourfold inspect gemma.gguf --json",
//         .action = [&context, flags] { return inspect(*flags, context); }});
//     command.add_option("FILE", flags->path, "GGUF file or safetensors folder")->required();
//   }
//
// One group of commands is one file, whose register_… main.cpp calls. Flags shared by all commands
// that run a model are in model_flags.h; --json, -q, -v, --color and --help come by themselves.
#pragma once

#include <functional>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

#include "base/json_value.h"
#include "base/result.h"
#include "cli/output.h"

namespace CLI {
class App;
}

namespace fourfold {

// Statuses that the program ends with.
inline constexpr int kExitDone = 0;
inline constexpr int kExitFailed = 1;
inline constexpr int kExitUsage = 2;
inline constexpr int kExitInterrupted = 130;

// Runs when the command line is understood. An error is printed by main and ends with status 1; a
// status other than 0 without an error: what is wrong is printed already.
using Action = std::function<Result<int>()>;

struct CommandInfo {
  std::string name;
  std::string summary;  // one line, no full stop
  std::string example;  // one or more command lines
  Action action;        // none: a group such as `debug`, whose commands have one
};

// {"error": {"code": "NOT_FOUND", "message": "…"}}
nlohmann::ordered_json error_json(const Error& error);

class Context {
 public:
  // The command as a child of `parent`: the program, or a group that was added before.
  CLI::App& add_command(CLI::App& parent, CommandInfo info);
  // Null for a group.
  const CommandInfo* find(const CLI::App* command) const;

  // Standard output: results only.
  Output& out() { return out_; }
  // Prints a JSON value and a newline to standard output.
  void print_json(const nlohmann::ordered_json& value);
  void print_json_value(const JsonValue& value);

  // Standard error: a line for the user, unless -q; details only with -v.
  void note(std::string_view text);
  void detail(std::string_view text);
  // "fourfold: error: …", and with --json the error object on standard output.
  void print_error(const Error& error);
  // Wrong usage that only the command can see: prints it and answers kExitUsage.
  int usage_error(std::string_view message);

  bool json = false;
  bool quiet = false;
  bool verbose = false;
  ColorMode color = ColorMode::Auto;

 private:
  Output out_;
  std::map<const CLI::App*, CommandInfo> commands_;
};

}  // namespace fourfold
