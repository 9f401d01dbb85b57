#include "formats/gguf_writer.h"

#include <utility>

#include "base/check.h"
#include "base/checked.h"
#include "base/new_file.h"

namespace fourfold {
namespace {

constexpr std::uint32_t kVersion = 3;
constexpr std::int64_t kAlignment = 32;

// Value types of keys (formats.md 1.2).
constexpr std::uint32_t kU32 = 4, kI32 = 5, kF32 = 6, kBool = 7, kString = 8, kArray = 9;

std::uint64_t aligned(std::uint64_t n) {
  return static_cast<std::uint64_t>(round_up(static_cast<std::int64_t>(n), kAlignment));
}

}  // namespace

ByteWriter& GgufWriter::begin_key(std::string_view key, std::uint32_t type) {
  ++n_keys_;
  return keys_.string(key).number(type);
}

void GgufWriter::add_string(std::string_view key, std::string_view value) {
  begin_key(key, kString).string(value);
}

void GgufWriter::add_u32(std::string_view key, std::uint32_t value) {
  begin_key(key, kU32).number(value);
}

void GgufWriter::add_i32(std::string_view key, std::int32_t value) {
  begin_key(key, kI32).number(value);
}

void GgufWriter::add_f32(std::string_view key, float value) { begin_key(key, kF32).number(value); }

void GgufWriter::add_bool(std::string_view key, bool value) {
  begin_key(key, kBool).number<std::uint8_t>(value);
}

void GgufWriter::add_ints(std::string_view key, std::span<const std::int32_t> values) {
  begin_key(key, kArray)
      .number(kI32)
      .number<std::uint64_t>(values.size())
      .raw(values.data(), values.size_bytes());
}

void GgufWriter::add_floats(std::string_view key, std::span<const float> values) {
  begin_key(key, kArray)
      .number(kF32)
      .number<std::uint64_t>(values.size())
      .raw(values.data(), values.size_bytes());
}

void GgufWriter::add_strings(std::string_view key, std::span<const std::string_view> values) {
  ByteWriter& bytes = begin_key(key, kArray).number(kString).number<std::uint64_t>(values.size());
  for (const auto value : values) bytes.string(value);
}

void GgufWriter::add_bools(std::string_view key, const std::vector<bool>& values) {
  ByteWriter& bytes = begin_key(key, kArray).number(kBool).number<std::uint64_t>(values.size());
  for (const bool value : values) bytes.number<std::uint8_t>(value);
}

void GgufWriter::add_copy(std::string_view key, std::span<const std::byte> value) {
  ++n_keys_;
  keys_.string(key).raw(value.data(), value.size());
}

void GgufWriter::add_tensor(std::string_view name, DType dtype, std::vector<std::int64_t> shape) {
  CHECK(gguf_number(dtype).has_value());
  CHECK(!shape.empty() && shape.back() % traits(dtype).block == 0);
  Tensor tensor{.name = std::string(name), .dtype = dtype, .shape = std::move(shape)};
  std::int64_t n = 1;
  for (const auto dim : tensor.shape) n *= dim;
  tensor.offset = data_bytes_;
  tensor.size_bytes = static_cast<std::uint64_t>(fourfold::size_bytes(dtype, n));
  data_bytes_ += aligned(tensor.size_bytes);
  tensors_.push_back(std::move(tensor));
}

std::vector<std::byte> GgufWriter::header() const {
  ByteWriter out;
  out.raw("GGUF", 4).number(kVersion).number<std::uint64_t>(tensors_.size()).number(n_keys_);
  out.raw(keys_.bytes.data(), keys_.bytes.size());
  for (const Tensor& tensor : tensors_) {
    out.string(tensor.name).number(static_cast<std::uint32_t>(tensor.shape.size()));
    for (auto dim = tensor.shape.rbegin(); dim != tensor.shape.rend(); ++dim) out.number(*dim);
    out.number(*gguf_number(tensor.dtype)).number(tensor.offset);
  }
  return std::move(out.pad_to(kAlignment).bytes);
}

Status GgufWriter::write(int fd, const Source& source) const {
  TRY(write_all(fd, header()));
  for (const Tensor& tensor : tensors_) {
    std::uint64_t n_written = 0;
    TRY_IN(tensor.name, source(tensor, [&](std::span<const std::byte> bytes) {
             n_written += bytes.size();
             return write_all(fd, bytes);
           }));
    if (n_written != tensor.size_bytes) {
      return internal_error("{}: {} bytes given, the tensor has {}", tensor.name, n_written,
                            tensor.size_bytes);
    }
    const std::byte padding[kAlignment] = {};
    TRY(write_all(fd, std::span(padding).first(aligned(n_written) - n_written)));
  }
  return {};
}

Status GgufWriter::write_file(const std::string& path, const Source& source) const {
  NewFile file = TRY(NewFile::create(path));
  TRY_IN(path, write(file.fd(), source));
  return file.commit();
}

}  // namespace fourfold
