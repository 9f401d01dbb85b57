#include "grammar/schema_grammar.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>
#include <utility>

#include "base/letter_case.h"
#include "grammar/schema_merge.h"
#include "grammar/string_formats.h"

namespace fourfold {

namespace {

constexpr int kMaxDepth = 64;         // of schemas in schemas
constexpr int kMaxMerges = 32;        // of allOf and $ref in one place
constexpr int kFreeDepth = 24;        // of values without a schema
constexpr std::size_t kMaxBits = 60;  // members that one parameter of a rule can count

constexpr std::array<std::string_view, 30> kKeywords = {"type",
                                                        "enum",
                                                        "const",
                                                        "properties",
                                                        "required",
                                                        "additionalProperties",
                                                        "minProperties",
                                                        "maxProperties",
                                                        "items",
                                                        "prefixItems",
                                                        "additionalItems",
                                                        "minItems",
                                                        "maxItems",
                                                        "minLength",
                                                        "maxLength",
                                                        "pattern",
                                                        "format",
                                                        "minimum",
                                                        "maximum",
                                                        "exclusiveMinimum",
                                                        "exclusiveMaximum",
                                                        "multipleOf",
                                                        "anyOf",
                                                        "oneOf",
                                                        "allOf",
                                                        "$ref",
                                                        "nullable",
                                                        "uniqueItems",
                                                        "patternProperties",
                                                        "unevaluatedProperties"};

constexpr std::array<std::string_view, 7> kTypes = {"null",   "boolean", "integer", "number",
                                                    "string", "array",   "object"};

// Which type a keyword speaks of, for schemas without `type`.
struct TypeHint {
  std::string_view keyword, type;
};
constexpr std::array kTypeHints = {
    TypeHint{"properties", "object"},
    TypeHint{"required", "object"},
    TypeHint{"additionalProperties", "object"},
    TypeHint{"minProperties", "object"},
    TypeHint{"maxProperties", "object"},
    TypeHint{"patternProperties", "object"},
    TypeHint{"items", "array"},
    TypeHint{"prefixItems", "array"},
    TypeHint{"minItems", "array"},
    TypeHint{"maxItems", "array"},
    TypeHint{"minLength", "string"},
    TypeHint{"maxLength", "string"},
    TypeHint{"pattern", "string"},
    TypeHint{"format", "string"},
    TypeHint{"minimum", "number"},
    TypeHint{"maximum", "number"},
    TypeHint{"exclusiveMinimum", "number"},
    TypeHint{"exclusiveMaximum", "number"},
    TypeHint{"multipleOf", "number"},
};

template <class List>
bool has(const List& list, std::string_view item) {
  return std::ranges::find(list, item) != list.end();
}

std::string child(const std::string& path, std::string_view key) {
  const bool plain = !key.empty() && std::ranges::all_of(key, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '$';
  });
  if (plain) return fmt::format("{}.{}", path, key);
  return fmt::format("{}[{}]", path, to_json_text(JsonValue::of(std::string(key))));
}

std::string child(const std::string& path, std::size_t index) {
  return fmt::format("{}[{}]", path, index);
}

bool is_false(const JsonValue* schema) {
  return schema != nullptr && schema->is_bool() && !schema->boolean;
}

// Whether an object of `a` has a member that no object of `b` has.
bool requires_what_is_forbidden(const JsonValue& a, const JsonValue& b) {
  const JsonValue *required = a.find("required"), *properties = b.find("properties");
  if (required == nullptr || !is_false(b.find("additionalProperties"))) return false;
  return std::ranges::any_of(required->items, [&](const JsonValue& name) {
    return properties == nullptr || properties->find(name.text) == nullptr;
  });
}

// Whether {"propertyNames": names} says no more than JSON itself.
bool are_any_names(const JsonValue& names) {
  if (names.is_bool()) return names.boolean;
  return names.is_object() && std::ranges::all_of(names.members, [](const JsonMember& member) {
           return is_annotation(member.key) ||
                  (member.key == "type" && member.value == JsonValue::of("string"));
         });
}

// Names of types as the dialects write them: "string", "STRING", ["string", "null"].
std::vector<std::string> type_names(const JsonValue& schema) {
  std::vector<std::string> names;
  const JsonValue* type = schema.find("type");
  if (type == nullptr) return names;
  if (type->is_string()) names.push_back(to_lower(type->text));
  for (const auto& item : type->items) names.push_back(to_lower(item.text));
  return names;
}

std::string_view type_of(const JsonValue& value) {
  switch (value.kind) {
    case JsonValue::Kind::Null: return "null";
    case JsonValue::Kind::Bool: return "boolean";
    case JsonValue::Kind::Number: return value.is_integer() ? "integer" : "number";
    case JsonValue::Kind::String: return "string";
    case JsonValue::Kind::Array: return "array";
    case JsonValue::Kind::Object: return "object";
  }
  return "";
}

// The values that an enum or a const leaves; nullopt if there is neither.
std::optional<std::vector<JsonValue>> listed_values(const JsonValue& schema) {
  if (const JsonValue* value = schema.find("const")) return std::vector{*value};
  if (const JsonValue* list = schema.find("enum")) return list->items;
  return std::nullopt;
}

std::string repeated(std::string_view what, std::int64_t min, std::int64_t max) {
  if (max == 0) return "\"\"";
  if (max < 0) {
    if (min == 0) return fmt::format("({})*", what);
    return fmt::format("({}){{{},}}", what, min);
  }
  return fmt::format("({}){{{},{}}}", what, min, max);
}

// A terminal for strings of JSON without a pattern: any escape may be written.
std::string free_json_string(std::int64_t min, std::int64_t max) {
  constexpr std::string_view kCharacter =
      R"([^"\\\x00-\x1F]|\\(?:["\\\/bfnrt]|u(?:[0-9a-cA-CefEF][0-9a-fA-F]{3}|[dD][0-7][0-9a-fA-F]{2})"
      R"(|[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2})))";
  const std::string limit =
      max < 0 ? fmt::format("{{{},}}", min) : fmt::format("{{{},{}}}", min, max);
  return fmt::format("/\"(?:{}){}\"/", kCharacter, min == 0 && max < 0 ? "*" : limit);
}

// The byte that "%20" at the beginning of `text` stands for.
std::optional<char> percent_encoded(std::string_view text) {
  if (text.size() < 3 || text.front() != '%') return std::nullopt;
  unsigned code = 0;
  const auto [end, error] = std::from_chars(text.data() + 1, text.data() + 3, code, 16);
  if (error != std::errc() || end != text.data() + 3) return std::nullopt;
  return static_cast<char>(code);
}

// A step of a JSON pointer in a URI fragment: %20, ~0 and ~1 are characters.
std::string pointer_step(std::string_view step) {
  std::string bytes, key;
  for (std::size_t i = 0; i < step.size(); ++i) {
    const auto byte = percent_encoded(step.substr(i));
    bytes += byte.value_or(step[i]);
    if (byte) i += 2;
  }
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    const bool is_escape = bytes[i] == '~' && i + 1 < bytes.size();
    if (is_escape) ++i;
    key += is_escape ? (bytes[i] == '1' ? '/' : '~') : bytes[i];
  }
  return key;
}

}  // namespace

