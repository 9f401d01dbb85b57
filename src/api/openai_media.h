// Files inside a request of OpenAI's clients.
#pragma once

#include <functional>
#include <string>

#include "api/field.h"
#include "base/result.h"
#include "base/shared_bytes.h"
#include "chat/conversation.h"

namespace fourfold {

// The bytes of a stored file.
using FileReader = std::function<Result<SharedBytes>(const std::string& id)>;

// A part from a URL, or from base64 or a data URL. Other URLs are refused, and are neither looked
// up nor opened.
Result<Part> media_from_url(const Field& url, Part::Kind kind);
Result<Part> media_from_base64(const Field& data, Part::Kind kind);

// {"file_data": data URL or base64, "file_url", "file_id", "filename"}: text, or a medium.
Result<Part> part_of_file(const Field& file, const FileReader& read_file);

}  // namespace fourfold
