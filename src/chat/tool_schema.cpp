#include "chat/tool_schema.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <iterator>
#include <utility>

#include "base/letter_case.h"
#include "chat/tool_syntax.h"

namespace fourfold {
namespace {

bool is_null_type(const JsonValue& type) {
  return type.is_null() || (type.is_string() && to_lower(type.text) == "null");
}

// {"type": "null"}, one way to say that a value may be null.
bool is_null_schema(const JsonValue& schema) {
  const JsonValue* type = schema.find("type");
  return schema.is_object() && type && !type->is_null() && is_null_type(*type);
}

bool has_type(const JsonValue& schema, std::string_view upper) {
  const JsonValue* type = schema.find("type");
  return type && type->is_string() && to_upper(type->text) == upper;
}

void erase_if_null(JsonValue& object, std::string_view key) {
  if (const JsonValue* value = object.find(key); value && value->is_null()) object.erase(key);
}

void append_to_description(JsonValue& schema, const std::string& words) {
  const JsonValue* description = schema.find("description");
  if (description && !description->is_string()) return;
  const std::string before = description ? description->text : "";
  schema.set("description", JsonValue::of(before.empty() ? words : before + " (" + words + ")"));
}

// The schema that `base` describes, with the keywords of `beside`, which win.
JsonValue merged(JsonValue base, const JsonValue& beside) {
  for (const auto& [key, value] : beside.members) base.set(key, value);
  return base;
}

// ~1 and ~0 of a JSON pointer's token.
std::string unescaped(std::string_view token) {
  std::string out;
  for (std::size_t i = 0; i < token.size(); ++i) {
    const bool is_escape = token[i] == '~' && i + 1 < token.size();
    out += !is_escape ? token[i] : token[++i] == '1' ? '/' : '~';
  }
  return out;
}

const JsonValue* child(const JsonValue& value, const std::string& token) {
  if (value.is_object()) return value.find(token);
  std::size_t index = 0;
  const auto [end, error] = std::from_chars(token.data(), token.data() + token.size(), index);
  const bool is_index = error == std::errc() && end == token.data() + token.size();
  return value.is_array() && is_index && index < value.items.size() ? &value.items[index] : nullptr;
}

// What "#/$defs/Name" points to within the root schema; null when nothing is there.
const JsonValue* find_target(const JsonValue& root, std::string_view ref) {
  if (!ref.starts_with('#')) return nullptr;
  ref.remove_prefix(1);
  const JsonValue* at = &root;
  while (at && ref.starts_with('/')) {
    ref.remove_prefix(1);
    const auto length = std::min(ref.find('/'), ref.size());
    at = child(*at, unescaped(ref.substr(0, length)));
    ref.remove_prefix(length);
  }
  return ref.empty() ? at : nullptr;
}

// ---- keywords that the template does not print, in words ----

struct Keyword {
  std::string_view name, before, after;
};
constexpr std::array<Keyword, 13> kKeywords = {{{"const", "always ", ""},
                                                {"default", "default ", ""},
                                                {"format", "format ", ""},
                                                {"pattern", "pattern ", ""},
                                                {"minimum", "at least ", ""},
                                                {"maximum", "at most ", ""},
                                                {"exclusiveMinimum", "more than ", ""},
                                                {"exclusiveMaximum", "less than ", ""},
                                                {"multipleOf", "multiple of ", ""},
                                                {"minLength", "at least ", " characters"},
                                                {"maxLength", "at most ", " characters"},
                                                {"minItems", "at least ", " items"},
                                                {"maxItems", "at most ", " items"}}};

std::string spelled(const JsonValue& value) {
  return value.is_string() ? value.text : to_json_text(value);
}

std::string joined(const std::vector<JsonValue>& values, std::string_view between) {
  std::string out;
  for (const auto& value : values) {
    if (!out.empty()) out += between;
    out += spelled(value);
  }
  return out;
}

// "one of 1, 2; default 1"
std::string lost_keywords(const JsonValue& schema) {
  std::vector<JsonValue> phrases;
  const JsonValue* values = schema.find("enum");
  if (values && values->is_array() && !values->items.empty() && !has_type(schema, "STRING")) {
    phrases.push_back(JsonValue::of("one of " + joined(values->items, ", ")));
  }
  for (const auto& keyword : kKeywords) {
    const JsonValue* value = schema.find(keyword.name);
    if (!value || value->is_null()) continue;
    phrases.push_back(
        JsonValue::of(fmt::format("{}{}{}", keyword.before, spelled(*value), keyword.after)));
  }
  return joined(phrases, "; ");
}

// ---- the schema of one tool's parameters ----

class Mender {
 public:
  // `root` outlives this.
  explicit Mender(const JsonValue& root) : root_(root) {}

  JsonValue parameters() {
    JsonValue schema = without_ref(root_);
    erase_if_null(schema, "type");
    settle_type_list(schema);
    if (!schema.find("type")) schema.set("type", JsonValue::of("object"));
    mend_properties_of(schema);
    return schema;
  }

 private:
  // Schemas may contain themselves. What is referred to through more than this many levels keeps
  // its type and description only; what comes after so many bytes of copies, nothing.
  static constexpr int kMaxDepth = 8;
  static constexpr std::size_t kMaxCopiedBytes = 256 << 10;

  void mend_properties_of(JsonValue& schema) {
    JsonValue* properties = schema.find("properties");
    if (!properties || !properties->is_object()) return;
    for (auto& member : properties->members) member.value = property(member.value);
  }