bool reads_back_raw(std::string_view key) {
  constexpr std::string_view kSpace = " \t\n\r\v\f";
  if (key.empty() || key.front() == '\'') return false;
  if (kSpace.find(key.front()) != kSpace.npos || kSpace.find(key.back()) != kSpace.npos)
    return false;
  return key.find_first_of(":=,\"[]{}()") == key.npos;
}

// ---------------------------------------------------------------------------------------------
// Schemas

Result<std::string> SchemaGrammar::value(const JsonValue& schema, std::string_view where) {
  start_value(schema, where);
  return schema_value(schema, root_path_);
}

void SchemaGrammar::start_value(const JsonValue& schema, std::string_view where) {
  root_ = &schema;
  root_path_ = where;
  references_.clear();
}

Result<std::string> SchemaGrammar::arguments(const JsonValue& schema, std::string_view where) {
  start_value(schema, where);
  const Path path(where);
  if (schema.is_null()) return rule(open_brace() + " " + close_brace());
  if (!schema.is_object()) {
    return invalid_argument("{}: the parameters must be an object schema, not {}", where,
                            schema.kind_name());
  }
  JsonValue arguments = TRY(flattened(schema, path, 0));
  const auto types = type_names(arguments);
  if (!types.empty() && !has(types, "object")) {
    return invalid_argument("{}.type: the parameters must be of type object", where);
  }
  arguments.set("type", JsonValue::of("object"));
  arguments.erase("nullable");
  const JsonValue* properties = arguments.find("properties");
  const bool has_properties = properties != nullptr && !properties->members.empty();
  const bool is_open = arguments.find("additionalProperties") || arguments.find("anyOf") ||
                       arguments.find("oneOf") || arguments.find("patternProperties");
  if (!has_properties && !is_open) return rule(open_brace() + " " + close_brace());
  return schema_value(arguments, path);
}

Status SchemaGrammar::unsupported(const Path& path, std::string_view what) {
  if (!options_.loosen) return invalid_argument("{}: {} is not supported", path, what);
  loosened_.push_back(fmt::format("{}: {}", path, what));
  return {};
}

// The schema without the keywords that no constraint can hold.
Result<JsonValue> SchemaGrammar::checked(const JsonValue& schema, const Path& path) {
  JsonValue out = JsonValue::object();
  for (const auto& [key, value] : schema.members) {
    if (is_annotation(key) || (key == "propertyNames" && are_any_names(value))) continue;
    const bool is_unique_items = key == "uniqueItems" && !(value.is_bool() && !value.boolean);
    const bool is_unevaluated = key == "unevaluatedProperties" && !is_false(&value);
    const bool is_patterns = key == "patternProperties" && !value.members.empty();
    if (!has(kKeywords, key) || is_unique_items || is_unevaluated || is_patterns) {
      TRY(unsupported(path, fmt::format("\"{}\"", key)));
      continue;
    }
    const bool says_nothing = value.is_null() || key == "uniqueItems" || key == "patternProperties";
    if (says_nothing && key != "const") continue;
    if (key == "unevaluatedProperties") {
      if (schema.find("additionalProperties") == nullptr) out.set("additionalProperties", value);
      continue;
    }
    out.set(key, value);
  }
  if (const JsonValue* order = schema.find("propertyOrdering")) out.set("propertyOrdering", *order);
  const JsonValue* list = out.find("enum");
  if (list != nullptr && (!list->is_array() || list->items.empty())) {
    return invalid_argument("{}.enum: expected a list of values", path);
  }
  for (const auto& name : type_names(out)) {
    if (!has(kTypes, name)) return invalid_argument("{}.type: \"{}\" is no type", path, name);
  }
  return out;
}

Result<const JsonValue*> SchemaGrammar::find_target(std::string_view pointer,
                                                    const Path& path) const {
  if (!pointer.starts_with('#')) {
    return invalid_argument("{}.$ref: \"{}\" is not supported (only #/… in the same schema)", path,
                            pointer);
  }
  const JsonValue* at = root_;
  std::string_view rest = pointer.substr(1);
  while (at != nullptr && !rest.empty()) {
    if (rest.front() != '/')
      return invalid_argument("{}.$ref: \"{}\" is not supported", path, pointer);
    rest.remove_prefix(1);
    const auto end = std::min(rest.find('/'), rest.size());
    const std::string key = pointer_step(rest.substr(0, end));
    rest.remove_prefix(end);
    if (at->is_array()) {
      const bool is_index = !key.empty() && key.size() < 9 &&
                            std::ranges::all_of(key, [](char c) { return c >= '0' && c <= '9'; });
      const auto index = is_index ? std::stoul(key) : at->items.size();
      at = index < at->items.size() ? &at->items[index] : nullptr;
    } else {
      at = at->find(key);
    }
  }
  if (at == nullptr) return invalid_argument("{}.$ref: there is no \"{}\"", path, pointer);
  return at;
}

