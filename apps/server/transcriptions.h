// POST /v1/audio/transcriptions: a recording of any length, its text at once or as it comes.
#pragma once

#include "server/call.h"

namespace fourfold {

Status answer_transcription(Call& call);

}  // namespace fourfold
