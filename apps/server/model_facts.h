// What a server says of a model before it is loaded: read from the headers of its file.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "server/models.h"

namespace fourfold {

// InvalidArgument for a file that is no model or lacks weights.
Result<ModelFacts> read_model_facts(const std::string& path, const EngineOptions& options);

// What names are compared by: lower case, without "models/" in front and ":latest" behind.
std::string comparable_name(std::string_view name);

// "Gemma 4 E4B it" → "gemma-4-e4b-it"
std::string slug(std::string_view text);

}  // namespace fourfold