// The schema behind references, for looking at it; itself if they lead nowhere.
const JsonValue& SchemaGrammar::resolved(const JsonValue& schema) const {
  const JsonValue* at = &schema;
  for (int i = 0; i < kMaxMerges; ++i) {
    const JsonValue* ref = at->find("$ref");
    if (ref == nullptr) break;
    const auto target = find_target(ref->text, "");
    if (!target.ok()) break;
    at = *target;
  }
  return *at;
}

// One schema without $ref and allOf on its top level.
Result<JsonValue> SchemaGrammar::flattened(const JsonValue& schema, const Path& path, int depth) {
  if (depth > kMaxMerges) return invalid_argument("{}: the schema refers to itself", path);
  JsonValue out = JsonValue::object();
  if (schema.is_bool()) {
    if (schema.boolean) return out;
    return invalid_argument("{}: nothing satisfies this schema", path);
  }
  if (!schema.is_object()) {
    return invalid_argument("{}: expected a schema, found {}", path, schema.kind_name());
  }
  out = TRY(checked(schema, path));
  const auto join = [&](const JsonValue& part, const Path& part_path) -> Status {
    const auto flat = TRY(flattened(part, part_path, depth + 1));
    auto merged = merged_schema(out, flat);
    if (merged.ok()) {
      out = std::move(merged).value();
      return {};
    }
    if (!options_.loosen) return std::move(merged).error().in(path);
    loosened_.push_back(fmt::format("{}: {}", part_path, merged.error().message));
    return {};
  };
  if (const JsonValue* ref = out.find("$ref")) {
    const auto* target = TRY(find_target(ref->text, path));
    out.erase("$ref");
    TRY(join(*target, path));
  }
  if (const JsonValue* all = out.find("allOf")) {
    const JsonValue parts = *all;
    out.erase("allOf");
    for (std::size_t i = 0; i < parts.items.size(); ++i) {
      TRY(join(parts.items[i], child(path + ".allOf", i)));
    }
  }
  return out;
}

Result<std::string> SchemaGrammar::reference(std::string_view pointer, const Path& path) {
  if (const auto known = references_.find(pointer); known != references_.end())
    return known->second;
  const JsonValue* target = TRY(find_target(pointer, path));
  for (int i = 0; target->find("$ref") != nullptr && target->members.size() == 1; ++i) {
    if (i == kMaxMerges) return invalid_argument("{}.$ref: \"{}\" refers to itself", path, pointer);
    target = TRY(find_target(target->find("$ref")->text, path));
  }
  const std::string name = new_name("r");
  references_.emplace(std::string(pointer), name);
  Path target_path = root_path_ + std::string(pointer.substr(1));
  std::ranges::replace(target_path, '/', '.');
  const auto body = TRY(schema_value(*target, target_path));
  lines_.push_back(fmt::format("{}: {}", name, body));
  return name;
}

Result<std::string> SchemaGrammar::schema_value(const JsonValue& schema, const Path& path) {
  auto value = strict_value(schema, path);
  if (value.ok() || !options_.loosen) return value;
  // The type stays, the rest goes.
  loosened_.push_back(value.error().message);
  JsonValue rest = JsonValue::object();
  if (!type_names(schema).empty()) rest.set("type", *schema.find("type"));
  return strict_value(rest, path);
}

Result<std::string> SchemaGrammar::strict_value(const JsonValue& schema, const Path& path) {
  if (schema.is_bool() && schema.boolean) return any_value();
  if (const JsonValue* ref = schema.find("$ref"); ref != nullptr && ref->is_string()) {
    const bool alone = std::ranges::all_of(schema.members, [](const JsonMember& member) {
      return member.key == "$ref" || is_annotation(member.key);
    });
    if (alone) return reference(ref->text, path);
  }
  return plain_value(TRY(flattened(schema, path, 0)), path);
}

Result<std::string> SchemaGrammar::plain_value(const JsonValue& schema, const Path& path) {
  if (depth_ >= kMaxDepth) return invalid_argument("{}: the schema nests too deep", path);
  ++depth_;
  auto value = value_of_any_type(schema, path);
  --depth_;
  return value;
}

Result<std::string> SchemaGrammar::value_of_any_type(const JsonValue& schema, const Path& path) {
  if (const JsonValue* nullable = schema.find("nullable")) {
    JsonValue rest = schema;
    const bool may_be_null = nullable->is_bool() && nullable->boolean;
    rest.erase("nullable");
    const auto value = TRY(plain_value(rest, path));
    return may_be_null ? rule(fmt::format("{} | {}", value, literal(JsonValue::null()))) : value;
  }
  if (schema.find("anyOf")) return alternatives(schema, "anyOf", path);
  if (schema.find("oneOf")) return alternatives(schema, "oneOf", path);
  if (listed_values(schema)) return enum_values(schema, path);

  auto types = type_names(schema);
  for (const auto& hint : kTypeHints) {
    if (!types.empty()) break;
    if (schema.find(hint.keyword)) types.emplace_back(hint.type);
  }
  if (types.empty()) return any_value();
  std::vector<std::string> choices;
  for (const auto& type : types) {
    if (type == "integer" && has(types, "number")) continue;
    choices.push_back(TRY(typed_value(schema, type, path)));
  }
  return choices.size() == 1 ? choices[0] : rule(fmt::format("{}", fmt::join(choices, " | ")));
}

// anyOf and oneOf: each alternative together with what stands beside the list.
Result<std::string> SchemaGrammar::alternatives(const JsonValue& schema, const std::string& key,
                                                const Path& path) {
  const JsonValue list = *schema.find(key);
  const Path list_path = child(path, key);
  if (!list.is_array() || list.items.empty()) {
    return invalid_argument("{}: expected a list of schemas", list_path);
  }
  if (key == "oneOf") {
    for (std::size_t i = 0; i < list.items.size(); ++i) {
      for (std::size_t j = 0; j < i; ++j) {
        if (are_disjoint(list.items[i], list.items[j], 0)) continue;
        TRY(unsupported(path,
                        fmt::format("\"oneOf\" whose alternatives {} and {} may both hold", j, i)));
        i = j = list.items.size();  // said once
      }
    }
  }
  JsonValue rest = schema;
  rest.erase(key);
  std::vector<std::string> choices;
  std::optional<Error> contradiction;
  for (std::size_t i = 0; i < list.items.size(); ++i) {
    auto value = alternative(list.items[i], rest, child(list_path, i));
    if (value.ok()) {
      if (!has(choices, *value)) choices.push_back(std::move(value).value());
    } else if (value.error().code == Code::FailedPrecondition) {
      contradiction = value.error();  // with what stands beside it: just never taken
    } else {
      return value;
    }
  }
  if (choices.empty()) return *contradiction;
  return choices.size() == 1 ? choices[0] : rule(fmt::format("{}", fmt::join(choices, " | ")));
}

