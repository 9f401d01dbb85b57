#include "cli/command.h"

#include <CLI/CLI.hpp>
#include <iostream>
#include <nlohmann/json.hpp>

#include "cli/flags.h"

namespace fourfold {
namespace {

using nlohmann::ordered_json;

Status take_color(const std::string& text, ColorMode& mode) {
  if (text == "auto") {
    mode = ColorMode::Auto;
  } else if (text == "always") {
    mode = ColorMode::Always;
  } else if (text == "never") {
    mode = ColorMode::Never;
  } else {
    return invalid_argument("\"{}\" (expected auto, always or never)", text);
  }
  return {};
}

void print_line(std::string_view text) { std::cerr << text << '\n' << std::flush; }

}  // namespace

ordered_json error_json(const Error& error) {
  return {{"error", {{"code", code_name(error.code)}, {"message", error.message}}}};
}

CLI::App& Context::add_command(CLI::App& parent, CommandInfo info) {
  CLI::App& command = *parent.add_subcommand(info.name, info.summary);
  if (info.action) {
    const auto everywhere = [](const char* names, const char* value, const char* help) {
      return Flag{.names = names, .value = value, .help = help, .group = kEverywhereGroup};
    };
    add_switch(command, everywhere("--json", "", "one JSON object on standard output"), json);
    add_switch(command, everywhere("-q,--quiet", "", "no notes on standard error"), quiet);
    add_switch(command, everywhere("-v,--verbose", "", "more of them"), verbose);
    add_value_flag(command, everywhere("--color", "WHEN", "auto, always or never (auto)"),
                   [this](const std::string& text) { return take_color(text, color); });
    commands_.emplace(&command, std::move(info));
  } else {
    command.require_subcommand(0, 1);
  }
  return command;
}

const CommandInfo* Context::find(const CLI::App* command) const {
  const auto found = commands_.find(command);
  return found == commands_.end() ? nullptr : &found->second;
}

void Context::print_json(const ordered_json& value) {
  // Paths and file strings may be no UTF-8; everything else is.
  out_.write(value.dump(-1, ' ', false, ordered_json::error_handler_t::replace) + '\n');
}

void Context::print_json_value(const JsonValue& value) { out_.write(to_json_text(value) + '\n'); }

void Context::note(std::string_view text) {
  if (!quiet) print_line(text);
}

void Context::detail(std::string_view text) {
  if (verbose && !quiet) print_line(text);
}

void Context::print_error(const Error& error) {
  print_line(fmt::format("fourfold: error: {}", error.message));
  if (json) print_json(error_json(error));
}

int Context::usage_error(std::string_view message) {
  print_error(invalid_argument("{}", message));
  return kExitUsage;
}

}  // namespace fourfold
