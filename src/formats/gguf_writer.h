// Writes GGUF version 3: keys in the order in which they were added, zero padding, alignment 32.
//
//   GgufWriter writer;
//   writer.add_string("general.architecture", "gemma4");
//   writer.add_tensor("output_norm.weight", DType::F32, {1536});
//   TRY(writer.write_file(path, [&](const GgufWriter::Tensor& tensor, const auto& sink) {
//     return sink(bytes_of(tensor.name));
//   }));
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "formats/byte_writer.h"
#include "tensor/dtype.h"

namespace fourfold {

class GgufWriter {
 public:
  struct Tensor {
    std::string name;
    DType dtype = DType::F32;
    std::vector<std::int64_t> shape;  // outermost first, as in TensorInfo
    std::uint64_t offset = 0;         // from the start of the data
    std::uint64_t size_bytes = 0;
  };
  // Takes the next bytes of a tensor.
  using Sink = std::function<Status(std::span<const std::byte> bytes)>;
  // Gives all bytes of one tensor to the sink, in as many pieces as it likes. Called in file order.
  using Source = std::function<Status(const Tensor& tensor, const Sink& sink)>;

  void add_string(std::string_view key, std::string_view value);
  void add_u32(std::string_view key, std::uint32_t value);
  void add_i32(std::string_view key, std::int32_t value);
  void add_f32(std::string_view key, float value);
  void add_bool(std::string_view key, bool value);
  void add_ints(std::string_view key, std::span<const std::int32_t> values);
  void add_floats(std::string_view key, std::span<const float> values);
  void add_strings(std::string_view key, std::span<const std::string_view> values);
  void add_bools(std::string_view key, const std::vector<bool>& values);
  // A value of another file, as GgufMetadata::value_bytes() gives it.
  void add_copy(std::string_view key, std::span<const std::byte> value);

  // A type that GGUF has; the last dimension is a multiple of its block.
  void add_tensor(std::string_view name, DType dtype, std::vector<std::int64_t> shape);

  const std::vector<Tensor>& tensors() const { return tensors_; }
  std::uint64_t size_bytes() const { return header().size() + data_bytes_; }
  // Everything before the first tensor's bytes.
  std::vector<std::byte> header() const;

  // Writes to an open file from its current position. Internal when the source gives a tensor more
  // or fewer bytes than it has.
  Status write(int fd, const Source& source) const;
  // Under a temporary name beside `path`, then renamed: `path` is whole or untouched.
  Status write_file(const std::string& path, const Source& source) const;

 private:
  ByteWriter& begin_key(std::string_view key, std::uint32_t type);

  ByteWriter keys_;
  std::uint64_t n_keys_ = 0;
  std::vector<Tensor> tensors_;
  std::uint64_t data_bytes_ = 0;
};

}  // namespace fourfold