Result<std::string> SchemaGrammar::alternative(const JsonValue& schema, const JsonValue& rest,
                                               const Path& path) {
  if (rest.members.empty()) return schema_value(schema, path);
  const auto flat = TRY(flattened(schema, path, 0));
  return plain_value(TRY_IN(path, merged_schema(rest, flat)), path);
}

// Whether no value satisfies both; false when that is not plain to see.
bool SchemaGrammar::are_disjoint(const JsonValue& a_in, const JsonValue& b_in, int depth) const {
  if (depth > kMaxMerges) return false;
  const JsonValue &a = resolved(a_in), &b = resolved(b_in);
  const auto types_a = type_names(a), types_b = type_names(b);
  const auto values_a = listed_values(a), values_b = listed_values(b);
  const auto is_in = [](const std::vector<std::string>& types, std::string_view type) {
    return has(types, type) || (type == "integer" && has(types, "number")) ||
           (type == "number" && has(types, "integer"));
  };
  const auto outside = [&](const std::vector<JsonValue>& values,
                           const std::vector<std::string>& types) {
    return !types.empty() && std::ranges::none_of(values, [&](const JsonValue& value) {
      return is_in(types, type_of(value));
    });
  };
  if (values_a && values_b) {
    const bool common = std::ranges::any_of(*values_a, [&](const JsonValue& value) {
      return std::ranges::find(*values_b, value) != values_b->end();
    });
    if (!common) return true;
  }
  if (values_a && outside(*values_a, types_b)) return true;
  if (values_b && outside(*values_b, types_a)) return true;
  if (!types_a.empty() && !types_b.empty() &&
      std::ranges::none_of(types_a,
                           [&](const std::string& type) { return is_in(types_b, type); })) {
    return true;
  }
  const bool objects = types_a == std::vector<std::string>{"object"} && types_a == types_b;
  if (!objects) return false;
  if (requires_what_is_forbidden(a, b) || requires_what_is_forbidden(b, a)) return true;
  const JsonValue *properties_a = a.find("properties"), *properties_b = b.find("properties");
  if (properties_a == nullptr || properties_b == nullptr) return false;
  const auto is_required = [](const JsonValue& schema, std::string_view key) {
    const JsonValue* required = schema.find("required");
    return required && std::ranges::any_of(required->items,
                                           [&](const JsonValue& name) { return name.text == key; });
  };
  return std::ranges::any_of(properties_a->members, [&](const JsonMember& member) {
    const JsonValue* other = properties_b->find(member.key);
    return other != nullptr && is_required(a, member.key) && is_required(b, member.key) &&
           are_disjoint(member.value, *other, depth + 1);
  });
}

Result<std::string> SchemaGrammar::enum_values(const JsonValue& schema, const Path& path) {
  for (const auto& [key, value] : schema.members) {
    const bool is_known = key == "enum" || key == "const" || key == "type" ||
                          key == "propertyOrdering" || key == "format";
    if (!is_known) TRY(unsupported(path, fmt::format("\"{}\" beside a list of values", key)));
  }
  const JsonValue* list = schema.find("enum");
  const auto types = type_names(schema);
  std::vector<JsonValue> values;
  const auto all_values = listed_values(schema);
  for (const auto& value : *all_values) {
    const bool fits = types.empty() || has(types, type_of(value)) ||
                      (type_of(value) == "integer" && has(types, "number"));
    const bool listed =
        list == nullptr || std::ranges::find(list->items, value) != list->items.end();
    if (fits && listed) values.push_back(value);
  }
  if (values.empty()) return invalid_argument("{}: nothing satisfies this list of values", path);

  // Strings and words are one terminal each: long lists stay cheap.
  std::vector<std::string> choices, texts, words;
  for (const auto& value : values) {
    const bool is_json = options_.notation == Notation::Json;
    if (value.is_string() && !is_json && !value.text.empty()) {
      texts.push_back(lark_literal(value.text));
    } else if (value.is_array() || value.is_object() || (value.is_string() && !is_json)) {
      choices.push_back(literal(value));
    } else {
      words.push_back(lark_literal(to_json_text(value)));
    }
  }
  if (!words.empty()) choices.push_back(terminal(fmt::format("{}", fmt::join(words, " | "))));
  if (!texts.empty()) {
    const auto text = terminal(fmt::format("{}", fmt::join(texts, " | ")));
    choices.push_back(fmt::format("<[{0}]> {1} <[{0}]>", options_.quote, text));
  }
  return rule(fmt::format("{}", fmt::join(choices, " | ")));
}

Result<std::string> SchemaGrammar::typed_value(const JsonValue& schema, std::string_view type,
                                               const Path& path) {
  if (type == "null") return literal(JsonValue::null());
  if (type == "boolean") {
    return terminal(R"("true" | "false")");
  }
  if (type == "integer") return number(schema, true, path);
  if (type == "number") return number(schema, false, path);
  if (type == "string") return string(schema, path);
  if (type == "array") return array(schema, path);
  return object(schema, path);
}

// ---------------------------------------------------------------------------------------------
// Types

