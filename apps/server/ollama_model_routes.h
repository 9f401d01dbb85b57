// What Ollama's API says of models and does with them: lists, show, pull, create, copy, delete,
// blobs, and the small endpoints beside them.
#pragma once

#include "server/call.h"

namespace fourfold {

void add_ollama_model_routes(Handlers& handlers);

}  // namespace fourfold
