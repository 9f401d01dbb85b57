#include "chat/tool_syntax.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstdlib>

#include "base/letter_case.h"

namespace fourfold {
namespace {

constexpr std::string_view kQuote = "<|\"|>";

// ---- numbers and values as Python prints them ----

// Significant digits and decimal exponent: 1.25e7 has "125" and 7.
struct Decimal {
  std::string digits;
  int exponent = 0;
};

Decimal shortest_decimal(double magnitude) {
  std::array<char, 64> buffer;
  const auto end = std::to_chars(buffer.data(), buffer.data() + buffer.size(), magnitude,
                                 std::chars_format::scientific)
                       .ptr;
  const std::string_view text(buffer.data(), static_cast<std::size_t>(end - buffer.data()));
  const auto e = text.find('e');
  Decimal decimal;
  for (const char c : text.substr(0, e)) {
    if (c != '.') decimal.digits += c;
  }
  decimal.exponent = std::atoi(std::string(text.substr(e + 1)).c_str());
  return decimal;
}

std::string python_float(double value) {
  const char* sign = std::signbit(value) ? "-" : "";
  if (std::isinf(value)) return fmt::format("{}inf", sign);
  const auto [digits, exponent] = shortest_decimal(std::fabs(value));
  const auto n = static_cast<int>(digits.size());
  const std::string_view all = digits;
  if (exponent < -4 || exponent >= 16) {
    return fmt::format("{}{}{}{}e{}{:02}", sign, all[0], n > 1 ? "." : "", all.substr(1),
                       exponent < 0 ? '-' : '+', std::abs(exponent));
  }
  if (exponent < 0) return fmt::format("{}0.{:0>{}}", sign, all, n - exponent - 1);
  if (n <= exponent + 1) return fmt::format("{}{:0<{}}.0", sign, all, exponent + 1);
  const auto point = static_cast<std::size_t>(exponent + 1);
  return fmt::format("{}{}.{}", sign, all.substr(0, point), all.substr(point));
}

// Python's repr() of a text. Characters that it would escape but for these are rare enough.
std::string python_quoted(std::string_view text) {
  const bool has_single = text.find('\'') != text.npos, has_double = text.find('"') != text.npos;
  const char quote = has_single && !has_double ? '"' : '\'';
  std::string out(1, quote);
  for (const char c : text) {
    if (c == quote || c == '\\') {
      out += {'\\', c};
    } else if (c == '\n') {
      out += "\\n";
    } else if (c == '\r') {
      out += "\\r";
    } else if (c == '\t') {
      out += "\\t";
    } else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) {
      out += fmt::format("\\x{:02x}", static_cast<unsigned>(c));
    } else {
      out += c;
    }
  }
  return out + quote;
}

std::string python_repr(const JsonValue& value);

// Python's str(), which templates apply to what they print.
std::string python_str(const JsonValue& value) {
  return value.is_string() ? value.text : python_repr(value);
}

std::string python_repr(const JsonValue& value) {
  switch (value.kind) {
    case JsonValue::Kind::Null: return "None";
    case JsonValue::Kind::Bool: return value.boolean ? "True" : "False";
    case JsonValue::Kind::Number: return python_number(value.text);
    case JsonValue::Kind::String: return python_quoted(value.text);
    case JsonValue::Kind::Array: {
      std::string out;
      for (const auto& item : value.items) {
        out += (out.empty() ? "[" : ", ") + python_repr(item);
      }
      return out.empty() ? "[]" : out + "]";
    }
    case JsonValue::Kind::Object: {
      std::string out;
      for (const auto& [key, member] : value.members) {
        out += (out.empty() ? "{" : ", ") + python_quoted(key) + ": " + python_repr(member);
      }
      return out.empty() ? "{}" : out + "}";
    }
  }
  return {};
}

// ---- values in Gemma's notation ----

enum class Keys { Plain, Quoted };

void write_quoted(std::string_view text, PromptWriter& out) {
  out.trusted(kQuote);
  out.untrusted(text);
  out.trusted(kQuote);
}

// Puts commas between what is written one after the other.
class Commas {
 public:
  explicit Commas(PromptWriter& out) : out_(out) {}
  void next() {
    if (!is_first_) out_.trusted(",");
    is_first_ = false;
  }