Result<SchemaGrammar::Counts> SchemaGrammar::counts(const JsonValue& schema, std::string_view what,
                                                    const Path& path) {
  constexpr std::int64_t kLargest = 0x7FFFFFFF;
  const auto read = [&](std::string_view prefix, std::int64_t absent) -> Result<std::int64_t> {
    const std::string key = fmt::format("{}{}", prefix, what);
    const JsonValue* value = schema.find(key);
    if (value == nullptr) return absent;
    const auto wrong = [&] { return invalid_argument("{}.{}: expected a count", path, key); };
    if (!value->is_number()) return wrong();
    const auto count = TRY(parse_decimal(value->text));
    if (count.negative || !count.fraction.empty()) return wrong();
    if (count.digits.size() > 10) return kLargest;
    return std::min<std::int64_t>(std::stoll(count.digits), kLargest);
  };
  Counts out;
  out.min = TRY(read("min", 0));
  out.max = TRY(read("max", -1));
  if (out.max >= 0 && out.min > out.max) {
    return invalid_argument("{}: min{} {} is above max{} {}, nothing satisfies both", path, what,
                            out.min, what, out.max);
  }
  return out;
}

Result<std::string> SchemaGrammar::number(const JsonValue& schema, bool integer, const Path& path) {
  NumberRange range{.integer = integer, .lower = {}, .upper = {}};
  const auto read = [&](const char* key) -> Result<std::optional<Decimal>> {
    const JsonValue* value = schema.find(key);
    if (value == nullptr || value->is_bool()) return std::optional<Decimal>();
    if (!value->is_number()) return invalid_argument("{}.{}: expected a number", path, key);
    return std::optional(TRY_IN(path, parse_decimal(value->text)));
  };
  // Draft 4 had exclusiveMinimum: true.
  const auto flag = [&](const char* key) {
    const JsonValue* value = schema.find(key);
    return value != nullptr && value->is_bool() && value->boolean;
  };
  if (const auto least = TRY(read("minimum"))) range.lower = {*least, flag("exclusiveMinimum")};
  if (const auto most = TRY(read("maximum"))) range.upper = {*most, flag("exclusiveMaximum")};
  if (const auto above = TRY(read("exclusiveMinimum"));
      above && (!range.lower || compare(*above, range.lower->value) >= 0)) {
    range.lower = {*above, true};
  }
  if (const auto below = TRY(read("exclusiveMaximum"));
      below && (!range.upper || compare(*below, range.upper->value) <= 0)) {
    range.upper = {*below, true};
  }
  if (range.is_empty()) return invalid_argument("{}: no number lies between the limits", path);

  if (const JsonValue* step = schema.find("multipleOf")) {
    const auto multiple = TRY_IN(path, parse_decimal(step->text));
    const bool is_ten = multiple.digits.find_first_not_of('0', 1) == std::string::npos &&
                        multiple.digits[0] == '1' && multiple.fraction.empty();
    const bool is_fraction =
        multiple.digits == "0" && multiple.fraction.ends_with('1') &&
        multiple.fraction.find_first_not_of('0') + 1 == multiple.fraction.size();
    if (multiple.negative || multiple.is_zero()) {
      return invalid_argument("{}.multipleOf: expected a number above 0", path);
    }
    if (is_ten) {
      range.integer = true;
      range.n_trailing_zeros = static_cast<int>(multiple.digits.size()) - 1;
    } else if (is_fraction) {
      range.max_fraction_digits = static_cast<int>(multiple.fraction.size());
    } else {
      TRY(unsupported(path, fmt::format("\"multipleOf\" {} (only powers of ten)", step->text)));
    }
  }
  range.exponents = options_.notation == Notation::Json && !range.integer && !range.lower &&
                    !range.upper && range.max_fraction_digits == 20;
  return terminal(number_terminal(range));
}

Result<std::string> SchemaGrammar::string(const JsonValue& schema, const Path& path) {
  const auto length = TRY(counts(schema, "Length", path));
  std::vector<RegexPattern> patterns;
  const auto add = [&](std::string_view expression, std::string_view keyword) -> Status {
    auto pattern = RegexPattern::parse(expression, RegexPattern::Search::Yes);
    if (pattern.ok()) {
      patterns.push_back(std::move(pattern).value());
      return {};
    }
    if (!options_.loosen) {
      return std::move(pattern).error().in(fmt::format("{}.{}", path, keyword));
    }
    loosened_.push_back(fmt::format("{}.{}: {}", path, keyword, pattern.error().message));
    return {};
  };
  if (const JsonValue* pattern = schema.find("pattern")) {
    const auto list = pattern->is_array() ? pattern->items : std::vector{*pattern};
    for (const auto& expression : list) {
      if (!expression.is_string()) return invalid_argument("{}.pattern: expected a string", path);
      TRY(add(expression.text, "pattern"));
    }
  }
  if (const JsonValue* format = schema.find("format")) {
    if (const auto expression = find_string_format(format->text)) {
      TRY(add(*expression, "format"));
    } else if (is_standard_format(format->text)) {
      TRY(unsupported(path, fmt::format("\"format\" {}", format->text)));
    }
  }
  if (patterns.empty()) return free_string(length);
  if (length.min > 0 || length.max >= 0) {
    patterns.push_back(RegexPattern::any_text(length.min, length.max));
  }
  return string_value(patterns);
}

