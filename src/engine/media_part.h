// Bytes become a part of a message: told apart by what they are, whatever their label says.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "base/shared_bytes.h"
#include "chat/conversation.h"

namespace fourfold {

// "image", "audio", "video", "medium" for the others.
std::string_view kind_name(Part::Kind kind);

// `where` names the part in messages: its path in a request, or a flag and its file.
// InvalidArgument if the bytes are no medium, or none of the kind that is expected; any will do if
// that is Unknown.
Result<Part> make_media_part(SharedBytes bytes, std::string where,
                             Part::Kind expected = Part::Kind::Unknown);

}  // namespace fourfold
