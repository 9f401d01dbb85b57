// Grammars of clients: GBNF (root ::= "a" [b-z]*) rewritten as Lark.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace fourfold {

// Whether a grammar is GBNF rather than Lark: it defines a rule by ::=.
bool is_gbnf(std::string_view text);

// InvalidArgument "line 3: …". Every character becomes a terminal of its own, so that the grammar
// means what it means in GBNF, where there is no lexer.
Result<std::string> lark_from_gbnf(std::string_view text);

// A grammar of a client speaks of text only: InvalidArgument if Lark source names a control token
// (<[48]>, <|turn>).
Status check_names_no_tokens(std::string_view lark);

}  // namespace fourfold
