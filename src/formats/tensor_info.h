// One tensor in a file: name, type, shape and where its bytes are.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/mapped_file.h"
#include "tensor/dtype.h"

namespace fourfold {

struct TensorInfo {
  std::string name;
  DType dtype = DType::F32;
  std::vector<std::int64_t> shape;  // outermost first, the last is contiguous (GGUF ne reversed)
  std::shared_ptr<const MappedFile> file;  // owns the bytes
  std::uint64_t offset = 0;                // from the start of the file
  std::uint64_t size_bytes = 0;

  std::int64_t n_elements() const {
    std::int64_t n = 1;
    for (const auto dim : shape) n *= dim;
    return n;
  }
  std::span<const std::byte> bytes() const { return file->bytes().subspan(offset, size_bytes); }
};

}  // namespace fourfold
