// Writes small GGUF and safetensors files for tests, well-formed or broken on purpose.
//
//   const auto bytes = GgufBuilder().string("general.architecture", "gemma4")
//                          .tensor("token_embd.weight", {32, 4}).build();
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <unistd.h>

#include "base/mapped_file.h"
#include "formats/byte_writer.h"

namespace fourfold::testing_files {

using Bytes = std::vector<std::byte>;

// The value types and tensor types that the tests write.
inline constexpr std::uint32_t kGgufU8 = 0, kGgufU16 = 2, kGgufU32 = 4, kGgufI32 = 5, kGgufF32 = 6,
                               kGgufBool = 7, kGgufString = 8, kGgufArray = 9, kGgufU64 = 10,
                               kGgufI64 = 11, kGgufF64 = 12;
inline constexpr std::uint32_t kGgufTypeF32 = 0, kGgufTypeQ40 = 2, kGgufTypeBF16 = 30;

class GgufBuilder {
 public:
  // What a test may break.
  std::string magic = "GGUF";
  std::uint32_t version = 3;
  std::uint32_t alignment = 32;       // of offsets and padding; write the key yourself
  std::int64_t claimed_tensors = -1;  // −1: the real number
  std::int64_t claimed_keys = -1;

  // A key with raw value bytes; the same name twice gives a duplicate.
  GgufBuilder& key(std::string_view name, std::uint32_t type, const ByteWriter& value) {
    ByteWriter record;
    record.string(name).number(type).raw(value.bytes.data(), value.bytes.size());
    keys_.emplace_back(name, std::move(record.bytes));
    return *this;
  }
  GgufBuilder& drop_key(std::string_view name) {
    std::erase_if(keys_, [&](const auto& key) { return key.first == name; });
    return *this;
  }
  GgufBuilder& u32(std::string_view name, std::uint32_t value) {
    return key(name, kGgufU32, ByteWriter().number(value));
  }
  GgufBuilder& f32(std::string_view name, float value) {
    return key(name, kGgufF32, ByteWriter().number(value));
  }
  GgufBuilder& boolean(std::string_view name, bool value) {
    return key(name, kGgufBool, ByteWriter().number<std::uint8_t>(value));
  }
  GgufBuilder& string(std::string_view name, std::string_view value) {
    return key(name, kGgufString, ByteWriter().string(value));
  }
  template <class T>
  GgufBuilder& numbers(std::string_view name, std::uint32_t type, const std::vector<T>& values) {
    ByteWriter value;
    value.number(type).template number<std::uint64_t>(values.size());
    for (const auto number : values) value.number(number);
    return key(name, kGgufArray, value);
  }
  GgufBuilder& strings(std::string_view name, const std::vector<std::string>& values) {
    ByteWriter value;
    value.number(kGgufString).number<std::uint64_t>(values.size());
    for (const auto& text : values) value.string(text);
    return key(name, kGgufArray, value);
  }

  // `ne` as the file has it, contiguous dimension first.
  struct Tensor {
    std::string name;
    std::vector<std::uint64_t> ne;
    std::uint32_t type = kGgufTypeF32;
    std::int64_t offset = -1;      // −1: after the tensor before
    std::int64_t size_bytes = -1;  // −1: as F32
  };
  GgufBuilder& tensor(Tensor tensor) {
    tensors_.push_back(std::move(tensor));
    return *this;
  }
  GgufBuilder& tensor(std::string_view name, std::vector<std::uint64_t> ne) {
    return tensor(Tensor{.name = std::string(name), .ne = std::move(ne)});
  }
  GgufBuilder& drop_tensor(std::string_view name) {
    std::erase_if(tensors_, [&](const auto& tensor) { return tensor.name == name; });
    return *this;
  }

  // The whole file; `boundaries` receives the end of the header, of the keys, of each tensor record
  // and of the padding.
  Bytes build(std::vector<std::size_t>* boundaries = nullptr) const {
    ByteWriter out;
    out.raw(magic).number(version);
    out.number(claimed_tensors < 0 ? tensors_.size() : claimed_tensors);
    out.number(claimed_keys < 0 ? keys_.size() : claimed_keys);
    if (boundaries) boundaries->push_back(out.bytes.size());
    for (const auto& [name, record] : keys_) out.raw(record.data(), record.size());
    if (boundaries) boundaries->push_back(out.bytes.size());

    std::uint64_t end = 0;
    for (const auto& tensor : tensors_) {
      std::uint64_t n_elements = 1;
      out.string(tensor.name).number<std::uint32_t>(tensor.ne.size());
      for (const auto dim : tensor.ne) {
        out.number(dim);
        n_elements *= dim;
      }
      const std::uint64_t offset = tensor.offset < 0 ? end : tensor.offset;
      out.number(tensor.type).number(offset);
      const std::uint64_t size =
          tensor.size_bytes < 0 ? n_elements * sizeof(float) : tensor.size_bytes;
      if (tensor.offset < 0) end += (size + alignment - 1) / alignment * alignment;
      if (boundaries) boundaries->push_back(out.bytes.size());
    }
    if (tensors_.empty()) return out.bytes;
    out.pad_to(alignment);
    if (boundaries) boundaries->push_back(out.bytes.size());
    out.zeros(end);
    return out.bytes;
  }

 private:
  std::vector<std::pair<std::string, Bytes>> keys_;
  std::vector<Tensor> tensors_;
};

// A safetensors file of a header text and `n_data_bytes` zeros.
inline Bytes safetensors_bytes(std::string_view header, std::size_t n_data_bytes) {
  ByteWriter out;
  return out.number<std::uint64_t>(header.size()).raw(header).zeros(n_data_bytes).bytes;
}

inline std::shared_ptr<const MappedFile> in_memory(const Bytes& bytes,
                                                   const std::string& name = "test.bin") {
  return MappedFile::from_bytes(name, bytes);
}

// A folder that goes away with the test.
class TempFolder {
 public:
  TempFolder() {
    std::string name = (std::filesystem::temp_directory_path() / "fourfold-test-XXXXXX").string();
    path_ = ::mkdtemp(name.data());
  }
  ~TempFolder() { std::filesystem::remove_all(path_); }
  TempFolder(const TempFolder&) = delete;
  TempFolder& operator=(const TempFolder&) = delete;

  const std::string& path() const { return path_; }
  std::string file(std::string_view name) const { return path_ + "/" + std::string(name); }

  std::string write(std::string_view name, const Bytes& bytes) const {
    std::ofstream(file(name), std::ios::binary)
        .write(reinterpret_cast<const char*>(bytes.data()),
               static_cast<std::streamsize>(bytes.size()));
    return file(name);
  }
  std::string write(std::string_view name, std::string_view text) const {
    return write(name, ByteWriter().raw(text).bytes);
  }

 private:
  std::string path_;
};

}  // namespace fourfold::testing_files
