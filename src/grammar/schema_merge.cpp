#include "grammar/schema_merge.h"

#include <algorithm>
#include <array>
#include <utility>

#include "grammar/number_range.h"

namespace fourfold {

namespace {

constexpr std::array<std::string_view, 26> kAnnotations = {"title",
                                                           "description",
                                                           "default",
                                                           "examples",
                                                           "example",
                                                           "$schema",
                                                           "$id",
                                                           "id",
                                                           "$comment",
                                                           "$defs",
                                                           "definitions",
                                                           "deprecated",
                                                           "readOnly",
                                                           "writeOnly",
                                                           "contentEncoding",
                                                           "contentMediaType",
                                                           "discriminator",
                                                           "externalDocs",
                                                           "xml",
                                                           "propertyOrdering",
                                                           "$vocabulary",
                                                           "markdownDescription",
                                                           "enumDescriptions",
                                                           "strict",
                                                           "enumNames",
                                                           "errorMessage"};

constexpr std::size_t kMaxAlternatives = 256;

JsonValue both(const JsonValue& a, const JsonValue& b) {
  JsonValue schema = JsonValue::object();
  schema.set("allOf", JsonValue::array({a, b}));
  return schema;
}

bool is_false(const JsonValue* schema) {
  return schema != nullptr && schema->is_bool() && !schema->boolean;
}

std::vector<JsonValue> as_list(const JsonValue& value) {
  return value.is_array() ? value.items : std::vector<JsonValue>{value};
}

Result<JsonValue> merged_types(const JsonValue& a, const JsonValue& b) {
  const auto has = [](const std::vector<JsonValue>& list, std::string_view name) {
    return std::ranges::any_of(list, [&](const JsonValue& type) { return type.text == name; });
  };
  const auto left = as_list(a), right = as_list(b);
  JsonValue out = JsonValue::array();
  for (const auto& type : left) {
    const bool is_narrower = type.text == "integer" && has(right, "number");
    if (has(right, type.text) || is_narrower) {
      out.items.push_back(type);
    } else if (type.text == "number" && has(right, "integer")) {
      out.items.push_back(JsonValue::of("integer"));
    }
  }
  if (out.items.empty()) return failed_precondition("\"type\": nothing is of both types");
  return out;
}

Result<JsonValue> merged_enums(const JsonValue& a, const JsonValue& b) {
  JsonValue out = JsonValue::array();
  for (const auto& value : a.items) {
    if (std::ranges::find(b.items, value) != b.items.end()) out.items.push_back(value);
  }
  if (out.items.empty()) return failed_precondition("\"enum\": no value is in both lists");
  return out;
}

// Every alternative of one list with every alternative of the other.
Result<JsonValue> merged_alternatives(std::string_view key, const JsonValue& a,
                                      const JsonValue& b) {
  if (a.items.size() * b.items.size() > kMaxAlternatives) {
    return invalid_argument("\"{}\": too many combinations", key);
  }
  JsonValue out = JsonValue::array();
  for (const auto& left : a.items) {
    for (const auto& right : b.items) out.items.push_back(both(left, right));
  }
  return out;
}

Result<JsonValue> tighter_bound(std::string_view key, const JsonValue& a, const JsonValue& b) {
  if (!a.is_number() || !b.is_number()) return invalid_argument("\"{}\" must be a number", key);
  const auto left = TRY(parse_decimal(a.text)), right = TRY(parse_decimal(b.text));
  const bool is_lower = key.starts_with("min") || key == "exclusiveMinimum";
  return (compare(left, right) < 0) == is_lower ? b : a;
}

// The members of `properties` of a schema, also under what the other one says of keys it does not
// name.
JsonValue merged_properties(const JsonValue& a, const JsonValue& b) {
  const auto member_or = [](const JsonValue& schema, std::string_view key) -> const JsonValue* {
    const JsonValue* properties = schema.find("properties");
    const JsonValue* named = properties ? properties->find(key) : nullptr;
    return named ? named : schema.find("additionalProperties");
  };
  JsonValue out = JsonValue::object();
  const auto add = [&](const JsonValue& from, const JsonValue& other) {
    const JsonValue* properties = from.find("properties");
    if (properties == nullptr) return;
    for (const auto& [key, value] : properties->members) {
      if (out.find(key) != nullptr) continue;
      const JsonValue* second = member_or(other, key);
      if (is_false(second) || is_false(&value)) {
        out.set(key, JsonValue::of(false));
      } else {
        out.set(key, second ? both(value, *second) : value);
      }
    }
  };
  add(a, b);
  add(b, a);
  return out;
}

JsonValue united_names(const JsonValue& a, const JsonValue& b) {
  JsonValue out = a;
  for (const auto& name : b.items) {
    if (std::ranges::find(out.items, name) == out.items.end()) out.items.push_back(name);
  }
  return out;
}

Result<JsonValue> merged_value(std::string_view key, const JsonValue& a, const JsonValue& b) {
  if (a == b) return a;
  if (key == "type") return merged_types(a, b);
  if (key == "enum") return merged_enums(a, b);
  if (key == "anyOf" || key == "oneOf") return merged_alternatives(key, a, b);
  if (key == "required") return united_names(a, b);
  if (key == "items") return both(a, b);
  if (key == "additionalProperties") {
    return is_false(&a) || is_false(&b) ? JsonValue::of(false) : both(a, b);
  }
  if (key == "pattern") {
    JsonValue patterns = JsonValue::array(as_list(a));
    for (auto& pattern : as_list(b)) patterns.items.push_back(pattern);
    return patterns;
  }
  const bool is_bound = key.starts_with("min") || key.starts_with("max") ||
                        key == "exclusiveMinimum" || key == "exclusiveMaximum";
  if (is_bound) return tighter_bound(key, a, b);
  if (key == "nullable") return JsonValue::of(a.boolean && b.boolean);
  if (key == "const") return failed_precondition("\"const\": no value equals both");
  return invalid_argument("\"{}\" of two schemas cannot be joined", key);
}

}  // namespace

bool is_annotation(std::string_view keyword) {
  return keyword.starts_with("x-") ||
         std::ranges::find(kAnnotations, keyword) != kAnnotations.end();
}

Result<JsonValue> merged_schema(const JsonValue& a, const JsonValue& b) {
  JsonValue out = a;
  for (const auto& [key, value] : b.members) {
    const JsonValue* mine = a.find(key);
    if (key == "properties") continue;
    if (mine == nullptr || is_annotation(key)) {
      if (mine == nullptr) out.set(key, value);
      continue;
    }
    out.set(key, TRY(merged_value(key, *mine, value)));
  }
  auto properties = merged_properties(a, b);
  if (!properties.members.empty()) out.set("properties", std::move(properties));
  return out;
}

}  // namespace fourfold
