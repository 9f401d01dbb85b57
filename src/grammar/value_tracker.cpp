#include "grammar/value_tracker.h"

namespace fourfold {

void ValueTracker::reset() {
  containers_.clear();
  in_string_ = is_key_ = escaped_ = expects_key_ = false;
}

void ValueTracker::add(std::string_view bytes) {
  for (const char c : bytes) {
    if (!in_string_) {
      add_outside(c);
    } else if (notation_ == Notation::Json) {
      if (!escaped_ && c == '"') in_string_ = false;
      escaped_ = !escaped_ && c == '\\';
    }
  }
}

void ValueTracker::add_quote() {
  if (in_string_) {
    in_string_ = false;
  } else {
    open_string();
  }
}

bool ValueTracker::stays_in_string(std::string_view bytes) const {
  if (notation_ == Notation::Call) return in_string_;
  bool escaped = escaped_;
  for (const char c : bytes) {
    if (!escaped && c == '"') return false;
    escaped = !escaped && c == '\\';
  }
  return in_string_;
}

void ValueTracker::open_string() {
  in_string_ = true;
  is_key_ = expects_key_;
  escaped_ = false;
}

void ValueTracker::add_outside(char c) {
  switch (c) {
    case '{':
    case '[':
      containers_.push_back(c);
      expects_key_ = c == '{';
      break;
    case '}':
    case ']':
      if (!containers_.empty()) containers_.pop_back();
      expects_key_ = false;
      break;
    case ',': expects_key_ = !containers_.empty() && containers_.back() == '{'; break;
    case ':': expects_key_ = false; break;
    case '"':
      if (notation_ == Notation::Json) open_string();
      break;
  }
}

}  // namespace fourfold
