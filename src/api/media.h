// Pictures, sounds and films in requests: told apart by their bytes, whatever their label says.
#pragma once

#include <string>
#include <string_view>

#include "base/data_url.h"
#include "base/result.h"
#include "chat/conversation.h"
#include "engine/media_part.h"
#include "media/media_type.h"

namespace fourfold {

// The kind that a label such as "image/*" or "audio/wav" promises; Unknown for others.
Part::Kind kind_of_mime(std::string_view mime);

// See make_media_part(): of base64 or of a data URL.
Result<Part> media_part_of_base64(std::string_view base64, std::string where,
                                  Part::Kind expected = Part::Kind::Unknown);
// The same of a URL: data URLs only, others are refused without looking at them.
Result<Part> media_part_of_url(std::string_view url, std::string where,
                               Part::Kind expected = Part::Kind::Unknown);

// For a URL or path that would have to be fetched.
Error fetching_is_off(std::string_view where);

}  // namespace fourfold
