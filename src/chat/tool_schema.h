// A tool whose declaration the official template would print badly, mended (tokenizer-chat.md 4.2).
// A declaration without these defects stays as it is.
#pragma once

#include "chat/conversation.h"

namespace fourfold {

// the schema has                the template prints        instead
// parameters without a type     no closing brace           type object
// a response that is no object  no closing brace           none
// description or type null      "None", "NONE"             none
// a list of types               a Python list              [T, null]: T, nullable; else the first
// $ref                          an empty type              what it points to, 8 levels deep
// anyOf, oneOf of T and null    an empty type              T, nullable
// enum of strings alone         an empty type, no enum     type string
// objects without properties    keywords as properties     empty properties
// default, ranges, pattern, …   nothing                    words in the description
Tool mended_tool(const Tool& tool);

}  // namespace fourfold
