// What the handlers of OpenAI's endpoints share.
#pragma once

#include "api/openai_request.h"
#include "server/call.h"

namespace fourfold {

// As the server's settings want requests to be read.
OpenAiOptions openai_options(Call& call);

// Reads what clients have uploaded.
FileReader file_reader(ServerState& server);

// Google's own OpenAI layer lies behind /openai/; its clients expect thought signatures.
bool is_google_layer(const Call& call);

}  // namespace fourfold