Result<std::string> SchemaGrammar::array(const JsonValue& schema, const Path& path) {
  auto n_items = TRY(counts(schema, "Items", path));
  const JsonValue* items = schema.find("items");
  const JsonValue* prefix = schema.find("prefixItems");
  if (items != nullptr && items->is_array()) {  // before 2020-12
    prefix = items;
    items = schema.find("additionalItems");
  }
  std::vector<std::string> first;
  if (prefix != nullptr) {
    for (std::size_t i = 0; i < prefix->items.size(); ++i) {
      first.push_back(TRY(schema_value(prefix->items[i], child(path + ".prefixItems", i))));
    }
  }
  const auto n_first = static_cast<std::int64_t>(first.size());
  const bool has_more = !is_false(items) && (n_items.max < 0 || n_items.max > n_first);
  if (!has_more && n_items.min > n_first) {
    return invalid_argument("{}: minItems {} but only {} items are described", path, n_items.min,
                            n_first);
  }
  // From the end: what may follow item i − 1.
  std::string tail;
  if (has_more) {
    const auto item = items ? TRY(schema_value(*items, child(path, "items"))) : any_value();
    const auto min = std::max<std::int64_t>(n_items.min - n_first, 0);
    const auto max = n_items.max < 0 ? -1 : n_items.max - n_first;
    if (first.empty()) {
      const auto more = repeated(comma() + " " + item, std::max<std::int64_t>(min - 1, 0),
                                 max < 0 ? -1 : max - 1);
      const auto some = fmt::format("{} {}", item, more);
      return rule(fmt::format("{} {} {}", open_bracket(),
                              min > 0 ? some : fmt::format("({})?", some), close_bracket()));
    }
    tail = repeated(comma() + " " + item, min, max);
  }
  for (std::int64_t i = n_first; i-- > 0;) {
    if (n_items.max >= 0 && i >= n_items.max) continue;
    tail = fmt::format("{}{} {}", i > 0 ? comma() + " " : "", first[static_cast<std::size_t>(i)],
                       tail);
    if (i >= n_items.min) tail = rule(fmt::format("({})?", tail));
  }
  return rule(fmt::format("{} {} {}", open_bracket(), tail, close_bracket()));
}

Result<std::vector<SchemaGrammar::Member>> SchemaGrammar::members(const JsonValue& schema,
                                                                  const Path& path) {
  const JsonValue* properties = schema.find("properties");
  const JsonValue* required = schema.find("required");
  const JsonValue* others = schema.find("additionalProperties");
  JsonValue described = properties ? *properties : JsonValue::object();
  std::vector<std::string> required_names;
  if (required != nullptr) {
    for (const auto& name : required->items) {
      required_names.push_back(name.text);
      if (described.find(name.text)) continue;
      if (is_false(others)) {
        return invalid_argument("{}: \"{}\" is required, but additionalProperties forbids it", path,
                                name.text);
      }
      described.set(name.text, others ? *others : JsonValue::of(true));
    }
  }
  std::vector<Member> out;
  for (const auto& [key, value] : described.members) {
    const bool is_required = has(required_names, key);
    const Path member_path = child(path + ".properties", key);
    if (is_false(&value)) {
      if (is_required)
        return invalid_argument("{}: required, but nothing satisfies it", member_path);
      continue;
    }
    const auto text = TRY(schema_value(value, member_path));
    out.push_back({.key = key, .text = key_text(key) + " " + text, .required = is_required});
  }
  if (options_.notation == Notation::Call) {
    std::ranges::stable_sort(out, {}, [](const Member& member) { return to_lower(member.key); });
  } else if (const JsonValue* order = schema.find("propertyOrdering")) {
    std::ranges::stable_sort(out, {}, [&](const Member& member) {
      return std::ranges::find(order->items, member.key, &JsonValue::text) - order->items.begin();
    });
  }
  return out;
}

// A member that the schema does not name; empty if it allows none.
Result<std::string> SchemaGrammar::free_member(const JsonValue& schema,
                                               const std::vector<Member>& named, const Path& path) {
  const JsonValue* others = schema.find("additionalProperties");
  if (is_false(others) || (others == nullptr && !named.empty())) return std::string();
  const auto value = others && others->is_object()
                         ? TRY(schema_value(*others, child(path, "additionalProperties")))
                         : any_value();
  return free_key(named) + " " + value;
}

Result<std::string> SchemaGrammar::object(const JsonValue& schema, const Path& path) {
  auto n_members = TRY(counts(schema, "Properties", path));
  const auto named = TRY(members(schema, path));
  const auto free = TRY(free_member(schema, named, path));
  const auto n_required = std::ranges::count_if(named, &Member::required);
  const auto n_named = static_cast<std::int64_t>(named.size());
  n_members.min = n_members.min > n_required ? n_members.min : 0;
  if (n_members.max >= n_named && free.empty()) n_members.max = -1;
  if (n_members.max >= 0 && n_members.max < n_required) {
    return invalid_argument("{}: more members are required than maxProperties allows", path);
  }
  if (free.empty() && n_members.min > n_named) {
    return invalid_argument("{}: minProperties {}, but only {} members are described", path,
                            n_members.min, n_named);
  }
  if (named.empty()) {
    if (free.empty()) return rule(open_brace() + " " + close_brace());
    // Members that the schema does not name may repeat a key, so that two are perhaps one.
    if (n_members.min > 1) {
      TRY(unsupported(path, "\"minProperties\" above 1 without named properties"));
      n_members.min = 1;
    }
    if (n_members.max == 0) return rule(open_brace() + " " + close_brace());
    const auto more = repeated(comma() + " " + free, 0, n_members.max < 0 ? -1 : n_members.max - 1);
    return rule(fmt::format("{} {}{} {}{} {}", open_brace(), n_members.min > 0 ? "" : "(", free,
                            more, n_members.min > 0 ? "" : ")?", close_brace()));
  }
  // A free member may repeat a key, so that one of them counts at most.
  const bool fits_bits = named.size() <= kMaxBits;
  const bool can_hold_min = fits_bits && n_members.min <= n_named + (free.empty() ? 0 : 1);
  if (n_members.min > 0 && !can_hold_min) {
    TRY(unsupported(path, "\"minProperties\" of such an object"));
    n_members.min = 0;
  }
  if (n_members.max >= 0 && !(fits_bits && free.empty())) {
    TRY(unsupported(path, "\"maxProperties\" of such an object"));
    n_members.max = -1;
  }
  const bool by_bits = fits_bits && (n_members.min > 0 || n_members.max >= 0);
  const auto body =
      by_bits ? members_by_bits(named, free, n_members) : members_in_order(named, free);
  return rule(fmt::format("{} {} {}", open_brace(), body, close_brace()));
}

// first_i: nothing is written yet, members from i on may come; more_i: something is.
std::string SchemaGrammar::members_in_order(const std::vector<Member>& members,
                                            const std::string& free) {
  std::string first, more;  // of the end
  if (!free.empty()) {
    more = rule(repeated(comma() + " " + free, 0, -1));
    first = rule(fmt::format("({} {})?", free, more));
  }
  for (std::size_t i = members.size(); i-- > 0;) {
    const auto& member = members[i];
    auto with_first = fmt::format("{} {}", member.text, more);
    auto with_more = fmt::format("{} {} {}", comma(), member.text, more);
    if (!member.required) {
      with_first += " | " + (first.empty() ? "\"\"" : first);
      with_more += " | " + (more.empty() ? "\"\"" : more);
    }
    first = rule(with_first);
    more = rule(with_more);
  }
  return first;
}

