// What was seen of the media of a request, in words and as JSON (vision-video.md 8.5, 8.6).
#pragma once

#include <string>
#include <vector>

#include "base/json_value.h"
#include "engine/media_encoder.h"

namespace fourfold {

// One phrase without a semicolon: "video: 32 frames (uniform) from 0 to 60 s of 60 s, …".
std::string describe(const MediaSeen& seen);
// All of them, "; " between, in plain ASCII and at most `most_bytes` long.
std::string describe(const std::vector<MediaSeen>& all, std::size_t most_bytes);

// {"kind", "where", "tokens", …}, and for films what their coverage says.
JsonValue media_json(const MediaSeen& seen);
JsonValue media_json(const std::vector<MediaSeen>& all);

}  // namespace fourfold
