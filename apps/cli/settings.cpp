#include "cli/settings.h"

#define TOML_EXCEPTIONS 0
#define TOML_HEADER_ONLY 1
#include <toml++/toml.h>
#include <CLI/CLI.hpp>
#include <algorithm>
#include <filesystem>
#include <map>
#include <optional>

#include "cli/flags.h"
#include "cli/folders.h"
#include "cli/spelling.h"

namespace fourfold {
namespace {

// One value of a repeatable flag each.
using Values = std::vector<std::string>;

std::optional<std::string> value_text(const toml::node& node) {
  if (const auto* text = node.as_string()) return text->get();
  if (const auto* integer = node.as_integer()) return std::to_string(integer->get());
  if (const auto* number = node.as_floating_point()) return fmt::format("{}", number->get());
  if (const auto* boolean = node.as_boolean()) return boolean->get() ? "true" : "false";
  return std::nullopt;
}

Result<Values> values_of(const toml::node& node) {
  Values values;
  const auto add = [&](const toml::node& item) -> Status {
    const auto text = value_text(item);
    if (!text) return invalid_argument("expected a text, a number, true or false");
    values.push_back(*text);
    return {};
  };
  if (const auto* list = node.as_array()) {
    for (const auto& item : *list) TRY(add(item));
  } else {
    TRY(add(node));
  }
  return values;
}

class ConfigFile {
 public:
  static Result<ConfigFile> load() {
    ConfigFile config;
    config.path_ = config_file();
    std::error_code ignored;
    if (config.path_.empty() || !std::filesystem::exists(config.path_, ignored)) return config;
    auto parsed = toml::parse_file(config.path_);
    if (!parsed) {
      const auto& error = parsed.error();
      return invalid_argument("{}: line {}: {}", config.path_, error.source().begin.line,
                              error.description());
    }
    config.table_ = std::move(parsed).table();
    return config;
  }

  // The command's own table first.
  const toml::node* find(const std::string& table_path, const std::string& key) const {
    if (const auto* table = find_table(table_path)) {
      if (const auto* node = table->get(key)) return node;
    }
    const auto* node = table_.get(key);
    return node && !node->is_table() ? node : nullptr;
  }

  // "debug.logits", or "" for the whole file.
  const toml::table* find_table(const std::string& table_path) const {
    return table_path.empty() ? &table_ : table_.at_path(table_path).as_table();
  }

  const std::string& path() const { return path_; }

 private:
  std::string path_;
  toml::table table_;
};

std::string in_capitals(std::string name) {
  std::transform(name.begin(), name.end(), name.begin(),
                 [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
  return name;
}

Status apply(CLI::Option& option, const std::string& source, const Values& values) {
  try {
    for (const auto& value : values) {
      const bool is_switch = option.get_expected_max() == 0;
      option.add_result(is_switch ? option.get_flag_value(option.get_lnames().front(), value)
                                  : value);
    }
    option.run_callback();
  } catch (const CLI::Error& error) {
    return invalid_argument("{}: {}", source, error.what());
  }
  return {};
}

std::string key_of(const CLI::Option& option) {
  std::string key = option.get_lnames().front();
  std::replace(key.begin(), key.end(), '-', '_');
  return key;
}

// "run", "debug.logits"; empty for the program.
std::string table_path_of(const CLI::App& command) {
  if (!command.get_parent()) return "";
  const std::string parent = table_path_of(*command.get_parent());
  return parent.empty() ? command.get_name() : parent + "." + command.get_name();
}

const CLI::App& program_of(const CLI::App& command) {
  return command.get_parent() ? program_of(*command.get_parent()) : command;
}

// The keys of each table that may be there, and all of them under "".
using KnownKeys = std::map<std::string, std::vector<std::string>>;

void add_known_keys(const CLI::App& command, KnownKeys& keys) {
  for (const auto* option : command.get_options()) {
    if (option->get_lnames().empty()) continue;
    keys[table_path_of(command)].push_back(key_of(*option));
    keys[""].push_back(key_of(*option));
  }
  for (const auto* child : command.get_subcommands({})) add_known_keys(*child, keys);
}

void note_unknown_keys(const ConfigFile& config, const CLI::App& program, Context& context) {
  KnownKeys keys;
  add_known_keys(program, keys);
  for (const auto& [table_path, known] : keys) {
    const auto* table = config.find_table(table_path);
    if (!table) continue;
    for (const auto& [key, value] : *table) {
      const std::string name(key.str());
      if (value.is_table() || std::find(known.begin(), known.end(), name) != known.end()) continue;
      const auto meant = closest_name(name, known);
      context.note(fmt::format("{}: {}: unknown{}", config.path(), name,
                               meant.empty() ? "" : fmt::format(" (did you mean {}?)", meant)));
    }
  }
}

Status apply_to(CLI::Option& option, const std::string& table_path, const ConfigFile& config) {
  const std::string key = key_of(option);
  if (option.get_group() == kSharedGroup) {
    const auto variable = "FOURFOLD_" + in_capitals(key);
    const auto value = environment(variable.c_str());
    if (!value.empty()) return apply(option, variable, {value});
  }
  if (const auto* node = config.find(table_path, key)) {
    const auto source = fmt::format("{}: {}", config.path(), key);
    return apply(option, source, TRY_IN(source, values_of(*node)));
  }
  return {};
}

}  // namespace

Status apply_settings(CLI::App& command, Context& context) {
  const auto config = TRY(ConfigFile::load());
  note_unknown_keys(config, program_of(command), context);
  for (auto* option : command.get_options()) {
    const bool has_name = !option->get_lnames().empty() && option != command.get_help_ptr();
    if (has_name && option->count() == 0) TRY(apply_to(*option, table_path_of(command), config));
  }
  return {};
}

}  // namespace fourfold
