// A JSON value that keeps what a double and a sorted map lose: the order of keys and the spelling
// of numbers (1.0 is not 1, integers of any size). For what clients and models wrote; a plain
// struct.
//
//   const auto arguments = TRY(parse_json_value(R"({"b": 1.0, "a": 30})"));
//   if (const JsonValue* b = arguments.find("b")) print(b->text);  // "1.0"
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"

namespace fourfold {

struct JsonMember;

struct JsonValue {
  enum class Kind { Null, Bool, Number, String, Array, Object };

  Kind kind = Kind::Null;
  bool boolean = false;
  std::string text;                 // a string in UTF-8, or a number as it was spelled
  std::vector<JsonValue> items;     // of an array
  std::vector<JsonMember> members;  // of an object, no key twice

  static JsonValue null();
  static JsonValue of(bool value);
  static JsonValue of(std::string value);
  static JsonValue of(const char* value);
  static JsonValue number(std::string spelling);  // valid JSON
  // Not one function with a default argument: JsonMember is incomplete here.
  static JsonValue array();
  static JsonValue array(std::vector<JsonValue> items);
  static JsonValue object();
  static JsonValue object(std::vector<JsonMember> members);

  bool is_null() const { return kind == Kind::Null; }
  bool is_bool() const { return kind == Kind::Bool; }
  bool is_number() const { return kind == Kind::Number; }
  bool is_integer() const { return is_number() && text.find_first_of(".eE") == text.npos; }
  bool is_string() const { return kind == Kind::String; }
  bool is_array() const { return kind == Kind::Array; }
  bool is_object() const { return kind == Kind::Object; }

  // The member of that name; null when there is none, or this is no object.
  const JsonValue* find(std::string_view key) const;
  JsonValue* find(std::string_view key);
  // A new value for the key at its place, or a new member at the end.
  void set(std::string_view key, JsonValue value);
  void erase(std::string_view key);

  // "an object", "a number" … for messages.
  std::string_view kind_name() const;
};

struct JsonMember {
  std::string key;
  JsonValue value;

  friend bool operator==(const JsonMember&, const JsonMember&);
};

// Numbers are equal when they are spelled alike, objects when their members stand in one order.
bool operator==(const JsonValue& a, const JsonValue& b);

struct JsonReadOptions {
  int max_depth = 128;  // nested arrays and objects
  // A \u escape of half a surrogate pair is an error, or with this U+FFFD.
  bool replace_lone_surrogates = false;
};

// Strict RFC 8259; a leading byte order mark is skipped. Of duplicate keys the last value counts,
// at the place of the first. InvalidArgument "offset 17: what (what was expected)".
Result<JsonValue> parse_json_value(std::string_view text, const JsonReadOptions& options = {});

// Without white space. Numbers as they are spelled.
std::string to_json_text(const JsonValue& value);

}  // namespace fourfold
