// The chat template that a model file brings along, and which revision of the official one it is.
// It is a program that we do not run: prompts are written by render.h, and a template that is not
// known to say the same is reported.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "formats/chat_template.h"
#include "formats/checkpoint.h"

namespace fourfold {

struct TemplateFacts {
  std::string sha256;
  std::string revision;  // "r4"; empty = unknown
};

// nullopt for an empty text.
std::optional<TemplateFacts> describe_template(std::string_view text);

// What the user should know of a model's template; nullopt when it is the one that is rendered.
std::optional<std::string> template_warning(const Checkpoint& checkpoint);

}  // namespace fourfold
