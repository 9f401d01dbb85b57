// Reads GGUF version 2 and 3 from bytes that may be hostile: every rule of formats.md 1.6 holds
// before anything is believed. Strings and arrays are views into the mapping.
//
//   const auto file = TRY(MappedFile::open(path));
//   const auto gguf = TRY(GgufFile::parse(file));
//   const auto layers = TRY(gguf.metadata().require_u64("gemma4.block_count"));
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <variant>
#include <vector>

#include "base/mapped_file.h"
#include "base/result.h"
#include "formats/tensor_info.h"

namespace fourfold {

// A packed array of numbers or booleans in the file (unaligned, little-endian).
struct GgufNumberArray {
  std::uint32_t element_type = 0;  // GGUF value type 0..7, 10..12
  std::uint64_t count = 0;
  const std::byte* data = nullptr;  // into the mapping, owned by GgufFile

  std::int64_t int_at(std::uint64_t index) const;  // any integer or boolean element type
  double float_at(std::uint64_t index) const;      // any numeric element type
  bool is_float() const;
};

using GgufStringArray = std::vector<std::string_view>;

// One metadata value; integers of all widths are held as i64 (u64 above 2^63−1 as u64).
using GgufValue = std::variant<bool, std::int64_t, std::uint64_t, double, std::string_view,
                               GgufNumberArray, GgufStringArray>;

class GgufMetadata {
 public:
  // Null when the key is absent.
  const GgufValue* find(std::string_view key) const;

  // nullopt when absent; InvalidArgument naming the key when it has another type.
  Result<std::optional<std::uint64_t>> find_u64(std::string_view key) const;
  Result<std::optional<double>> find_f64(std::string_view key) const;
  Result<std::optional<bool>> find_bool(std::string_view key) const;
  Result<std::optional<std::string_view>> find_string(std::string_view key) const;
  Result<const GgufStringArray*> find_strings(std::string_view key) const;  // null when absent
  // A scalar counts as an array of one; empty optional when absent.
  Result<std::optional<std::vector<std::int64_t>>> find_ints(std::string_view key) const;

  Result<std::uint64_t> require_u64(std::string_view key) const;
  Result<double> require_f64(std::string_view key) const;
  Result<std::string_view> require_string(std::string_view key) const;

  // Keys in file order.
  const std::vector<std::pair<std::string_view, GgufValue>>& entries() const { return entries_; }
  // The value of an entry as the file has it, its type number in front: for copies.
  std::span<const std::byte> value_bytes(std::size_t entry) const { return value_bytes_[entry]; }

 private:
  friend class GgufFile;
  std::vector<std::pair<std::string_view, GgufValue>> entries_;
  std::vector<std::span<const std::byte>> value_bytes_;  // [entries], into the mapping
  std::unordered_map<std::string_view, std::size_t> index_;
};

class GgufFile {
 public:
  // DataLoss with file, field, offset and expectation for anything malformed.
  static Result<GgufFile> parse(std::shared_ptr<const MappedFile> file);

  std::uint32_t version() const { return version_; }
  const GgufMetadata& metadata() const { return metadata_; }
  const std::vector<TensorInfo>& tensors() const { return tensors_; }  // in file order
  const std::shared_ptr<const MappedFile>& file() const { return file_; }
  const std::vector<std::string>& warnings() const { return warnings_; }

 private:
  std::shared_ptr<const MappedFile> file_;
  std::uint32_t version_ = 0;
  GgufMetadata metadata_;
  std::vector<TensorInfo> tensors_;
  std::vector<std::string> warnings_;
};

}  // namespace fourfold
