// fourfold-scripted SCRIPTS BODY [FLAG VALUE …]: the server of `fourfold serve` with models that
// play scripts, `scripted/NAME` for each file of the folder SCRIPTS, on the tokenizer of BODY.

#include <fmt/core.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "engine/test_media.h"
#include "formats/checkpoint.h"
#include "formats/model_config.h"
#include "scripted/script.h"
#include "scripted/scripted_service.h"
#include "server/server.h"

namespace fourfold::scripted {
namespace {

constexpr std::int64_t kContext = 16384;
constexpr std::string_view kPrefix = "scripted/";

// Goes away with the program.
class WorkFolder {
 public:
  WorkFolder() {
    std::string name =
        (std::filesystem::temp_directory_path() / "fourfold-scripted-XXXXXX").string();
    if (::mkdtemp(name.data())) path_ = name;
  }
  ~WorkFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  WorkFolder(const WorkFolder&) = delete;
  WorkFolder& operator=(const WorkFolder&) = delete;

  std::string file(std::string_view name) const { return fmt::format("{}/{}", path_, name); }

 private:
  std::string path_;
};

std::vector<std::string> split(std::string_view list) {
  std::vector<std::string> items;
  while (!list.empty()) {
    const auto end = std::min(list.find(','), list.size());
    items.emplace_back(list.substr(0, end));
    list.remove_prefix(std::min(end + 1, list.size()));
  }
  return items;
}

Status set_flag(std::string_view flag, const std::string& value, ServeOptions& options) {
  const int number = std::atoi(value.c_str());
  const std::map<std::string_view, std::function<void()>> flags = {
      {"--host", [&] { options.settings.host = value; }},
      {"--port", [&] { options.settings.port = number; }},
      {"--api-key-file", [&] { options.api_key_file = value; }},
      {"--origins", [&] { options.settings.origins = split(value); }},
      {"--hosts", [&] { options.settings.hosts = split(value); }},
      {"--fetch-urls", [&] { options.settings.fetch_allowlist = split(value); }},
      {"--audit", [&] { options.log.audit_file = value; }},
      {"--log-json", [&] { options.log.as_json = number != 0; }},
      {"--log-debug", [&] { options.log.level = number ? LogLevel::Debug : LogLevel::Info; }},
      {"--data", [&] { options.settings.data_folder = value; }},
      {"--grace-s", [&] { options.grace = std::chrono::seconds(number); }},
      {"--header-ms", [&] { options.http.header_time = std::chrono::milliseconds(number); }},
      {"--pause-ms", [&] { options.http.body_pause = std::chrono::milliseconds(number); }},
      {"--write-ms", [&] { options.http.write_time = std::chrono::milliseconds(number); }},
      {"--body-bytes",
       [&] { options.settings.most_body_bytes = static_cast<std::uint64_t>(number); }},
      {"--silence-s", [&] { options.settings.silence_s = number; }},
      {"--traces", [&] { options.settings.traces = number != 0; }},
      {"--context", [&] { options.models.service.engine.context = number; }},
      {"--memory-mib",
       [&] {
         options.models.service.engine.memory_bytes = static_cast<std::uint64_t>(number) << 20;
       }},
  };
  const auto found = flags.find(flag);
  if (found == flags.end()) return invalid_argument("{}: no such flag", flag);
  found->second();
  return {};
}

// The body that scripts stand on; beside that of those that see lies a projector.
struct Bodies {
  std::string blind, seeing;
};

Result<Bodies> write_bodies(const WorkFolder& folder, const std::string& body_path,
                            std::int64_t context) {
  Bodies bodies{.blind = folder.file("body.gguf"), .seeing = folder.file("seeing/body.gguf")};
  std::filesystem::create_directories(folder.file("seeing"));
  TRY(write_with_context(body_path, context, bodies.blind));
  TRY(write_with_context(body_path, context, bodies.seeing));
  const Checkpoint checkpoint = TRY(Checkpoint::open(bodies.seeing));
  const auto config = TRY(load_model_config(checkpoint));
  TRY(test_media::make_projector(folder.file("seeing/mmproj.gguf"), config.text.width));
  return bodies;
}

// The models of the server: every script by its name.
void add_models(std::vector<Script> scripts, const Bodies& bodies, ModelsOptions& models) {
  auto by_name = std::make_shared<std::map<std::string, Script, std::less<>>>();
  for (auto& script : scripts) {
    const std::string name = fmt::format("{}{}", kPrefix, script.name);
    models.models.push_back({name, script.sees ? bodies.seeing : bodies.blind});
    by_name->emplace(name, std::move(script));
  }
  models.open = [by_name](
                    const ModelFacts& facts,
                    const ChatServiceOptions& options) -> Result<std::unique_ptr<ChatService>> {
    const auto script = by_name->find(facts.id);
    if (script == by_name->end()) return internal_error("{}: no script", facts.id);
    return open_scripted(facts.path, script->second, options);
  };
}

Status run(const std::vector<std::string>& arguments) {
  if (arguments.size() < 2 || arguments.size() % 2 != 0) {
    return invalid_argument("usage: fourfold-scripted SCRIPTS BODY [FLAG VALUE …]");
  }
  const WorkFolder folder;
  ServeOptions options;
  options.settings.port = 0;
  options.settings.data_folder = folder.file("data");
  options.models.made_models_file = folder.file("models.json");
  options.http.temporary_folder = folder.file("uploads");
  options.models.service.engine.context = kContext;
  for (const char* name : {"data", "uploads"}) {
    std::filesystem::create_directories(folder.file(name));
  }
  for (std::size_t i = 2; i < arguments.size(); i += 2) {
    TRY(set_flag(arguments[i], arguments[i + 1], options));
  }
  const auto bodies = TRY(write_bodies(folder, arguments[1],
                                       std::max(kContext, options.models.service.engine.context)));
  auto scripts = TRY(load_scripts(arguments[0]));
  add_models(std::move(scripts), bodies, options.models);
  return serve(std::move(options));
}

}  // namespace
}  // namespace fourfold::scripted

int main(int argc, char** argv) {
  const auto ended = fourfold::scripted::run({argv + 1, argv + argc});
  if (ended.ok()) return 0;
  fmt::print(stderr, "fourfold-scripted: error: {}\n", ended.error().message);
  return 1;
}
