// The engine's service with a script in the place of the decoder, and all that is around it: the
// body's configuration and tokenizer, scheduler, caches, sampler, constraints.
//
//   auto service = TRY(open_scripted(body_path, script, {}));
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "base/result.h"
#include "engine/chat_service.h"
#include "scripted/script.h"

namespace fourfold::scripted {

Result<std::unique_ptr<ChatService>> open_scripted(const std::string& body_path,
                                                   const Script& script,
                                                   ChatServiceOptions options);

// A copy of the GGUF file whose context is longer than what its body was trained for, which is no
// matter where the body does not run.
Status write_with_context(const std::string& body_path, std::int64_t context,
                          const std::string& path);

}  // namespace fourfold::scripted
