// Reads the goldens in tests of this folder, which stands below the reader of safetensors files:
// arrays by name, and the numbers of case.json.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <cstring>
#include <map>
#include <string>
#include <vector>

#include "base/json_value.h"
#include "base/mapped_file.h"

namespace fourfold {

inline std::string golden_path(const std::string& relative) {
  return std::string(FOURFOLD_BUILD_DIR) + "/golden/" + relative;
}

inline JsonValue read_case(const std::string& path) {
  const auto text = read_text_file(path);
  if (!text.ok()) {
    ADD_FAILURE() << text.error().message;
    return {};
  }
  const auto json = parse_json_value(*text);
  EXPECT_TRUE(json.ok()) << path;
  return json.ok() ? *json : JsonValue();
}

// The numbers of a list, or a number alone.
inline std::vector<double> numbers_of(const JsonValue* value) {
  std::vector<double> numbers;
  if (!value) {
    ADD_FAILURE() << "a number is missing";
  } else if (value->is_number()) {
    numbers.push_back(std::stod(value->text));
  } else {
    for (const auto& item : value->items) numbers.push_back(std::stod(item.text));
  }
  return numbers;
}
inline double number_of(const JsonValue& object, std::string_view key) {
  const auto numbers = numbers_of(object.find(key));
  return numbers.empty() ? 0.0 : numbers[0];
}

class TestArrays {
 public:
  explicit TestArrays(const std::string& path) {
    const auto file = MappedFile::open(path);
    if (!file.ok()) {
      ADD_FAILURE() << file.error().message;
      return;
    }
    const auto bytes = (*file)->bytes();
    std::uint64_t header_size = 0;
    std::memcpy(&header_size, bytes.data(), sizeof header_size);
    const char* text = reinterpret_cast<const char*>(bytes.data()) + sizeof header_size;
    const auto header = parse_json_value(std::string_view(text, header_size));
    if (!header.ok()) {
      ADD_FAILURE() << path << ": " << header.error().message;
      return;
    }
    for (const auto& [name, info] : header->members) {
      if (name == "__metadata__") continue;
      const auto offsets = numbers_of(info.find("data_offsets"));
      const auto begin = static_cast<std::size_t>(offsets.at(0));
      const auto end = static_cast<std::size_t>(offsets.at(1));
      const auto content = bytes.subspan(sizeof header_size + header_size + begin, end - begin);
      const auto shape = numbers_of(info.find("shape"));
      arrays_[name] = {{shape.begin(), shape.end()}, {content.begin(), content.end()}};
    }
  }

  std::vector<std::int64_t> shape(const std::string& name) const {
    return arrays_.count(name) != 0 ? arrays_.at(name).shape : std::vector<std::int64_t>();
  }
  std::vector<float> floats(const std::string& name) const { return read<float>(name); }
  std::vector<std::int32_t> ints(const std::string& name) const { return read<std::int32_t>(name); }
  std::vector<std::uint8_t> bytes(const std::string& name) const {
    return read<std::uint8_t>(name);
  }

 private:
  struct Array {
    std::vector<std::int64_t> shape;
    std::vector<std::byte> bytes;
  };

  template <class T>
  std::vector<T> read(const std::string& name) const {
    if (arrays_.count(name) == 0) {
      ADD_FAILURE() << "no golden array " << name;
      return {};
    }
    const auto& bytes = arrays_.at(name).bytes;
    std::vector<T> values(bytes.size() / sizeof(T));
    if (!bytes.empty()) std::memcpy(values.data(), bytes.data(), bytes.size());
    return values;
  }

  std::map<std::string, Array> arrays_;
};

}  // namespace fourfold
