#include "cli/usage.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <filesystem>
#include <iostream>
#include <map>
#include <span>

#include "base/utf8.h"
#include "cli/flags.h"
#include "cli/settings.h"
#include "cli/spelling.h"

namespace fourfold {
namespace {

// Spellings of llama.cpp and Ollama users, accepted and not shown.
struct Alias {
  std::string_view typed, meant;
};
constexpr std::array kAliases = {
    Alias{"--ctx-size", "--context"},
    Alias{"-ub", "--chunk"},
    Alias{"--n-predict", "--max-tokens"},
    Alias{"--temperature", "--temp"},
};

// "--ctx-size", "--ctx-size=4096"
void replace_alias(std::string& argument) {
  const std::string_view name = std::string_view(argument).substr(0, argument.find('='));
  for (const auto& alias : kAliases) {
    if (name == alias.typed) return void(argument.replace(0, name.size(), alias.meant));
  }
}

// Flags end at "--".
std::span<std::string> flags_part(std::vector<std::string>& arguments) {
  return {arguments.begin(), std::find(arguments.begin(), arguments.end(), "--")};
}

// The command that was reached: "debug logits" rather than "debug".
CLI::App& deepest_command(CLI::App& program) {
  CLI::App* command = &program;
  while (!command->get_subcommands().empty()) command = command->get_subcommands().front();
  return *command;
}

std::string full_name(const CLI::App& command) {
  if (!command.get_parent()) return "fourfold";
  return full_name(*command.get_parent()) + " " + command.get_name();
}

std::vector<std::string> command_names(const CLI::App& group) {
  std::vector<std::string> names;
  for (const auto* command : group.get_subcommands({})) names.push_back(command->get_name());
  return names;
}

std::vector<std::string> flag_names(const CLI::App& command) {
  std::vector<std::string> names;
  for (const auto* option : command.get_options()) {
    for (const auto& name : option->get_lnames()) names.push_back("--" + name);
  }
  return names;
}

// ---- help ----

// Characters, not bytes.
std::size_t width(std::string_view text) {
  return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xC0) != 0x80;
  }));
}

void append_row(std::string& text, const std::string& left, const std::string& right) {
  constexpr std::size_t kColumn = 28;
  const bool fits = width(left) + 2 <= kColumn;
  const auto gap =
      fits ? std::string(kColumn - width(left), ' ') : "\n" + std::string(kColumn + 2, ' ');
  text += fmt::format("  {}{}{}\n", left, gap, right);
}

std::string argument_usage(const CLI::Option& option) {
  return option.get_required() ? option.get_name(true) : "[" + option.get_name(true) + "]";
}

std::string flag_usage(const CLI::Option& option) {
  std::string names = option.get_name(false, true);
  const auto comma = names.find(',');
  if (comma != std::string::npos) names.insert(comma + 1, " ");
  const bool takes_value = option.get_expected_max() > 0 && option.get_type_size() != 0;
  if (takes_value) return names + " " + option.get_type_name();
  const bool may_take_value = !option.get_type_name().empty();
  return may_take_value ? names + "[=" + option.get_type_name() + "]" : names;
}

std::string group_help(const CLI::App& group) {
  std::string text = fmt::format("usage: {} COMMAND …\n\n", full_name(group));
  for (const auto* command : group.get_subcommands({})) {
    append_row(text, command->get_name(), command->get_description());
  }
  return text + fmt::format("\n{} COMMAND --help shows its flags.\n", full_name(group));
}

std::string command_help(const CLI::App& command, const CommandInfo& info) {
  std::string usage = "usage: " + full_name(command);
  std::string arguments;
  std::map<std::string, std::string> flags;  // by group
  for (const auto* option : command.get_options()) {
    const auto& help = option->get_description();
    if (option->get_positional()) {
      usage += " " + argument_usage(*option);
      append_row(arguments, option->get_name(true), help);
    } else if (option == command.get_help_ptr()) {
      append_row(flags[kEverywhereGroup], flag_usage(*option), "this text");
    } else {
      append_row(flags[option->get_group()], flag_usage(*option), help);
    }
  }

  std::string text = fmt::format("{} [flags]\n\n{}\n\n{}", usage, info.summary, arguments);
  for (const auto* group : {kOwnGroup, kSharedGroup, kEverywhereGroup}) {
    if (flags.contains(group)) text += fmt::format("\n{}\n{}", group, flags[group]);
  }
  return text + fmt::format("\nExample\n  {}\n", info.example);
}

