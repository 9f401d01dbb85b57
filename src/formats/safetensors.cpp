#include "formats/safetensors.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <nlohmann/json.hpp>
#include <optional>
#include <string_view>
#include <unordered_set>
#include <utility>

#include "base/checked.h"
#include "base/json.h"
#include "base/new_file.h"
#include "base/utf8.h"

namespace fourfold {
namespace {

using Json = nlohmann::json;

constexpr std::uint64_t kLengthBytes = 8;
constexpr std::uint64_t kMinHeaderBytes = 2;  // {}
constexpr std::uint64_t kMaxHeaderBytes = 100'000'000;
constexpr int kMaxHeaderDepth = 4;  // root, tensor, shape
constexpr std::size_t kMaxDims = 8;
constexpr std::uint64_t kMaxElements = std::uint64_t{1} << 40;
constexpr std::uint64_t kHeaderUnit = 8;  // writers pad the header to it

std::optional<DType> dtype_from_name(std::string_view wanted) {
  for (int i = 0; i < kDTypeCount; ++i) {
    const auto type = static_cast<DType>(i);
    if (!traits(type).quantised() && name(type) == wanted) return type;
  }
  return std::nullopt;
}

// Reads the description of one tensor; `where` is "file: tensor "name"".
class TensorReader {
 public:
  TensorReader(const Json& entry, std::string where) : entry_(entry), where_(std::move(where)) {}

  // Offsets stay relative to the data buffer.
  Result<TensorInfo> read() const {
    if (!entry_.is_object()) return malformed("is not an object");
    TensorInfo tensor;
    tensor.dtype = TRY(read_dtype());
    const auto shape = TRY(read_numbers("shape"));
    const auto offsets = TRY(read_numbers("data_offsets"));
    if (offsets.size() != 2) return malformed("data_offsets are not [begin, end]");
    if (offsets[0] > offsets[1]) {
      return malformed("data_offsets [{}, {}] run backwards", offsets[0], offsets[1]);
    }
    tensor.offset = offsets[0];
    tensor.size_bytes = offsets[1] - offsets[0];
    tensor.shape.assign(shape.begin(), shape.end());
    TRY(check_size(tensor, shape));
    return tensor;
  }

 private:
  template <class... Args>
  Error malformed(fmt::format_string<Args...> format, Args&&... args) const {
    return data_loss("{}: {}", where_, fmt::format(format, std::forward<Args>(args)...));
  }

  Result<DType> read_dtype() const {
    const auto it = entry_.find("dtype");
    const auto* text = it == entry_.end() ? nullptr : it->get_ptr<const std::string*>();
    if (!text) return malformed("dtype is not a string");
    if (const auto type = dtype_from_name(*text)) return *type;
    return unimplemented("{}: dtype {} is not supported", where_, printable(*text));
  }

  Result<std::vector<std::uint64_t>> read_numbers(std::string_view key) const {
    const auto it = entry_.find(key);
    const auto* array = it == entry_.end() ? nullptr : it->get_ptr<const Json::array_t*>();
    if (!array) return malformed("{} is not an array", key);
    if (array->size() > kMaxDims) {
      return malformed("{} has {} numbers (at most {})", key, array->size(), kMaxDims);
    }
    std::vector<std::uint64_t> numbers;
    for (const auto& element : *array) {
      const auto* number = element.get_ptr<const Json::number_unsigned_t*>();
      if (!number) return malformed("{} holds something else than whole numbers", key);
      numbers.push_back(*number);
    }
    return numbers;
  }

  Status check_size(const TensorInfo& tensor, const std::vector<std::uint64_t>& shape) const {
    std::uint64_t n_elements = 1;
    bool is_empty = false;
    for (const auto dim : shape) {
      if (dim == 0) {
        is_empty = true;
        continue;
      }
      const auto product = checked_mul(n_elements, dim);
      if (!product || *product > kMaxElements) {
        return malformed("shape [{}] has more than {} elements", fmt::join(shape, ", "),
                         kMaxElements);
      }
      n_elements = *product;
    }
    if (is_empty) n_elements = 0;
    const auto expected =
        static_cast<std::uint64_t>(size_bytes(tensor.dtype, static_cast<std::int64_t>(n_elements)));
    if (tensor.size_bytes != expected) {
      return malformed("data_offsets [{}, {}] hold {} bytes, shape [{}] of {} needs {}",
                       tensor.offset, tensor.offset + tensor.size_bytes, tensor.size_bytes,
                       fmt::join(shape, ", "), name(tensor.dtype), expected);
    }
    return {};
  }

