// Reads the goldens of tests/golden in tests: arrays by name, unpacked in the build folder.
#pragma once

#include <gtest/gtest.h>

#include <cstring>
#include <map>
#include <string>
#include <vector>

#include "base/mapped_file.h"
#include "formats/safetensors.h"

namespace fourfold {

inline std::string golden_path(const std::string& relative) {
  return std::string(FOURFOLD_BUILD_DIR) + "/golden/" + relative;
}

class GoldenArrays {
 public:
  explicit GoldenArrays(const std::string& path) {
    auto file = MappedFile::open(path);
    if (!file.ok()) {
      ADD_FAILURE() << file.error().message;
      return;
    }
    auto tensors = read_safetensors(*file);
    if (!tensors.ok()) {
      ADD_FAILURE() << tensors.error().message;
      return;
    }
    for (auto& tensor : *tensors) tensors_.emplace(tensor.name, tensor);
  }

  bool has(const std::string& name) const { return tensors_.count(name) != 0; }
  std::vector<std::int64_t> shape(const std::string& name) const {
    return has(name) ? tensors_.at(name).shape : std::vector<std::int64_t>();
  }
  std::vector<float> floats(const std::string& name) const { return read<float>(name, DType::F32); }
  std::vector<std::int32_t> ints(const std::string& name) const {
    return read<std::int32_t>(name, DType::I32);
  }
  std::vector<std::uint8_t> bytes(const std::string& name) const {
    return read<std::uint8_t>(name, DType::U8);
  }

 private:
  template <class T>
  std::vector<T> read(const std::string& name, DType dtype) const {
    const auto found = tensors_.find(name);
    if (found == tensors_.end() || found->second.dtype != dtype) {
      ADD_FAILURE() << "golden array " << name << " is missing or of another type";
      return {};
    }
    std::vector<T> values(static_cast<std::size_t>(found->second.n_elements()));
    std::memcpy(values.data(), found->second.bytes().data(), found->second.size_bytes);
    return values;
  }

  std::map<std::string, TensorInfo> tensors_;
};

}  // namespace fourfold