 private:
  PromptWriter& out_;
  bool is_first_ = true;
};

void write_value(const JsonValue& value, Keys keys, PromptWriter& out);

void write_members(const JsonValue& object, Keys keys, PromptWriter& out) {
  out.trusted("{");
  Commas commas(out);
  for (const auto* member : sorted_members(object)) {
    commas.next();
    if (keys == Keys::Quoted) {
      write_quoted(member->key, out);
    } else {
      out.untrusted(member->key);
    }
    out.trusted(":");
    write_value(member->value, keys, out);
  }
  out.trusted("}");
}

void write_value(const JsonValue& value, Keys keys, PromptWriter& out) {
  switch (value.kind) {
    case JsonValue::Kind::Null: return out.trusted("null");
    case JsonValue::Kind::Bool: return out.trusted(value.boolean ? "true" : "false");
    case JsonValue::Kind::Number: return out.trusted(python_number(value.text));
    case JsonValue::Kind::String: return write_quoted(value.text, out);
    case JsonValue::Kind::Object: return write_members(value, keys, out);
    case JsonValue::Kind::Array: {
      out.trusted("[");
      Commas commas(out);
      for (const auto& item : value.items) {
        commas.next();
        write_value(item, keys, out);
      }
      return out.trusted("]");
    }
  }
}

// ---- declarations ----

const JsonValue kNone;

// A member of an object; null for what is absent and of everything else.
const JsonValue& member_of(const JsonValue& value, std::string_view key) {
  const JsonValue* found = value.find(key);
  return found ? *found : kNone;
}

// The type in capitals, empty when there is none.
std::string upper_type(const JsonValue& schema) {
  const JsonValue* type = schema.find("type");
  return type ? to_upper(python_str(*type)) : "";
}

void write_required(const JsonValue& names, PromptWriter& out) {
  out.trusted("required:[");
  Commas commas(out);
  for (const auto& name : names.items) {
    commas.next();
    write_quoted(python_str(name), out);
  }
  out.trusted("]");
}

void write_properties(const JsonValue& properties, PromptWriter& out);

void write_items_type(const JsonValue& type, PromptWriter& out) {
  out.trusted("type:");
  if (!type.is_array()) return write_quoted(to_upper(python_str(type)), out);
  out.trusted("[");
  Commas commas(out);
  for (const auto& one : type.items) {
    commas.next();
    write_quoted(to_upper(python_str(one)), out);
  }
  out.trusted("]");
}

// Of the members of `items` only three are written as in a schema; the others are plain values.
void write_items(const JsonValue& items, PromptWriter& out) {
  out.trusted("items:{");
  Commas commas(out);
  for (const auto* member : sorted_members(items)) {
    const auto& [key, value] = *member;
    if (value.is_null()) continue;
    commas.next();
    if (key == "properties") {
      out.trusted("properties:{");
      if (value.is_object()) write_properties(value, out);
      out.trusted("}");
    } else if (key == "required") {
      write_required(value, out);
    } else if (key == "type") {
      write_items_type(value, out);
    } else {
      out.untrusted(key);
      out.trusted(":");
      write_value(value, Keys::Quoted, out);
    }
  }
  out.trusted("}");
}

// An object without `properties`: the rest of its keywords is taken for them.
JsonValue keywords_as_properties(const JsonValue& schema) {
  constexpr std::array<std::string_view, 5> kLeftOut = {"description", "type", "properties",
                                                        "required", "nullable"};
  JsonValue properties = JsonValue::object();
  for (const auto& member : schema.members) {
    const bool is_left_out =
        std::find(kLeftOut.begin(), kLeftOut.end(), member.key) != kLeftOut.end();
    if (!is_left_out) properties.members.push_back(member);
  }
  return properties;
}

void write_property(const JsonValue& schema, PromptWriter& out) {
  const std::string type = upper_type(schema);
  Commas commas(out);
  if (const auto& description = member_of(schema, "description"); is_truthy(description)) {
    commas.next();
    out.trusted("description:");
    write_quoted(python_str(description), out);
  }
  if (const auto& values = member_of(schema, "enum"); type == "STRING" && is_truthy(values)) {
    commas.next();
    out.trusted("enum:");
    write_value(values, Keys::Quoted, out);
  }
  if (const auto& items = member_of(schema, "items");
      type == "ARRAY" && items.is_object() && is_truthy(items)) {
    commas.next();
    write_items(items, out);
  }
  if (is_truthy(member_of(schema, "nullable"))) {
    commas.next();
    out.trusted("nullable:true");
  }
  if (type == "OBJECT") {
    const auto& properties = member_of(schema, "properties");
    commas.next();
    out.trusted("properties:{");
    write_properties(properties.is_object() ? properties : keywords_as_properties(schema), out);
    out.trusted("}");
    if (const auto& required = member_of(schema, "required"); is_truthy(required)) {
      commas.next();
      write_required(required, out);
    }
  }
  commas.next();
  out.trusted("type:");
  write_quoted(type, out);
}

void write_properties(const JsonValue& properties, PromptWriter& out) {
  Commas commas(out);
  for (const auto* member : sorted_members(properties)) {
    commas.next();
    out.untrusted(member->key);
    out.trusted(":{");
    write_property(member->value, out);
    out.trusted("}");
  }
}

// Without a type the template forgets the closing brace, as here.
void write_parameters(const JsonValue& parameters, PromptWriter& out) {
  out.trusted(",parameters:{");
  if (const auto& properties = member_of(parameters, "properties"); is_truthy(properties)) {
    out.trusted("properties:{");
    write_properties(properties, out);
    out.trusted("},");
  }
  if (const auto& required = member_of(parameters, "required"); is_truthy(required)) {
    write_required(required, out);
    out.trusted(",");
  }
  if (is_truthy(member_of(parameters, "type"))) {
    out.trusted("type:");
    write_quoted(upper_type(parameters), out);
    out.trusted("}");
  }
}

void write_response_schema(const JsonValue& response, PromptWriter& out) {
  out.trusted(",response:{");
  if (const auto& description = member_of(response, "description"); is_truthy(description)) {
    out.trusted("description:");
    write_quoted(python_str(description), out);
    out.trusted(",");
  }
  if (upper_type(response) == "OBJECT") {
    out.trusted("type:");
    write_quoted("OBJECT", out);
    out.trusted("}");
  }
}

}  // namespace