  const Json& entry_;
  std::string where_;
};

Status check_name(const std::string& path, const std::string& name) {
  if (name.empty()) return data_loss("{}: tensor with an empty name", path);
  if (has_control_character(name)) {
    return data_loss("{}: tensor {}: name holds a control character", path, printable(name));
  }
  return {};
}

Status check_metadata(const std::string& path, const Json& metadata) {
  const bool all_strings = metadata.is_object() && std::ranges::all_of(metadata, &Json::is_string);
  if (!all_strings) return data_loss("{}: __metadata__ is not a map of strings", path);
  return {};
}

// The header's JSON, and where the data buffer begins.
struct Header {
  Json json;
  std::uint64_t data_start = 0;
};

Result<Header> read_header(const MappedFile& file) {
  const std::string& path = file.path();
  const std::uint64_t size = file.size_bytes();
  if (size < kLengthBytes) {
    return data_loss("{}: header at offset 0: file of {} bytes, a safetensors file has at least {}",
                     path, size, kLengthBytes + kMinHeaderBytes);
  }
  std::uint64_t length;
  std::memcpy(&length, file.bytes().data(), sizeof length);
  if (length < kMinHeaderBytes || length > kMaxHeaderBytes) {
    return data_loss("{}: header at offset 0: length {} (expected {} to {})", path, length,
                     kMinHeaderBytes, kMaxHeaderBytes);
  }
  if (length > size - kLengthBytes) {
    return data_loss("{}: header at offset 0: length {}, the file ends after {}", path, length,
                     size - kLengthBytes);
  }
  const std::string_view text(reinterpret_cast<const char*>(file.bytes().data()) + kLengthBytes,
                              length);
  if (text.front() != '{') {
    return data_loss("{}: header at offset 8: begins with {}, expected \"{{\"", path,
                     printable(text.substr(0, 1)));
  }
  auto json = parse_json(text, {.max_depth = kMaxHeaderDepth, .reject_duplicate_keys = true});
  if (!json) return data_loss("{}: header: {}", path, json.error().message);
  return Header{.json = std::move(*json), .data_start = kLengthBytes + length};
}

// From 0 to the end of the buffer without a hole or an overlap; tensors are sorted by offset.
Status check_contiguous(const std::string& path, const std::vector<TensorInfo>& tensors,
                        std::uint64_t buffer_bytes) {
  std::uint64_t end = 0;
  for (const auto& tensor : tensors) {
    if (tensor.offset != end) {
      return data_loss("{}: tensor {}: begins at data offset {}, expected {} ({})", path,
                       printable(tensor.name), tensor.offset, end,
                       tensor.offset < end ? "overlap" : "hole");
    }
    end += tensor.size_bytes;
    if (end > buffer_bytes) {
      return data_loss("{}: tensor {}: ends at data offset {}, the file has {} bytes of data", path,
                       printable(tensor.name), end, buffer_bytes);
    }
  }
  if (end != buffer_bytes) {
    return data_loss("{}: {} bytes after the last tensor (expected none)", path,
                     buffer_bytes - end);
  }
  return {};
}

Result<std::string> header_text(const std::vector<TensorToWrite>& tensors) {
  nlohmann::ordered_json header = nlohmann::ordered_json::object();
  std::unordered_set<std::string_view> names;
  std::uint64_t offset = 0;
  for (const auto& tensor : tensors) {
    if (!is_utf8(tensor.name) || !names.insert(tensor.name).second || tensor.name.empty() ||
        tensor.name == "__metadata__") {
      return invalid_argument("tensor {}: not a usable name, or written twice",
                              printable(tensor.name));
    }
    if (traits(tensor.dtype).quantised()) {
      return invalid_argument("tensor {}: {} cannot be stored in safetensors",
                              printable(tensor.name), name(tensor.dtype));
    }
    std::int64_t n_elements = 1;
    for (const auto dim : tensor.shape) n_elements *= dim;
    const auto expected = static_cast<std::uint64_t>(size_bytes(tensor.dtype, n_elements));
    if (tensor.bytes.size() != expected) {
      return invalid_argument("tensor {}: {} bytes, shape [{}] of {} needs {}",
                              printable(tensor.name), tensor.bytes.size(),
                              fmt::join(tensor.shape, ", "), name(tensor.dtype), expected);
    }
    header.push_back({tensor.name,
                      {{"dtype", name(tensor.dtype)},
                       {"shape", tensor.shape},
                       {"data_offsets", {offset, offset + expected}}}});
    offset += expected;
  }
  std::string text = header.dump();
  text.resize(
      static_cast<std::size_t>(round_up(static_cast<std::int64_t>(text.size()), kHeaderUnit)), ' ');
  return text;
}

}  // namespace

Result<std::vector<TensorInfo>> read_safetensors(std::shared_ptr<const MappedFile> file) {
  const std::string& path = file->path();
  const auto header = TRY(read_header(*file));
  std::vector<TensorInfo> tensors;
  for (const auto& [name, entry] : header.json.items()) {
    if (name == "__metadata__") {
      TRY(check_metadata(path, entry));
      continue;
    }
    TRY(check_name(path, name));
    const TensorReader reader(entry, fmt::format("{}: tensor {}", path, printable(name)));
    tensors.push_back(TRY(reader.read()));
    tensors.back().name = name;
    tensors.back().file = file;
  }
  std::ranges::sort(tensors, {}, [](const TensorInfo& tensor) {
    return std::pair(tensor.offset, tensor.size_bytes);
  });
  TRY(check_contiguous(path, tensors, file->size_bytes() - header.data_start));
  for (auto& tensor : tensors) tensor.offset += header.data_start;
  return tensors;
}

Status write_safetensors(const std::string& path, const std::vector<TensorToWrite>& tensors) {
  const auto header = TRY_IN(path, header_text(tensors));
  const std::uint64_t length = header.size();
  NewFile file = TRY(NewFile::create(path));
  TRY(file.write(std::as_bytes(std::span(&length, 1))));
  TRY(file.write(std::as_bytes(std::span(header))));
  for (const auto& tensor : tensors) TRY(file.write(tensor.bytes));
  return file.commit();
}

}  // namespace fourfold
