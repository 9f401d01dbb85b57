// One JSON object of a folder with its place in the file, so that every complaint names file and
// key. For the readers of config.json.
//
//   const auto document = TRY(read_json_document(checkpoint, "config.json"));
//   const auto root = root_section(checkpoint, document, "config.json");
//   const int width = TRY(root.require_int("hidden_size", kWidthBounds));
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "formats/checkpoint.h"
#include "formats/model_config_forms.h"

namespace fourfold {

// Null and absent are the same everywhere.
class JsonSection {
 public:
  JsonSection(const nlohmann::json* object, std::string where)
      : object_(object), where_(std::move(where)) {}

  // nullptr when the object itself is absent.
  const nlohmann::json* find(std::string_view key) const;
  bool present() const { return object_ != nullptr; }
  const nlohmann::json* object() const { return object_; }
  std::string where(std::string_view key) const { return where_ + std::string(key); }

  Result<JsonSection> find_section(std::string_view key) const;
  Result<std::optional<int>> find_int(std::string_view key, Bounds bounds) const;
  Result<int> require_int(std::string_view key, Bounds bounds) const;
  Result<std::optional<double>> find_number(std::string_view key) const;
  Result<std::optional<float>> find_positive(std::string_view key) const;
  Result<bool> flag(std::string_view key, bool otherwise) const;
  Result<std::string> text(std::string_view key, std::string_view otherwise) const;
  // A whole number or a list of them; nullopt when absent.
  Result<std::optional<std::vector<std::int64_t>>> find_ints(std::string_view key) const;

  Error wrong(std::string_view key, std::string_view expected) const;

 private:
  const nlohmann::json* object_;  // view into a document that the caller owns
  std::string where_;             // "folder/config.json: text_config."
};

// The object in a JSON file of a folder; null when the folder has no such file.
Result<nlohmann::json> read_json_document(const Checkpoint& checkpoint, std::string_view file_name);

JsonSection root_section(const Checkpoint& checkpoint, const nlohmann::json& document,
                         std::string_view file_name);

}  // namespace fourfold
