// `fourfold serve`: the HTTP server for Gemini, OpenAI, Ollama and Anthropic clients.
#pragma once

#include "cli/command.h"

namespace fourfold {

void register_serve(CLI::App& program, Context& context);

}  // namespace fourfold
