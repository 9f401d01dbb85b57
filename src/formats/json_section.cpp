#include "formats/json_section.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/json.h"

namespace fourfold {
namespace {

using Json = nlohmann::json;

// Unsigned values above 2^63 become the largest i64: all our bounds are far below.
std::int64_t integer(const Json& value) {
  if (const auto* large = value.get_ptr<const Json::number_unsigned_t*>()) {
    return static_cast<std::int64_t>(std::min<std::uint64_t>(*large, INT64_MAX));
  }
  return *value.get_ptr<const Json::number_integer_t*>();
}

double number(const Json& value) {
  if (const auto* real = value.get_ptr<const Json::number_float_t*>()) return *real;
  return static_cast<double>(integer(value));
}

}  // namespace

const Json* JsonSection::find(std::string_view key) const {
  if (!object_) return nullptr;
  const auto it = object_->find(key);
  return it == object_->end() || it->is_null() ? nullptr : &*it;
}

Result<JsonSection> JsonSection::find_section(std::string_view key) const {
  const auto* value = find(key);
  if (value && !value->is_object()) return wrong(key, "an object");
  return JsonSection(value, fmt::format("{}{}.", where_, key));
}

Result<std::optional<int>> JsonSection::find_int(std::string_view key, Bounds bounds) const {
  const auto* value = find(key);
  if (!value) return std::optional<int>();
  if (!value->is_number_integer()) return wrong(key, "a whole number");
  const int checked = TRY(bounded(where(key), integer(*value), bounds));
  return std::optional(checked);
}

Result<int> JsonSection::require_int(std::string_view key, Bounds bounds) const {
  const auto value = TRY(find_int(key, bounds));
  if (!value) return invalid_argument("{} is missing", where(key));
  return *value;
}

Result<std::optional<double>> JsonSection::find_number(std::string_view key) const {
  const auto* value = find(key);
  if (!value) return std::optional<double>();
  if (!value->is_number()) return wrong(key, "a number");
  return std::optional(number(*value));
}

Result<std::optional<float>> JsonSection::find_positive(std::string_view key) const {
  const auto value = TRY(find_number(key));
  if (!value) return std::optional<float>();
  const float checked = TRY(positive(where(key), *value));
  return std::optional(checked);
}

Result<bool> JsonSection::flag(std::string_view key, bool otherwise) const {
  const auto* value = find(key);
  if (!value) return otherwise;
  const auto* boolean = value->get_ptr<const bool*>();
  if (!boolean) return wrong(key, "true or false");
  return *boolean;
}

Result<std::string> JsonSection::text(std::string_view key, std::string_view otherwise) const {
  const auto* value = find(key);
  if (!value) return std::string(otherwise);
  const auto* string = value->get_ptr<const std::string*>();
  if (!string) return wrong(key, "a string");
  return *string;
}

Result<std::optional<std::vector<std::int64_t>>> JsonSection::find_ints(
    std::string_view key) const {
  using Ints = std::vector<std::int64_t>;
  const auto* value = find(key);
  if (!value) return std::optional<Ints>();
  if (value->is_number_integer()) return std::optional(Ints{integer(*value)});
  if (!value->is_array()) return wrong(key, "a whole number or a list of them");
  Ints ints;
  for (const auto& element : *value) {
    if (!element.is_number_integer()) return wrong(key, "a list of whole numbers");
    ints.push_back(integer(element));
  }
  return std::optional(std::move(ints));
}

Error JsonSection::wrong(std::string_view key, std::string_view expected) const {
  return invalid_argument("{} is {} (expected {})", where(key), find(key)->type_name(), expected);
}

Result<Json> read_json_document(const Checkpoint& checkpoint, std::string_view file_name) {
  const auto& text = checkpoint.json_text(file_name);
  if (text.empty()) return Json();
  const auto path = fmt::format("{}/{}", checkpoint.path(), file_name);
  auto document = TRY_IN(path, parse_json(text));
  if (!document.is_object()) return invalid_argument("{}: not a JSON object", path);
  return document;
}

JsonSection root_section(const Checkpoint& checkpoint, const Json& document,
                         std::string_view file_name) {
  return {document.is_null() ? nullptr : &document,
          fmt::format("{}/{}: ", checkpoint.path(), file_name)};
}

}  // namespace fourfold
