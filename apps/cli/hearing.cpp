#include "cli/hearing.h"

#include "cli/folders.h"
#include "cli/progress.h"

namespace fourfold {

Result<std::unique_ptr<ChatService>> open_hearing_service(const EngineFlags& flags,
                                                          Context& context) {
  const std::string path = TRY(resolve_model(flags.model));
  ChatServiceOptions options;
  options.engine = flags.options;
  options.engine.force_isa = environment("FOURFOLD_FORCE_ISA");
  options.max_parallel = 1;
  const Progress progress("load", context);
  auto service = TRY(ChatService::open(path, options));
  for (const auto& note : service->engine().notes()) context.note(note);
  const auto& capabilities = service->capabilities();
  if (!capabilities.audio) {
    return failed_precondition("{}: cannot hear: {}", flags.model, capabilities.no_audio);
  }
  return service;
}

}  // namespace fourfold
