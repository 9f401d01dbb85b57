// Reads a request's JSON: a value together with the way to it, so that every error says where.
//
//   const Field body(json, "");
//   const Field config = body["generationConfig"];
//   const auto top_p = TRY(config["topP"].optional_number(0.0, 1.0));
//   for (const Field& part : TRY(body["parts"].list())) …
//
// An explicit null is as good as absent. Errors are InvalidArgument "generationConfig.topP: …" with
// the path also in ErrorDetail::field.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json_value.h"
#include "base/result.h"

namespace fourfold {

// How the members of objects are found.
enum class Spelling {
  Exact,
  CamelOrSnake,  // "topP" also as "top_p"; numbers also as strings (Gemini)
};

class Field {
 public:
  // `value` outlives this and all that comes of it; null: absent.
  Field(const JsonValue* value, std::string path, Spelling spelling = Spelling::Exact)
      : value_(value), path_(std::move(path)), spelling_(spelling) {}

  bool absent() const { return !value_ || value_->is_null(); }
  const std::string& path() const { return path_; }
  // Of an absent field: null.
  const JsonValue& json() const;

  // A member, absent if there is none or this is no object; `name` in camelCase where both count.
  Field operator[](std::string_view name) const;
  // The first of these members that is not absent; the first one if all are.
  Field first_of(std::initializer_list<std::string_view> names) const;

  // Of a required field; absent: "path: missing".
  Result<std::string> string() const;
  Result<double> number(double least, double most) const;
  // Integral doubles count.
  Result<std::int64_t> integer(std::int64_t least, std::int64_t most) const;
  Result<bool> boolean() const;
  // The items of an array; absent: none.
  Result<std::vector<Field>> list() const;
  Status require_object() const;

  Result<std::optional<std::string>> optional_string() const;
  Result<std::optional<double>> optional_number(double least, double most) const;
  Result<std::optional<std::int64_t>> optional_integer(std::int64_t least, std::int64_t most) const;
  Result<std::optional<bool>> optional_boolean() const;
  Result<bool> boolean_or(bool otherwise) const;
  // A string, or a list of strings.
  Result<std::vector<std::string>> strings() const;

  // "path: message (with reason, if given)".
  Error error(std::string_view message, std::string_view reason = "") const;

 private:
  const JsonValue* value_;
  std::string path_;
  Spelling spelling_;
};

}  // namespace fourfold
