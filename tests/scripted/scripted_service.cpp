#include "scripted/scripted_service.h"

#include <cstring>
#include <fstream>
#include <iterator>
#include <utility>

#include "scripted/scripted_model.h"

namespace fourfold::scripted {

Result<std::unique_ptr<ChatService>> open_scripted(const std::string& body_path,
                                                   const Script& script,
                                                   ChatServiceOptions options) {
  options.max_parallel = script.parallel;
  options.max_queue = script.queue;
  options.max_queue_per_user = script.queue_per_user;
  options.engine.n_threads = 1;
  // The engine outlives its model.
  options.step_model = [script](Engine& engine) -> std::unique_ptr<StepModel> {
    const auto tokenizer = engine.tokenizer();
    return tokenizer.ok() ? std::make_unique<ScriptedModel>(**tokenizer, script) : nullptr;
  };
  return ChatService::open(body_path, options);
}

Status write_with_context(const std::string& body_path, std::int64_t context,
                          const std::string& path) {
  std::ifstream in(body_path, std::ios::binary);
  std::string bytes{std::istreambuf_iterator<char>(in), {}};
  const std::string key = "gemma4.context_length";
  const auto at = bytes.find(key);
  if (at == bytes.npos) return not_found("{}: no {}", body_path, key);
  constexpr std::size_t type_bytes = 4;  // of the value: u32
  const auto value = static_cast<std::uint32_t>(context);
  std::memcpy(bytes.data() + at + key.size() + type_bytes, &value, sizeof value);
  std::ofstream out(path, std::ios::binary);
  out.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  if (!out.flush()) return Error{Code::Unknown, path + ": cannot be written"};
  return {};
}

}  // namespace fourfold::scripted
