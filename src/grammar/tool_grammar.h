// Gemma's call syntax for a set of tools as the source of a Lark grammar:
//
//   <|tool_call>call:name{key:value,…}<tool_call|>
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "grammar/constraint.h"
#include "tokenizer/control_tokens.h"

namespace fourfold {

struct GrammarSource {
  std::string text;
  std::vector<std::string> loosened;
};

// InvalidArgument "tool get_weather: $.properties.city: …".
Result<GrammarSource> make_tool_grammar(const ToolSet& set, const ControlIds& control);

}  // namespace fourfold