  JsonValue property(const JsonValue& given) {
    if (!given.is_object()) return given;
    const int depth = depth_;
    JsonValue schema = without_ref(given);
    erase_if_null(schema, "type");
    erase_if_null(schema, "description");
    settle_type_list(schema);
    settle_alternatives(schema);
    settle_enum(schema);
    if (has_type(schema, "OBJECT")) settle_object(schema);
    mend_properties_of(schema);
    if (JsonValue* items = schema.find("items")) *items = list_items(*items);
    if (const auto words = lost_keywords(schema); !words.empty()) {
      append_to_description(schema, words);
    }
    depth_ = depth;
    return schema;
  }

  // The template prints other keywords of `items` as they are.
  JsonValue list_items(const JsonValue& given) {
    if (!given.is_object()) return given;
    const int depth = depth_;
    JsonValue items = without_ref(given);
    mend_properties_of(items);
    for (auto& [key, value] : items.members) {
      if (key != "properties") value = free_of_refs(value);
    }
    depth_ = depth;
    return items;
  }

  JsonValue free_of_refs(const JsonValue& given) {
    const int depth = depth_;
    JsonValue value = given.is_object() ? without_ref(given) : given;
    for (auto& item : value.items) item = free_of_refs(item);
    for (auto& member : value.members) member.value = free_of_refs(member.value);
    depth_ = depth;
    return value;
  }

  // The keywords beside a $ref win over what it points to.
  JsonValue without_ref(const JsonValue& given) {
    JsonValue schema = given;
    while (const JsonValue* ref = schema.find("$ref")) {
      const JsonValue* target = ref->is_string() ? find_target(root_, ref->text) : nullptr;
      schema.erase("$ref");
      if (!target || !target->is_object()) break;
      const bool is_deep = ++depth_ > kMaxDepth;
      const JsonValue copy = is_deep ? outline(*target) : *target;
      copied_bytes_ += to_json_text(copy).size();
      if (copied_bytes_ > kMaxCopiedBytes) break;
      schema = merged(copy, schema);
      if (is_deep) break;
    }
    schema.erase("$ref");
    return schema;
  }

  static JsonValue outline(const JsonValue& schema) {
    JsonValue out = JsonValue::object();
    for (const auto* key : {"type", "description"}) {
      if (const JsonValue* value = schema.find(key)) out.set(key, *value);
    }
    return out;
  }

  // [T, null] → T, nullable. Of other unions the first type, the others in words.
  static void settle_type_list(JsonValue& schema) {
    const JsonValue* type = schema.find("type");
    if (!type || !type->is_array()) return;
    std::vector<JsonValue> types;
    for (const auto& one : type->items) {
      if (!is_null_type(one)) types.push_back(one);
    }
    const bool is_nullable = types.size() < type->items.size();
    if (types.empty()) return schema.erase("type");
    schema.set("type", types.front());
    if (is_nullable) schema.set("nullable", JsonValue::of(true));
    if (types.size() > 1) append_to_description(schema, joined(types, " or "));
  }

  void settle_alternatives(JsonValue& schema) {
    for (const auto* key : {"anyOf", "oneOf", "allOf"}) {
      const JsonValue* list = schema.find(key);
      if (schema.find("type") || !list || !list->is_array()) continue;
      const std::vector<JsonValue> all = list->items;
      std::vector<JsonValue> alternatives;
      std::remove_copy_if(all.begin(), all.end(), std::back_inserter(alternatives), is_null_schema);
      if (alternatives.size() == 1 && alternatives.front().is_object()) {
        schema.erase(key);
        take_over(alternatives.front(), alternatives.size() < all.size(), schema);
      } else if (key != std::string_view("allOf")) {
        name_alternatives(all, schema);
      }
    }
  }

  // One schema, and perhaps null: as if it stood there.
  void take_over(const JsonValue& only, bool is_nullable, JsonValue& schema) {
    schema = merged(without_ref(only), schema);
    settle_type_list(schema);
    if (is_nullable) schema.set("nullable", JsonValue::of(true));
  }

  // Several schemas: their types in words. The type stays open.
  static void name_alternatives(const std::vector<JsonValue>& all, JsonValue& schema) {
    std::vector<JsonValue> types;
    for (const auto& one : all) {
      const JsonValue* type = one.find("type");
      if (type && type->is_string()) types.push_back(*type);
    }
    if (!types.empty()) append_to_description(schema, joined(types, " or "));
  }

  static void settle_enum(JsonValue& schema) {
    const JsonValue* values = schema.find("enum");
    if (schema.find("type") || !values || !values->is_array() || values->items.empty()) return;
    const bool all_strings = std::all_of(values->items.begin(), values->items.end(),
                                         [](const JsonValue& value) { return value.is_string(); });
    if (all_strings) schema.set("type", JsonValue::of("string"));
  }

  // Otherwise every keyword of it would be printed as a property.
  static void settle_object(JsonValue& schema) {
    const JsonValue* properties = schema.find("properties");
    if (!properties || !properties->is_object()) schema.set("properties", JsonValue::object());
  }

  const JsonValue& root_;
  int depth_ = 0;                 // of references, on the way to the present schema
  std::size_t copied_bytes_ = 0;  // by all references
};

}  // namespace

Tool mended_tool(const Tool& tool) {
  Tool out = tool;
  erase_if_null(out.declaration, "description");
  const JsonValue* response = out.declaration.find("response");
  if (response && !has_type(*response, "OBJECT")) out.declaration.erase("response");
  const JsonValue* parameters = tool.declaration.find("parameters");
  if (parameters && parameters->is_object() && is_truthy(*parameters)) {
    out.declaration.set("parameters", Mender(*parameters).parameters());
  }
  return out;
}

}  // namespace fourfold