namespace {

using Conditions = std::vector<std::string>;

// What a rule with a parameter may ask before an alternative is taken.
std::string when(const Conditions& conditions) {
  std::string out;
  for (const auto& condition : conditions) {
    out = out.empty() ? condition : fmt::format("and({}, {})", condition, out);
  }
  return out.empty() ? out : " %if " + out;
}

}  // namespace

// One rule whose parameter has a bit for each member that is written. Required members have the
// lowest bits.
std::string SchemaGrammar::members_by_bits(const std::vector<Member>& members,
                                           const std::string& free, Counts counts) {
  const auto n = static_cast<std::int64_t>(members.size());
  const std::int64_t n_required = std::ranges::count_if(members, &Member::required);
  std::vector<std::int64_t> bits;
  bits.reserve(members.size());
  std::int64_t next_required = 0, next_optional = n_required;
  for (const auto& member : members) {
    bits.push_back(member.required ? next_required++ : next_optional++);
  }
  const std::string name = new_name("m");
  std::vector<std::string> first, more;

  // The end: all required members are there, and enough of them; a free one counts as one.
  const auto add_end = [&](const std::string& tail_first, const std::string& tail_more,
                           std::int64_t n_free) {
    const auto least = counts.min - n_free;
    if (n_required == 0 && least <= 0) first.push_back(tail_first);
    Conditions conditions;
    if (n_required > 0) conditions.push_back(fmt::format("is_ones([0:{}])", n_required));
    if (least > 0) conditions.push_back(fmt::format("bit_count_ge(_, {})", least));
    more.push_back(tail_more + when(conditions));
  };
  add_end("\"\"", "\"\"", 0);
  if (!free.empty()) {
    const auto others = repeated(comma() + " " + free, 0, -1);
    add_end(fmt::format("{} {}", free, others), fmt::format("{} {} {}", comma(), free, others), 1);
  }

  for (std::int64_t i = 0; i < n; ++i) {
    const auto& member = members[static_cast<std::size_t>(i)];
    const auto bit = bits[static_cast<std::size_t>(i)];
    Conditions conditions = {fmt::format("bit_clear({})", bit)};
    bool may_be_first = true;
    // Required members have their places reserved.
    if (counts.max >= 0 && !member.required) {
      const auto n_optional = counts.max - n_required;
      conditions.push_back(fmt::format("bit_count_lt([{}:{}], {})", n_required, n, n_optional));
      may_be_first = n_optional > 0;
    }
    for (std::int64_t j = 0; j < n; ++j) {
      const auto other = bits[static_cast<std::size_t>(j)];
      if (j > i) conditions.push_back(fmt::format("bit_clear({})", other));
      if (j < i && members[static_cast<std::size_t>(j)].required) {
        conditions.push_back(fmt::format("bit_set({})", other));
        may_be_first = false;
      }
    }
    // What is left must suffice for the minimum.
    const auto n_before = counts.min - (n - i) - (free.empty() ? 0 : 1);
    if (n_before > 0) {
      conditions.push_back(fmt::format("bit_count_ge(_, {})", n_before));
      may_be_first = false;
    }
    more.push_back(
        fmt::format("{} {} {}::set_bit({}){}", comma(), member.text, name, bit, when(conditions)));
    if (may_be_first) {
      first.push_back(fmt::format("{} {}::0x{:x}", member.text, name, std::uint64_t{1} << bit));
    }
  }
  lines_.push_back(fmt::format("{}::_: {}", name, fmt::join(more, "\n  | ")));
  return rule(fmt::format("{}", fmt::join(first, "\n  | ")));
}

// ---------------------------------------------------------------------------------------------
// Notation

// White space between the tokens of JSON is one line break and 20 blanks at most: without a bound
// it is where a model loses itself.
std::string SchemaGrammar::open_brace() {
  return terminal(options_.notation == Notation::Json ? R"(/\{\n? {0,20}/)" : R"("{")");
}
std::string SchemaGrammar::close_brace() {
  return terminal(options_.notation == Notation::Json ? R"(/\n? {0,20}\}/)" : R"("}")");
}
std::string SchemaGrammar::open_bracket() {
  return terminal(options_.notation == Notation::Json ? R"(/\[\n? {0,20}/)" : R"("[")");
}
std::string SchemaGrammar::close_bracket() {
  return terminal(options_.notation == Notation::Json ? R"(/\n? {0,20}\]/)" : R"("]")");
}
std::string SchemaGrammar::comma() {
  return terminal(options_.notation == Notation::Json ? R"(/,\n? {0,20}/)" : R"(",")");
}
std::string SchemaGrammar::colon() {
  return terminal(options_.notation == Notation::Json ? "/: ?/" : "\":\"");
}

std::string SchemaGrammar::literal(const JsonValue& value) {
  const bool is_json = options_.notation == Notation::Json;
  if (value.is_array()) {
    std::vector<std::string> items;
    items.reserve(value.items.size());
    for (const auto& item : value.items) items.push_back(literal(item));
    return fmt::format("{} {} {}", open_bracket(), fmt::join(items, " " + comma() + " "),
                       close_bracket());
  }
  if (value.is_object()) {
    std::vector<std::string> items;
    items.reserve(value.members.size());
    for (const auto& [key, item] : value.members) {
      items.push_back(key_text(key) + " " + literal(item));
    }
    return fmt::format("{} {} {}", open_brace(), fmt::join(items, " " + comma() + " "),
                       close_brace());
  }
  if (value.is_string() && !is_json) {
    if (value.text.empty()) return fmt::format("<[{0}]> <[{0}]>", options_.quote);
    return fmt::format("<[{0}]> {1} <[{0}]>", options_.quote, terminal(lark_literal(value.text)));
  }
  return terminal(lark_literal(to_json_text(value)));
}

