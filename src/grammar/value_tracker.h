// Follows the text of a value and knows whether it stands in a string, and whether that string is
// a value or the key of an object. For penalties, which must not act on syntax.
#pragma once

#include <string_view>
#include <vector>

#include "grammar/schema_grammar.h"

namespace fourfold {

class ValueTracker {
 public:
  explicit ValueTracker(Notation notation) : notation_(notation) { containers_.reserve(32); }

  void reset();
  void add(std::string_view bytes);
  // <|"|>, which is no text.
  void add_quote();

  bool in_string_value() const { return in_string_ && !is_key_; }
  // Whether these bytes would stay in the string that is open.
  bool stays_in_string(std::string_view bytes) const;

 private:
  void add_outside(char c);
  void open_string();

  Notation notation_;
  std::vector<char> containers_;  // { and [
  bool in_string_ = false;
  bool is_key_ = false;
  bool escaped_ = false;      // after a backslash of JSON
  bool expects_key_ = false;  // in an object, before the colon
};

}  // namespace fourfold
