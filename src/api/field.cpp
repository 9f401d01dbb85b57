#include "api/field.h"

#include <charconv>
#include <cmath>
#include <utility>

#include "base/utf8.h"

namespace fourfold {
namespace {

const JsonValue kNull;

// "topP" → "top_p"; a name in snake case stays.
std::string snake_case(std::string_view name) {
  std::string out;
  for (const char c : name) {
    const bool is_upper = c >= 'A' && c <= 'Z';
    if (is_upper) out += '_';
    out += is_upper ? static_cast<char>(c - 'A' + 'a') : c;
  }
  return out;
}

std::string child_path(std::string_view path, std::string_view name) {
  return path.empty() ? std::string(name) : fmt::format("{}.{}", path, name);
}

std::optional<double> double_of(std::string_view text) {
  double value = 0.0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

// Of what is integral, in whatever way it is spelled.
std::optional<std::int64_t> integer_of(std::string_view text) {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error == std::errc() && end == text.data() + text.size()) return value;
  const auto number = double_of(text);
  if (!number || std::floor(*number) != *number || std::abs(*number) >= 0x1p63) return std::nullopt;
  return static_cast<std::int64_t>(*number);
}

// As short as it can be told.
std::string shown(const JsonValue& value) {
  if (value.is_string()) return printable(value.text);
  if (value.is_number() || value.is_bool()) return to_json_text(value);
  return std::string(value.kind_name());
}

}  // namespace

const JsonValue& Field::json() const { return value_ ? *value_ : kNull; }

Field Field::operator[](std::string_view name) const {
  const JsonValue* found = json().find(name);
  if (spelling_ == Spelling::CamelOrSnake && (!found || found->is_null())) {
    const std::string snake = snake_case(name);
    const JsonValue* other = json().find(snake);
    if (other && !other->is_null()) return {other, child_path(path_, snake), spelling_};
  }
  return {found, child_path(path_, name), spelling_};
}

Field Field::first_of(std::initializer_list<std::string_view> names) const {
  for (const auto name : names) {
    Field field = (*this)[name];
    if (!field.absent()) return field;
  }
  return (*this)[*names.begin()];
}

Error Field::error(std::string_view message, std::string_view reason) const {
  const std::string_view where = path_.empty() ? "request body" : std::string_view(path_);
  return invalid_argument("{}: {}", where, message)
      .with({.reason = std::string(reason), .field = path_});
}

Result<std::string> Field::string() const {
  if (absent()) return error("missing (expected a string)");
  if (!json().is_string()) {
    return error(fmt::format("expected a string, not {}", json().kind_name()));
  }
  return json().text;
}

Result<double> Field::number(double least, double most) const {
  if (absent()) return error("missing (expected a number)");
  const bool is_spelled =
      json().is_number() || (json().is_string() && spelling_ == Spelling::CamelOrSnake);
  const auto value = is_spelled ? double_of(json().text) : std::nullopt;
  if (!value || !std::isfinite(*value)) {
    return error(fmt::format("expected a number, not {}", shown(json())));
  }
  if (*value < least || *value > most) {
    return error(fmt::format("{} is out of range (expected {} to {})", json().text, least, most));
  }
  return *value;
}

Result<std::int64_t> Field::integer(std::int64_t least, std::int64_t most) const {
  if (absent()) return error("missing (expected an integer)");
  const bool is_spelled =
      json().is_number() || (json().is_string() && spelling_ == Spelling::CamelOrSnake);
  const auto value = is_spelled ? integer_of(json().text) : std::nullopt;
  if (!value) return error(fmt::format("expected an integer, not {}", shown(json())));
  if (*value < least || *value > most) {
    return error(fmt::format("{} is out of range (expected {} to {})", json().text, least, most));
  }
  return *value;
}

Result<bool> Field::boolean() const {
  if (absent()) return error("missing (expected true or false)");
  if (!json().is_bool()) return error(fmt::format("expected true or false, not {}", shown(json())));
  return json().boolean;
}

Result<std::vector<Field>> Field::list() const {
  std::vector<Field> items;
  if (absent()) return items;
  if (!json().is_array()) return error(fmt::format("expected a list, not {}", json().kind_name()));
  items.reserve(json().items.size());
  for (const auto& item : json().items) {
    items.emplace_back(&item, fmt::format("{}[{}]", path_, items.size()), spelling_);
  }
  return items;
}

Status Field::require_object() const {
  if (json().is_object()) return {};
  if (absent()) return error("missing (expected an object)");
  return error(fmt::format("expected an object, not {}", json().kind_name()));
}

Result<std::optional<std::string>> Field::optional_string() const {
  if (absent()) return std::optional<std::string>();
  return std::optional(TRY(string()));
}

Result<std::optional<double>> Field::optional_number(double least, double most) const {
  if (absent()) return std::optional<double>();
  return std::optional(TRY(number(least, most)));
}

Result<std::optional<std::int64_t>> Field::optional_integer(std::int64_t least,
                                                            std::int64_t most) const {
  if (absent()) return std::optional<std::int64_t>();
  return std::optional(TRY(integer(least, most)));
}

Result<std::optional<bool>> Field::optional_boolean() const {
  if (absent()) return std::optional<bool>();
  return std::optional(TRY(boolean()));
}

Result<bool> Field::boolean_or(bool otherwise) const {
  return absent() ? Result<bool>(otherwise) : boolean();
}

Result<std::vector<std::string>> Field::strings() const {
  std::vector<std::string> texts;
  if (json().is_string()) {
    texts.push_back(json().text);
    return texts;
  }
  const auto items = TRY(list());
  for (const auto& item : items) texts.push_back(TRY(item.string()));
  return texts;
}

}  // namespace fourfold
