// `transcribe`: what is said in recordings, as text, subtitles or JSON.
#pragma once

#include "cli/command.h"

namespace fourfold {

void register_transcribe(CLI::App& program, Context& context);

}  // namespace fourfold
