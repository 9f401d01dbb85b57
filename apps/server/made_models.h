// The models that Ollama's /api/create and /api/copy made: names with settings of their own over a
// model of a file. They are remembered in one JSON file.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "chat/conversation.h"
#include "engine/sampling_choice.h"

namespace fourfold {

struct MadeModel {
  std::string name, from;
  std::string system;
  SamplingChoice parameters;
  std::vector<Message> messages;  // texts only
};

// An absent file holds none.
Result<std::vector<MadeModel>> load_made_models(const std::string& path);
Status save_made_models(const std::string& path, const std::vector<MadeModel>& models);

}  // namespace fourfold