std::string SchemaGrammar::string_value(const std::vector<RegexPattern>& patterns) {
  const bool is_json = options_.notation == Notation::Json;
  std::vector<std::string> parts;
  parts.reserve(patterns.size());
  for (const auto& pattern : patterns) {
    parts.push_back(pattern.terminal(is_json ? TextForm::Json : TextForm::Raw));
  }
  const auto body = fmt::format("{}", fmt::join(parts, " & "));
  if (is_json) return terminal(fmt::format(R"("\"" ({}) "\"")", body));
  // The library cannot look past the end of an intersection whose last character is not known as
  // such: the next id is then found by its mask instead.
  if (body.find(" & ") != body.npos) no_forcing_ = true;
  // Terminals are never empty; an empty string is no terminal between the delimiters.
  const bool may_be_empty = std::ranges::all_of(patterns, &RegexPattern::matches_empty);
  if (!may_be_empty)
    return rule(fmt::format("<[{0}]> {1} <[{0}]>", options_.quote, terminal(body)));
  const auto text = terminal(body + " & /(?s:.+)/");
  return rule(fmt::format("<[{0}]> {1}? <[{0}]>", options_.quote, text));
}

std::string SchemaGrammar::free_string(Counts length) {
  if (options_.notation == Notation::Json)
    return terminal(free_json_string(length.min, length.max));
  if (length.max == 0) return rule(fmt::format("<[{0}]> <[{0}]>", options_.quote));
  const auto limit = length.max < 0 ? "" : fmt::format("{}", length.max);
  const auto text =
      terminal(fmt::format("/(?s:.{{{},{}}})/", std::max<std::int64_t>(length.min, 1), limit));
  return rule(
      fmt::format("<[{0}]> {1}{2} <[{0}]>", options_.quote, text, length.min == 0 ? "?" : ""));
}

std::string SchemaGrammar::key_text(std::string_view key) {
  if (options_.notation == Notation::Json) {
    const auto quoted = to_json_text(JsonValue::of(std::string(key)));
    return terminal(fmt::format(R"({} /: ?/)", lark_literal(quoted)));
  }
  if (reads_back_raw(key)) return terminal(lark_literal(std::string(key) + ":"));
  const auto text = key.empty() ? "" : terminal(lark_literal(key));
  return fmt::format("<[{0}]> {1} <[{0}]> {2}", options_.quote, text, colon());
}

// A key other than the named ones.
std::string SchemaGrammar::free_key(const std::vector<Member>& named) {
  const bool is_json = options_.notation == Notation::Json;
  std::vector<std::string> taken;
  taken.reserve(named.size());
  for (const auto& member : named) {
    taken.push_back(lark_literal(is_json ? to_json_text(JsonValue::of(member.key)) : member.key));
  }
  const auto without_taken = [&](std::string_view pattern) {
    if (taken.empty()) return std::string(pattern);
    return fmt::format("{} & ~({})", pattern, fmt::join(taken, " | "));
  };
  if (is_json) {
    // Without escapes: a named key has no second spelling.
    return terminal(without_taken(R"(/"[^"\\\x00-\x1F]+"/)")) + " " + colon();
  }
  // As reads_back_raw() says, and of at most 64 characters: without a bound a model loses itself
  // in them. Longer keys stand between delimiters.
  const std::string never = R"(\x00-\x1F:=,"\[\]{}())";
  const auto raw =
      terminal(without_taken(fmt::format(R"(/[^\s'{0}]([^{0}]{{0,62}}[^\s{0}])?/)", never)));
  const auto text = terminal(without_taken("/(?s:.+)/"));
  return rule(fmt::format("({1} | <[{0}]> {2} <[{0}]>) {3}", options_.quote, raw, text, colon()));
}

std::string SchemaGrammar::any_value() {
  make_any_rules();
  return any_value_;
}

std::string SchemaGrammar::any_object() {
  make_any_rules();
  return any_object_;
}

// Values in values to a depth that our own parser reads, from the innermost outwards.
void SchemaGrammar::make_any_rules() {
  if (!any_value_.empty()) return;
  const bool is_json = options_.notation == Notation::Json;
  const auto number =
      terminal(number_terminal({.integer = false, .lower = {}, .upper = {}, .exponents = is_json}));
  const auto word = terminal(R"("true" | "false" | "null")");
  const auto scalar = rule(fmt::format("{} | {} | {}", free_string({}), number, word));
  const auto key = free_key({});
  any_value_ = scalar;
  for (int depth = 0; depth < kFreeDepth; ++depth) {
    const auto list = [&](const std::string& open, const std::string& item,
                          const std::string& close) {
      return rule(fmt::format("{0} ({1} ({2} {1})*)? {3}", open, item, comma(), close));
    };
    const auto array = list(open_bracket(), any_value_, close_bracket());
    any_object_ = list(open_brace(), key + " " + any_value_, close_brace());
    any_value_ = rule(fmt::format("{} | {} | {}", scalar, array, any_object_));
  }
}

// ---------------------------------------------------------------------------------------------
// Source

std::string SchemaGrammar::new_name(std::string_view prefix) {
  return fmt::format("{}{}", prefix, n_names_++);
}

std::string SchemaGrammar::rule(const std::string& body) {
  const auto [at, is_new] = names_.try_emplace("rule " + body);
  if (is_new) {
    at->second = new_name("r");
    lines_.push_back(fmt::format("{}: {}", at->second, body));
  }
  return at->second;
}

std::string SchemaGrammar::terminal(const std::string& body) {
  const auto [at, is_new] = names_.try_emplace("terminal " + body);
  if (is_new) {
    at->second = new_name("T");
    lines_.push_back(fmt::format("{}: {}", at->second, body));
  }
  return at->second;
}

std::string SchemaGrammar::source(std::string_view start) const {
  return fmt::format("{}{}\n{}\n", no_forcing_ ? "%llguidance {\"no_forcing\": true}\n" : "", start,
                     fmt::join(lines_, "\n"));
}

}  // namespace fourfold
