#include "cli/serve.h"

#include <array>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>

#include "base/resources.h"
#include "base/utf8.h"
#include "cli/flags.h"
#include "cli/folders.h"
#include "cli/model_flags.h"
#include "server/access.h"
#include "server/server.h"

namespace fourfold {
namespace {

struct ServeFlags {
  std::vector<std::string> models;  // MODEL or NAME=PATH
  EngineFlags engine;
  ServeOptions serve;
};

// --- Values ---

// "5m", "30s", "1h", "300" (seconds), "-1" (for ever)
Result<std::chrono::milliseconds> parse_duration(std::string_view text) {
  std::string_view digits = text;
  std::int64_t unit_ms = 1000;
  if (digits.ends_with("ms")) {
    unit_ms = 1;
    digits.remove_suffix(2);
  } else if (!digits.empty()) {
    const auto unit = std::string_view("smh").find(digits.back());
    constexpr std::array<std::int64_t, 3> kUnits_ms = {1000, 60'000, 3'600'000};
    if (unit != std::string_view::npos) {
      unit_ms = kUnits_ms[unit];
      digits.remove_suffix(1);
    }
  }
  constexpr std::int64_t kMost = 1'000'000'000;
  const auto count = parse_integer(digits, {.least = -1, .most = kMost});
  if (!count.ok()) return invalid_argument("{} (expected 30s, 5m, 1h)", printable(text));
  return std::chrono::milliseconds(*count * unit_ms);
}

TakeValue take_duration(std::chrono::milliseconds& target) {
  return [&target](const std::string& text) -> Status {
    target = TRY(parse_duration(text));
    return {};
  };
}

TakeValue take_size(std::uint64_t& target) {
  return [&target](const std::string& text) -> Status {
    target = TRY(parse_size(text));
    return {};
  };
}

std::vector<std::string> split_list(std::string_view text) {
  std::vector<std::string> items;
  while (!text.empty()) {
    const std::string_view item = text.substr(0, text.find(','));
    text.remove_prefix(std::min(text.size(), item.size() + 1));
    if (!item.empty()) items.emplace_back(item);
  }
  return items;
}

TakeValue take_list(std::vector<std::string>& target,
                    Status (*check)(std::string_view item) = nullptr) {
  return [&target, check](const std::string& text) -> Status {
    for (auto& item : split_list(text)) {
      if (check) TRY(check(item));
      target.push_back(std::move(item));
    }
    return {};
  };
}

Result<std::pair<std::string, std::string>> split_pair(const std::string& text,
                                                       std::string_view expected) {
  const auto equals = text.find('=');
  if (equals == 0 || equals == text.npos || equals + 1 == text.size()) {
    return invalid_argument("{} (expected {})", printable(text), expected);
  }
  return std::pair(text.substr(0, equals), text.substr(equals + 1));
}

Status take_log_format(const std::string& text, LogOptions& log) {
  if (text != "text" && text != "json") {
    return invalid_argument("{} (expected text or json)", printable(text));
  }
  log.as_json = text == "json";
  return {};
}

Status take_metrics_alias(const std::string& text, std::vector<MetricsAlias>& aliases) {
  for (const auto& item : split_list(text)) {
    if (item == "llamacpp") {
      aliases.push_back(MetricsAlias::LlamaCpp);
    } else if (item == "vllm") {
      aliases.push_back(MetricsAlias::Vllm);
    } else {
      return invalid_argument("{} (expected llamacpp or vllm)", printable(item));
    }
  }
  return {};
}

Status take_think_default(const std::string& text, std::map<Dialect, bool>& defaults) {
  const auto [dialect_name, value] = TRY(split_pair(text, "DIALECT=on or DIALECT=off"));
  if (value != "on" && value != "off") {
    return invalid_argument("{} (expected on or off)", printable(value));
  }
  for (const auto dialect :
       {Dialect::Gemini, Dialect::OpenAI, Dialect::Ollama, Dialect::Anthropic}) {
    if (name(dialect) != dialect_name) continue;
    defaults[dialect] = value == "on";
    if (dialect == Dialect::OpenAI) defaults[Dialect::Responses] = value == "on";
    return {};
  }
  return invalid_argument("{} (expected gemini, openai, ollama or anthropic)",
                          printable(dialect_name));
}

Status take_reasoning_field(const std::string& text, std::string& field) {
  for (const auto* known : {"reasoning_content", "reasoning", "both", "none"}) {
    if (text == known) {
      field = text;
      return {};
    }
  }
  return invalid_argument("{} (expected reasoning_content, reasoning, both or none)",
                          printable(text));
}

// Read by apply_settings(), after the flags.
Status take_config(const std::string& path) {
  std::error_code ignored;
  if (!std::filesystem::exists(path, ignored)) return not_found("{}: no such file", path);
  ::setenv("FOURFOLD_CONFIG", path.c_str(), 1);
  return {};
}

// --- What to serve ---

// Of a program in the build folder of a checkout: that checkout's model; else one in the folders.
std::string default_body() {
  constexpr std::string_view kBuild = "/build/", kKeeper = "/models/keeper/keeper.gguf";
  std::error_code ignored;
  const std::string program = std::filesystem::read_symlink("/proc/self/exe", ignored).string();
  std::vector<std::string> candidates;
  if (const auto build = program.rfind(kBuild); build != program.npos) {
    candidates.push_back(program.substr(0, build) + std::string(kKeeper));
  }
  for (const auto& folder : model_folders()) candidates.push_back(folder + "/keeper.gguf");
  for (const auto& path : candidates) {
    if (std::filesystem::exists(path, ignored)) return path;
  }
  return "";
}

// "name=path", unless there is a file of that name.
Result<ModelsOptions::Named> named_model(const std::string& text) {
  std::error_code ignored;
  const auto equals = text.find('=');
  if (equals == text.npos || std::filesystem::exists(text, ignored)) {
    return ModelsOptions::Named{{}, TRY(resolve_model(text))};
  }
  const auto [name, path] = TRY(split_pair(text, "NAME=PATH"));
  return ModelsOptions::Named{name, TRY(resolve_model(path))};
}

Status choose_models(const ServeFlags& flags, ServeOptions& options) {
  for (const auto& text : flags.models) {
    options.models.models.push_back(TRY(named_model(text)));
  }
  if (!options.models.models.empty()) return {};
  std::error_code ignored;
  for (const auto& folder : model_folders()) {
    if (std::filesystem::is_directory(folder, ignored)) options.models.folders.push_back(folder);
  }
  if (const auto path = default_body(); !path.empty()) {
    options.models.models.push_back({{}, path});
  } else if (options.models.folders.empty()) {
    return not_found("MODEL: none given, and no model folder (in {})",
                     model_folders().empty() ? "$FOURFOLD_MODEL_DIR" : model_folders().back());
  }
  return {};
}

// Where files, stored answers and made models are kept; empty when nothing can be.
std::string usable_data_folder(std::vector<std::string>& notes) {
  const std::string folder = data_folder();
  std::error_code error;
  if (folder.empty()) {
    error = std::make_error_code(std::errc::no_such_file_or_directory);
  } else {
    std::filesystem::create_directories(folder, error);
  }
  if (!error) return folder;
  notes.push_back(fmt::format("{}: {}; nothing will be kept over a restart",
                              folder.empty() ? "no home folder" : folder, error.message()));
  return "";
}

Result<LogLevel> log_level(const Context& context) {
  const std::string set = environment("FOURFOLD_LOG");
  if (!set.empty()) return TRY_IN("FOURFOLD_LOG", parse_log_level(set));
  if (context.quiet) return LogLevel::Warn;
  return context.verbose ? LogLevel::Debug : LogLevel::Info;
}

Result<int> serve_command(const ServeFlags& flags, Context& context) {
  ServeOptions options = flags.serve;
  options.log.level = TRY(log_level(context));
  options.models.service.engine = flags.engine.options;
  options.models.service.engine.force_isa = environment("FOURFOLD_FORCE_ISA");
  TRY(choose_models(flags, options));
  std::string& folder = options.settings.data_folder;
  folder = usable_data_folder(options.notes);
  if (!folder.empty()) options.models.made_models_file = folder + "/models.json";
  TRY(serve(std::move(options)));
  return kExitDone;
}

// --- Flags ---

void add_own_flags(CLI::App& command, ServeFlags& flags) {
  ServeOptions& serve = flags.serve;
  ServerSettings& settings = serve.settings;
  constexpr std::int64_t kMostPort = 65535, kMost = 1 << 20;
  add_value_flag(command, {"--host", "HOST", "address to listen at (127.0.0.1)"},
                 take_text(settings.host));
  add_value_flag(command, {"--port", "N", "0 is a free one (8080; Ollama's is 11434)"},
                 take_integer(settings.port, {0, kMostPort}));
  add_value_flag(command,
                 {.names = "--model-dir",
                  .value = "DIR",
                  .help = "every model in it, loaded on demand (none)",
                  .repeatable = true},
                 [&serve](const std::string& text) -> Status {
                   serve.models.folders.push_back(text);
                   return {};
                 });
  add_value_flag(command,
                 {.names = "--alias",
                  .value = "NAME=MODEL",
                  .help = "a further name for a model (none)",
                  .repeatable = true},
                 [&serve](const std::string& text) -> Status {
                   serve.models.aliases.push_back(TRY(split_pair(text, "NAME=MODEL")));
                   return {};
                 });
  add_switch(command, {.names = "--any-model", .help = "unknown names mean the only model (off)"},
             serve.models.only_model_answers_to_all);
  add_value_flag(command, {"--keep-alive", "TIME", "on-demand models stay so long, -1 ever (5m)"},
                 take_duration(serve.models.keep_alive));
  add_value_flag(command, {"--parallel", "N", "answers of a model at once (what the memory holds)"},
                 [&serve](const std::string& text) -> Status {
                   const auto n = static_cast<int>(TRY(parse_integer(text, {1, kMost})));
                   serve.settings.max_parallel = serve.models.service.max_parallel = n;
                   return {};
                 });
  add_value_flag(command, {"--queue", "N", "requests that may wait (64)"},
                 [&serve](const std::string& text) -> Status {
                   const auto n = static_cast<int>(TRY(parse_integer(text, {0, kMost})));
                   serve.settings.max_queue = serve.models.service.max_queue = n;
                   return {};
                 });
  add_value_flag(command, {"--grace", "TIME", "answers may finish after SIGTERM (30s)"},
                 take_duration(serve.grace));
  add_value_flag(command, {"--config", "FILE", "settings (config.toml of the user)"}, take_config);
}

void add_access_flags(CLI::App& command, ServeFlags& flags) {
  ServeOptions& serve = flags.serve;
  ServerSettings& settings = serve.settings;
  add_value_flag(command, {"--api-key-file", "FILE", "one key a line, or TOML (no keys)"},
                 take_text(serve.api_key_file));
  add_value_flag(command, {"--api-key", "", "refused: every user could read it"},
                 [](const std::string&) -> Status {
                   return invalid_argument(
                       "keys are never arguments, which every user can read (use --api-key-file "
                       "FILE, or FOURFOLD_API_KEY in the environment)");
                 });
  add_switch(command, {.names = "--no-auth", .help = "other hosts need no key (off)"},
             serve.no_auth);
  add_value_flag(command, {"--origins", "LIST", "pages that may ask (those of this machine)"},
                 take_list(settings.origins, check_origin_setting));
  add_value_flag(command, {"--hosts", "LIST", "further names of this server (none)"},
                 take_list(settings.hosts));
  add_value_flag(command, {"--fetch-urls", "LIST", "not supported yet: no URL is fetched"},
                 [](const std::string&) -> Status {
                   return unimplemented("this version fetches no URLs (clients send data: URLs)");
                 });
  add_value_flag(command, {"--path-prefix", "PATH", "that a proxy leaves in front (none)"},
                 take_text(settings.path_prefix));
  add_value_flag(command, {"--max-body", "SIZE", "of a request (256M)"},
                 take_size(settings.most_body_bytes));
  add_value_flag(command, {"--max-upload", "SIZE", "of a file (2G)"},
                 take_size(settings.most_upload_bytes));
}

void add_dialect_flags(CLI::App& command, ServeFlags& flags) {
  ServerSettings& settings = flags.serve.settings;
  add_value_flag(command,
                 {.names = "--think-default",
                  .value = "DIALECT=on|off",
                  .help = "when a request does not say (ollama=on, the others off)",
                  .repeatable = true},
                 [&settings](const std::string& text) {
                   return take_think_default(text, settings.think_default);
                 });
  add_value_flag(command,
                 {"--reasoning-field", "NAME", "of OpenAI chat replies (reasoning_content)"},
                 [&settings](const std::string& text) {
                   return take_reasoning_field(text, settings.reasoning_field);
                 });
  add_switch(command,
             {.names = "--ignore-server-tools",
              .help = "Google's hosted tools are left out instead of refused (off)"},
             settings.ignore_server_tools);
  add_switch(
      command,
      {.names = "--refuse-broken-calls", .help = "400 for a history with unreadable calls (off)"},
      settings.refuse_broken_calls);
}

void add_log_flags(CLI::App& command, ServeFlags& flags) {
  ServeOptions& serve = flags.serve;
  add_value_flag(command, {"--log-format", "FORM", "text or json (text)"},
                 [&serve](const std::string& text) { return take_log_format(text, serve.log); });
  add_value_flag(command, {"--audit", "FILE", "a JSON line for each request (none)"},
                 take_text(serve.log.audit_file));
  add_value_flag(command, {"--metrics-alias", "LIST", "also as llamacpp, vllm (none)"},
                 [&serve](const std::string& text) {
                   return take_metrics_alias(text, serve.settings.metrics_aliases);
                 });
  add_switch(command, {.names = "--traces", .help = "keep a trace of every answer (off)"},
             serve.settings.traces);
  add_switch(command, {.names = "--show-paths", .help = "whole paths in /props (off)"},
             serve.settings.show_paths);
}

}  // namespace

void register_serve(CLI::App& program, Context& context) {
  auto flags = std::make_shared<ServeFlags>();
  CLI::App& command = context.add_command(
      program, {.name = "serve",
                .summary = "an HTTP server for Gemini, OpenAI, Ollama and Anthropic clients",
                .example = "fourfold serve gemma.gguf --port 8080",
                .action = [&context, flags] { return serve_command(*flags, context); }});
  add_arguments(command,
                {.names = "MODEL",
                 .help = "files, folders, names or NAME=PATH (the default body, model folders)"},
                flags->models);
  add_own_flags(command, *flags);
  add_access_flags(command, *flags);
  add_dialect_flags(command, *flags);
  add_log_flags(command, *flags);
  add_engine_flags(command, flags->engine, false);
  add_mmproj_flag(command, flags->engine);
  add_sampling_flags(command, flags->serve.models.parameters);
}

}  // namespace fourfold