std::vector<const JsonMember*> sorted_members(const JsonValue& object) {
  struct Entry {
    std::string lower;
    const JsonMember* member;
  };
  std::vector<Entry> entries;
  entries.reserve(object.members.size());
  for (const auto& member : object.members) entries.push_back({to_lower(member.key), &member});
  // UTF-8 has the order of code points.
  std::stable_sort(entries.begin(), entries.end(),
                   [](const Entry& a, const Entry& b) { return a.lower < b.lower; });
  std::vector<const JsonMember*> members;
  members.reserve(entries.size());
  for (const auto& entry : entries) members.push_back(entry.member);
  return members;
}

std::string python_number(std::string_view spelling) {
  const std::string text(spelling);
  if (text.find_first_of(".eE") == text.npos) return text == "-0" ? "0" : text;
  return python_float(std::strtod(text.c_str(), nullptr));
}

bool is_truthy(const JsonValue& value) {
  switch (value.kind) {
    case JsonValue::Kind::Null: return false;
    case JsonValue::Kind::Bool: return value.boolean;
    case JsonValue::Kind::Number: return std::strtod(value.text.c_str(), nullptr) != 0;
    case JsonValue::Kind::String: return !value.text.empty();
    case JsonValue::Kind::Array: return !value.items.empty();
    case JsonValue::Kind::Object: return !value.members.empty();
  }
  return false;
}

void write_declaration(const Tool& tool, PromptWriter& out) {
  const JsonValue* description = tool.declaration.find("description");
  out.trusted("<|tool>declaration:");
  out.untrusted(tool.name);
  out.trusted("{description:");
  write_quoted(description ? python_str(*description) : "", out);
  if (const auto& parameters = member_of(tool.declaration, "parameters"); is_truthy(parameters)) {
    write_parameters(parameters, out);
  }
  if (const JsonValue* response = tool.declaration.find("response")) {
    write_response_schema(*response, out);
  }
  out.trusted("}<tool|>");
}

void write_call(const ToolCall& call, PromptWriter& out) {
  out.trusted("<|tool_call>call:");
  out.untrusted(call.name);
  write_members(call.arguments, Keys::Plain, out);
  out.trusted("<tool_call|>");
}

void write_result(std::string_view name, const JsonValue& value, PromptWriter& out) {
  out.trusted("<|tool_response>response:");
  out.untrusted(name);
  if (value.is_object()) {
    write_members(value, Keys::Plain, out);
  } else {
    out.trusted("{value:");
    write_value(value, Keys::Plain, out);
    out.trusted("}");
  }
  out.trusted("<tool_response|>");
}

}  // namespace fourfold