std::string help_of(const CLI::App& command, const Context& context) {
  const CommandInfo* info = context.find(&command);
  return info ? command_help(command, *info) : group_help(command);
}

// ---- complaints ----

std::string did_you_mean(std::string_view typed, const std::vector<std::string>& known) {
  const auto meant = closest_name(typed, known);
  return meant.empty() ? " (--help shows what there is)"
                       : fmt::format(" (did you mean {}?)", meant);
}

// What the parser did not understand: a flag, a command, one argument too many.
std::string complain_about(const std::string& typed, const CLI::App& command, bool is_group) {
  if (typed.size() > 1 && typed[0] == '-') {
    const auto name = typed.substr(0, typed.find('='));
    return fmt::format("{}: unknown flag of {}{}", name, full_name(command),
                       did_you_mean(name, flag_names(command)));
  }
  if (is_group) {
    std::error_code ignored;
    const bool is_model = std::filesystem::exists(typed, ignored);
    return fmt::format("{}: unknown command{}", printable(typed),
                       is_model ? fmt::format(" (did you mean fourfold run {}?)", typed)
                                : did_you_mean(typed, command_names(command)));
  }
  return fmt::format("{}: one argument too many for {}", printable(typed), full_name(command));
}

std::string describe_error(const CLI::ParseError& error, const CLI::App& command, bool is_group) {
  auto left_over = command.remaining(true);
  std::erase(left_over, "--");
  // A misspelt flag is the reason for most other errors.
  const auto flag = std::find_if(left_over.begin(), left_over.end(), [](const std::string& item) {
    return item.size() > 1 && item[0] == '-';
  });
  if (flag != left_over.end()) return complain_about(*flag, command, is_group);
  if (!left_over.empty()) return complain_about(left_over.front(), command, is_group);

  const std::string text = error.what();
  if (dynamic_cast<const CLI::ValidationError*>(&error)) return text;
  const auto see_help = fmt::format("(see {} --help)", full_name(command));
  const auto name = text.substr(0, text.find_first_of(": "));
  if (dynamic_cast<const CLI::RequiredError*>(&error)) {
    return fmt::format("{}: missing {}", name, see_help);
  }
  if (dynamic_cast<const CLI::ArgumentMismatch*>(&error)) {
    return fmt::format("{}: its value is missing {}", name, see_help);
  }
  return fmt::format("{} {}", text, see_help);
}

}  // namespace

ParsedCommand parse_command_line(CLI::App& program, Context& context,
                                 std::vector<std::string> arguments) {
  const auto flags = flags_part(arguments);
  std::for_each(flags.begin(), flags.end(), replace_alias);
  // Known before anything can be wrong, so that complaints are JSON too.
  context.json = std::find(flags.begin(), flags.end(), "--json") != flags.end();

  const auto help = [&] { return help_of(deepest_command(program), context); };
  try {
    std::reverse(arguments.begin(), arguments.end());  // as CLI11 wants them
    program.parse(std::move(arguments));
  } catch (const CLI::CallForVersion& version) {
    context.out().write(fmt::format("{}\n", version.what()));
    return kExitDone;
  } catch (const CLI::CallForHelp&) {
    context.out().write(help());
    return kExitDone;
  } catch (const CLI::ParseError& error) {
    const CLI::App& command = deepest_command(program);
    return context.usage_error(describe_error(error, command, !context.find(&command)));
  }

  CLI::App& command = deepest_command(program);
  const CommandInfo* info = context.find(&command);
  if (!info) {
    std::cerr << help();
    return kExitUsage;
  }
  const Status applied = apply_settings(command, context);
  if (!applied.ok()) return context.usage_error(applied.error().message);
  return info;
}

}  // namespace fourfold
