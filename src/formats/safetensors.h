// Reads and writes safetensors containers (formats.md 3.1). Strict: contiguous from 0 to the end
// of the file, no duplicates, sizes that match the shapes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/mapped_file.h"
#include "base/result.h"
#include "formats/tensor_info.h"

namespace fourfold {

// The tensors of one file, sorted by offset. DataLoss with file, tensor, offset and expectation.
Result<std::vector<TensorInfo>> read_safetensors(std::shared_ptr<const MappedFile> file);

// One tensor to write; `bytes` is a view of the caller's memory for the duration of the call.
struct TensorToWrite {
  std::string name;
  DType dtype = DType::F32;
  std::vector<std::int64_t> shape;
  std::span<const std::byte> bytes;
};

// Writes under a temporary name in the same folder, then renames.
Status write_safetensors(const std::string& path, const std::vector<TensorToWrite>& tensors);

}  // namespace fourfold
