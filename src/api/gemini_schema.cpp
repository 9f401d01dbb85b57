#include "api/gemini_schema.h"

#include <algorithm>
#include <string>

#include "base/letter_case.h"

namespace fourfold {
namespace {

// Counts that are integers of 64 bits, and so may come as strings.
constexpr std::string_view kCounts[] = {"maxItems",  "minItems",      "maxLength",
                                        "minLength", "maxProperties", "minProperties"};

std::string camel_case(std::string_view name) {
  std::string out;
  for (std::size_t i = 0; i < name.size(); ++i) {
    const bool is_joint = name[i] == '_' && i > 0 && i + 1 < name.size();
    out += is_joint ? to_upper(name.substr(++i, 1)) : std::string(1, name[i]);
  }
  return out;
}

bool is_count(const JsonValue& value) {
  const bool has_digits = !value.text.empty() && std::ranges::all_of(value.text, [](char c) {
    return c >= '0' && c <= '9';
  });
  return value.is_string() && has_digits && (value.text.size() == 1 || value.text[0] != '0');
}

JsonValue each_of(const JsonValue& list) {
  JsonValue out = list;
  for (auto& item : out.items) item = json_schema_of(item);
  for (auto& member : out.members) member.value = json_schema_of(member.value);
  return out;
}

JsonValue type_of(const JsonValue& type) {
  if (type.is_string()) return JsonValue::of(to_lower(type.text));
  JsonValue out = type;
  for (auto& item : out.items) item = type_of(item);
  return out;
}

// Says nothing about which values are allowed.
bool is_decoration(std::string_view key, const JsonValue& value) {
  if (value.is_null() || key == "example") return true;
  if (key == "format") return value.is_string() && to_lower(value.text) == "enum";
  return key == "type" && value.is_string() && to_lower(value.text) == "type_unspecified";
}

JsonValue converted(std::string_view key, const JsonValue& value) {
  if (key == "type") return type_of(value);
  if (key == "properties" || key == "anyOf" || key == "oneOf" || key == "allOf" ||
      key == "prefixItems" || key == "$defs") {
    return each_of(value);
  }
  if (key == "items" || key == "additionalProperties") return json_schema_of(value);
  const bool counts = std::ranges::find(kCounts, key) != std::end(kCounts);
  return counts && is_count(value) ? JsonValue::number(value.text) : value;
}

}  // namespace

JsonValue json_schema_of(const JsonValue& schema) {
  if (!schema.is_object()) return schema;
  auto out = JsonValue::object();
  for (const auto& [name, value] : schema.members) {
    const std::string key = camel_case(name);
    if (!is_decoration(key, value)) out.set(key, converted(key, value));
  }
  return out;
}

}  // namespace fourfold
