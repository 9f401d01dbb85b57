#include "server/openai_call.h"

#include "server/files.h"

namespace fourfold {

OpenAiOptions openai_options(Call& call) {
  ServerState& server = call.server();
  const ServerSettings& settings = server.settings;
  const auto think = settings.think_default.find(Dialect::OpenAI);
  OpenAiOptions options;
  options.think_default = think != settings.think_default.end() && think->second;
  options.refuse_broken_calls = settings.refuse_broken_calls;
  options.billing_prefixes = settings.billing_prefixes;
  options.help.sealer = &server.sealer;
  options.help.read_file = file_reader(server);
  return options;
}

FileReader file_reader(ServerState& server) {
  return [&files = server.files](const std::string& id) -> Result<SharedBytes> {
    auto file = TRY(files.load(id));
    return std::move(file.bytes);
  };
}

bool is_google_layer(const Call& call) {
  const std::string& target = call.request().head.target;
  return target.substr(0, target.find('?')).find("/openai/") != std::string::npos;
}

}  // namespace fourfold
