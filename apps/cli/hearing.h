// A model that hears, for the commands that listen.
#pragma once

#include <memory>

#include "cli/model_flags.h"
#include "engine/chat_service.h"

namespace fourfold {

// Opens it with a progress bar, one sequence at a time; prints the engine's notes.
// FailedPrecondition, saying what is missing, if it cannot hear.
Result<std::unique_ptr<ChatService>> open_hearing_service(const EngineFlags& flags,
                                                          Context& context);

}  // namespace fourfold
