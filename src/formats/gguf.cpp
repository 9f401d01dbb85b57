#include "formats/gguf.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <numeric>
#include <unordered_set>
#include <utility>

#include "base/checked.h"
#include "base/utf8.h"
#include "tensor/dtype.h"

namespace fourfold {
namespace {

// Limits of formats.md 1.6; the largest published files have 2131 tensors, 60 keys, 15.8 MB.
constexpr std::uint64_t kHeaderBytes = 24;
constexpr std::uint64_t kMaxKeys = 65'536;
constexpr std::uint64_t kMaxTensors = 65'536;
constexpr std::uint64_t kMinKeyRecordBytes = 14;     // 1-byte key, 1-byte value
constexpr std::uint64_t kMinTensorRecordBytes = 25;  // 1-byte name, no dimension
constexpr std::uint64_t kMaxKeyBytes = 65'535;
constexpr std::uint64_t kMaxStringBytes = 16u << 20;
constexpr std::uint64_t kMaxArrayElements = 64u << 20;
constexpr std::uint64_t kMaxMetadataBytes = 256u << 20;
constexpr std::uint64_t kMaxTensorNameBytes = 127;
constexpr std::uint64_t kUsualTensorNameBytes = 63;  // what other readers accept
constexpr std::uint64_t kMaxAlignment = 1u << 20;
constexpr std::uint64_t kDefaultAlignment = 32;
constexpr std::uint32_t kMaxDims = 4;
constexpr std::uint64_t kMaxElements = std::uint64_t{1} << 40;

// The numbers of the format; kNumValueTypes is the first that is not one.
constexpr std::uint32_t kU8 = 0, kI8 = 1, kU16 = 2, kI16 = 3, kU32 = 4, kI32 = 5, kF32 = 6,
                        kBool = 7, kString = 8, kArray = 9, kU64 = 10, kI64 = 11, kF64 = 12,
                        kNumValueTypes = 13;
constexpr std::array<std::uint64_t, kNumValueTypes> kValueBytes = {1, 1, 2, 2, 4, 4, 4,
                                                                   1, 0, 0, 8, 8, 8};
constexpr std::uint64_t kStringLengthBytes = 8;

// Numbers that no GGUF reader of ours accepts, by the name a user may know them under.
struct ForeignType {
  std::uint32_t number;
  std::string_view name;
};
constexpr ForeignType kRetiredTypes[] = {
    {4, "Q4_2"},      {5, "Q4_3"},        {31, "Q4_0_4_4"},   {32, "Q4_0_4_8"},
    {33, "Q4_0_8_8"}, {36, "IQ4_NL_4_4"}, {37, "IQ4_NL_4_8"}, {38, "IQ4_NL_8_8"},
};
constexpr ForeignType kActivationTypes[] = {{9, "Q8_1"}, {15, "Q8_K"}};
constexpr ForeignType kIkTypes[] = {
    {97, "Q8_0_X4"},    {98, "Q8_1_X4"},     {99, "Q8_2_X4"},    {133, "Q6_0"},
    {134, "IQ1_BN"},    {135, "IQ2_BN"},     {136, "Q8_K64"},    {137, "IQ2_K"},
    {138, "IQ3_K"},     {139, "IQ4_K"},      {140, "IQ5_K"},     {141, "IQ6_K"},
    {144, "IQ4_KS"},    {145, "IQ2_KS"},     {146, "IQ4_KSS"},   {147, "Q8_K16"},
    {148, "Q8_K32"},    {149, "Q8_KR8"},     {150, "Q8_K128"},   {151, "Q8_KV"},
    {152, "IQ5_KS"},    {153, "IQ2_KT"},     {154, "IQ3_KT"},    {155, "IQ4_KT"},
    {156, "IQ3_KS"},    {157, "IQ2_KL"},     {158, "IQ1_KT"},    {202, "Q4_0_R8"},
    {206, "Q5_0_R4"},   {208, "Q8_0_R8"},    {210, "Q2_K_R4"},   {211, "Q3_K_R4"},
    {212, "Q4_K_R4"},   {213, "Q5_K_R4"},    {214, "Q6_K_R4"},   {216, "IQ2_XXS_R4"},
    {217, "IQ2_XS_R4"}, {218, "IQ3_XXS_R4"}, {219, "IQ1_S_R4"},  {220, "IQ4_NL_R4"},
    {221, "IQ3_S_R4"},  {222, "IQ2_S_R4"},   {223, "IQ4_XS_R8"}, {229, "IQ1_M_R4"},
    {230, "BF16_R16"},  {233, "Q6_0_R4"},    {335, "IQ2_BN_R4"}, {337, "IQ2_K_R4"},
    {338, "IQ3_K_R4"},  {339, "IQ4_K_R4"},   {340, "IQ5_K_R4"},  {344, "IQ4_KS_R4"},
    {352, "IQ5_KS_R4"}, {397, "Q8_K_R16"},   {398, "Q8_KV_R8"},  {399, "Q8_K_R8"},
};

template <std::size_t N>
std::string_view name_in(const ForeignType (&types)[N], std::uint32_t number) {
  const auto* type = std::ranges::find(types, number, &ForeignType::number);
  return type == std::end(types) ? std::string_view() : type->name;
}

// Values in the file are unaligned.
template <class T>
T load(const std::byte* data) {
  T value;
  std::memcpy(&value, data, sizeof value);
  return value;
}

// Valid for the integer types and booleans.
std::int64_t load_int(std::uint32_t type, const std::byte* data) {
  switch (type) {
    case kU8:
    case kBool: return load<std::uint8_t>(data);
    case kI8: return load<std::int8_t>(data);
    case kU16: return load<std::uint16_t>(data);
    case kI16: return load<std::int16_t>(data);
    case kU32: return load<std::uint32_t>(data);
    case kI32: return load<std::int32_t>(data);
    case kU64:
    case kI64: break;
  }
  return load<std::int64_t>(data);
}

using Entries = std::vector<std::pair<std::string_view, GgufValue>>;

// Reads one file front to back. Every length is compared with the bytes left before it is used.
class Parser {
 public:
  explicit Parser(std::shared_ptr<const MappedFile> file)
      : file_(std::move(file)), data_(file_->bytes().data()), size_(file_->size_bytes()) {}

  Status parse() {
    TRY(read_header());
    for (std::uint64_t i = 0; i < n_keys_; ++i) TRY(read_key_value(i));
    for (std::uint64_t i = 0; i < n_tensors_; ++i) TRY(read_tensor_info(i));
    if (n_tensors_ == 0) return {};  // no data section, not even its padding
    TRY(place_tensors());
    return check_layout();
  }

  // The outcome, once parse() has succeeded.
  std::uint32_t version = 0;
  Entries entries;
  std::vector<std::span<const std::byte>> value_bytes;
  std::unordered_map<std::string_view, std::size_t> key_index;
  std::vector<TensorInfo> tensors;
  std::vector<std::string> warnings;

 private:
  template <class... Args>
  std::string located(std::uint64_t offset, fmt::format_string<Args...> format, Args&&... args) {
    return fmt::format("{}: {} at offset {}: {}", file_->path(), where_, offset,
                       fmt::format(format, std::forward<Args>(args)...));
  }
  template <class... Args>
  Error malformed(std::uint64_t offset, fmt::format_string<Args...> format, Args&&... args) {
    return {Code::DataLoss, located(offset, format, std::forward<Args>(args)...)};
  }
  template <class... Args>
  Error unsupported(std::uint64_t offset, fmt::format_string<Args...> format, Args&&... args) {
    return {Code::Unimplemented, located(offset, format, std::forward<Args>(args)...)};
  }

  std::uint64_t left() const { return size_ - position_; }

  template <class T>
  Result<T> read() {
    if (left() < sizeof(T)) {
      return malformed(position_, "the file ends here ({} bytes left, expected {})", left(),
                       sizeof(T));
    }
    const T value = load<T>(data_ + position_);
    position_ += sizeof(T);
    return value;
  }

  Result<std::string_view> read_string(std::uint64_t max_bytes) {
    const std::uint64_t start = position_;
    const auto length = TRY(read<std::uint64_t>());
    if (length > max_bytes) {
      return malformed(start, "string of {} bytes (at most {})", length, max_bytes);
    }
    if (length > left()) {
      return malformed(start, "string of {} bytes, the file ends after {}", length, left());
    }
    const auto* text = reinterpret_cast<const char*>(data_ + position_);
    position_ += length;
    return std::string_view(text, length);
  }

  // Keys and tensor names are printed and compared, so they must be clean text.
  Status check_name(std::string_view name, std::uint64_t offset) {
    if (name.empty()) return malformed(offset, "empty name");
    if (!is_utf8(name)) return malformed(offset, "name {} is not UTF-8", printable(name));
    if (has_control_character(name)) {
      return malformed(offset, "name {} holds a control character", printable(name));
    }
    return {};
  }

  Status read_header() {
    where_ = "header";
    if (size_ < kHeaderBytes) {
      return malformed(0, "file of {} bytes, a GGUF file has at least {}", size_, kHeaderBytes);
    }
    const auto magic = TRY(read<std::array<char, 4>>());
    const std::string_view seen(magic.data(), magic.size());
    if (seen != "GGUF") return malformed(0, "magic {}, expected \"GGUF\"", printable(seen));
    version = TRY(read<std::uint32_t>());
    if ((version & 0xFFFF) == 0) {
      return unsupported(4,
                         "big-endian file (version reads as {:#x}); only little-endian GGUF "
                         "can be read",
                         version);
    }
    if (version != 2 && version != 3) {
      return unsupported(4, "GGUF version {} (expected 2 or 3)", version);
    }
    n_tensors_ = TRY(read<std::uint64_t>());
    n_keys_ = TRY(read<std::uint64_t>());
    if (n_tensors_ > kMaxTensors) {
      return malformed(8, "{} tensors (at most {})", n_tensors_, kMaxTensors);
    }
    if (n_keys_ > kMaxKeys) return malformed(16, "{} keys (at most {})", n_keys_, kMaxKeys);
    const std::uint64_t n_min_bytes =
        kHeaderBytes + kMinKeyRecordBytes * n_keys_ + kMinTensorRecordBytes * n_tensors_;
    if (n_min_bytes > size_) {
      return malformed(8, "{} tensors and {} keys need at least {} bytes, the file has {}",
                       n_tensors_, n_keys_, n_min_bytes, size_);
    }
    return {};
  }

  Status read_key_value(std::uint64_t index) {
    const std::uint64_t start = position_;
    where_ = fmt::format("key {}", index);
    const auto key = TRY(read_string(kMaxKeyBytes));
    TRY(check_name(key, start));
    where_ = fmt::format("key {}", printable(key));
    if (!key_index.emplace(key, entries.size()).second) return malformed(start, "duplicate key");

    const std::uint64_t type_offset = position_;
    const auto type = TRY(read<std::uint32_t>());
    if (key == "general.alignment") TRY(read_alignment(type));
    auto value = TRY(read_value(type, type_offset));
    entries.emplace_back(key, std::move(value));
    value_bytes.emplace_back(data_ + type_offset, position_ - type_offset);
    if (position_ > kMaxMetadataBytes) {
      return malformed(start, "metadata larger than {} bytes", kMaxMetadataBytes);
    }
    return {};
  }

  // Looks ahead at the value of general.alignment, which must be u32 exactly.
  Status read_alignment(std::uint32_t type) {
    if (type != kU32) {
      return malformed(position_ - 4, "value type {}, expected {} (u32)", type, kU32);
    }
    const std::uint64_t start = position_;
    alignment_ = TRY(read<std::uint32_t>());
    position_ = start;
    const bool power_of_two = alignment_ != 0 && (alignment_ & (alignment_ - 1)) == 0;
    if (!power_of_two || alignment_ > kMaxAlignment) {
      return malformed(start, "alignment {} (expected a power of two up to {})", alignment_,
                       kMaxAlignment);
    }
    return {};
  }

  Result<GgufValue> read_value(std::uint32_t type, std::uint64_t type_offset) {
    switch (type) {
      case kF32: return GgufValue(static_cast<double>(TRY(read<float>())));
      case kF64: return GgufValue(TRY(read<double>()));
      case kString: return GgufValue(TRY(read_string(kMaxStringBytes)));
      case kArray: return read_array();
      case kBool: return read_bool();
    }
    if (type >= kNumValueTypes) {
      return malformed(type_offset, "unknown value type {} (expected 0 to 12)", type);
    }
    const std::uint64_t n_bytes = kValueBytes[type];
    if (left() < n_bytes) {
      return malformed(position_, "the file ends here ({} bytes left, expected {})", left(),
                       n_bytes);
    }
    const std::int64_t value = load_int(type, data_ + position_);
    position_ += n_bytes;
    if (type == kU64 && value < 0) return GgufValue(static_cast<std::uint64_t>(value));
    return GgufValue(value);
  }

  Result<GgufValue> read_bool() {
    const auto byte = TRY(read<std::uint8_t>());
    if (byte > 1) return malformed(position_ - 1, "boolean byte {} (expected 0 or 1)", byte);
    return GgufValue(byte == 1);
  }

  Result<GgufValue> read_array() {
    const std::uint64_t start = position_;
    const auto type = TRY(read<std::uint32_t>());
    const auto count = TRY(read<std::uint64_t>());
    if (type == kArray) return malformed(start, "array of arrays");
    if (type >= kNumValueTypes) {
      return malformed(start, "unknown element type {} (expected 0 to 12, not 9)", type);
    }
    if (count > kMaxArrayElements) {
      return malformed(start, "array of {} elements (at most {})", count, kMaxArrayElements);
    }
    const std::uint64_t n_min_bytes =
        count * (type == kString ? kStringLengthBytes : kValueBytes[type]);
    if (n_min_bytes > left()) {
      return malformed(start, "array of {} elements needs {} bytes, the file ends after {}", count,
                       n_min_bytes, left());
    }
    if (position_ + n_min_bytes > kMaxMetadataBytes) {
      return malformed(start, "metadata larger than {} bytes", kMaxMetadataBytes);
    }
    if (type == kString) return read_string_array(count);
    return read_number_array(type, count);
  }

  Result<GgufValue> read_string_array(std::uint64_t count) {
    GgufStringArray strings;
    strings.reserve(count);
    for (std::uint64_t i = 0; i < count; ++i) strings.push_back(TRY(read_string(kMaxStringBytes)));
    return GgufValue(std::move(strings));
  }

  Result<GgufValue> read_number_array(std::uint32_t type, std::uint64_t count) {
    const std::byte* elements = data_ + position_;
    if (type == kBool) {
      const auto* bad =
          std::find_if(elements, elements + count, [](std::byte b) { return b > std::byte{1}; });
      if (bad != elements + count) {
        return malformed(static_cast<std::uint64_t>(bad - data_),
                         "boolean byte {} (expected 0 or 1)", std::to_integer<int>(*bad));
      }
    }
    position_ += count * kValueBytes[type];
    return GgufValue(GgufNumberArray{.element_type = type, .count = count, .data = elements});
  }

  // TensorInfo::offset stays relative to the data section until place_tensors().
  Status read_tensor_info(std::uint64_t index) {
    const std::uint64_t start = position_;
    where_ = fmt::format("tensor {}", index);
    const auto name = TRY(read_string(kMaxTensorNameBytes));
    TRY(check_name(name, start));
    where_ = fmt::format("tensor {}", printable(name));
    if (!tensor_names_.insert(name).second) return malformed(start, "duplicate tensor name");
    if (name.size() > kUsualTensorNameBytes) {
      warnings.push_back(fmt::format("{}: name of {} bytes, other readers accept at most {}",
                                     where_, name.size(), kUsualTensorNameBytes));
    }

    TensorInfo tensor;
    tensor.name = name;
    tensor.file = file_;
    tensor.shape = TRY(read_shape());
    tensor.dtype = TRY(read_tensor_type());
    const auto block = static_cast<std::int64_t>(traits(tensor.dtype).block);
    const std::int64_t row = tensor.shape.empty() ? 1 : tensor.shape.back();
    if (row % block != 0) {
      return malformed(start, "rows of {} values do not fill blocks of {} ({})", row, block,
                       fourfold::name(tensor.dtype));
    }
    tensor.size_bytes = static_cast<std::uint64_t>(size_bytes(tensor.dtype, tensor.n_elements()));
    tensor.offset = TRY(read<std::uint64_t>());
    if (tensor.offset % alignment_ != 0) {
      return malformed(position_ - 8, "data offset {} is not a multiple of the alignment {}",
                       tensor.offset, alignment_);
    }
    tensors.push_back(std::move(tensor));
    return {};
  }

  // Outermost first, where the file has the contiguous dimension first.
  Result<std::vector<std::int64_t>> read_shape() {
    const auto n_dims = TRY(read<std::uint32_t>());
    if (n_dims > kMaxDims) {
      return malformed(position_ - 4, "{} dimensions (at most {})", n_dims, kMaxDims);
    }
    std::vector<std::int64_t> shape(n_dims);
    std::uint64_t n_elements = 1;
    for (std::uint32_t i = 0; i < n_dims; ++i) {
      const auto dim = TRY(read<std::uint64_t>());
      if (dim == 0) return malformed(position_ - 8, "dimension {} is 0 (expected 1 or more)", i);
      const auto product = checked_mul(n_elements, dim);
      if (!product || *product > kMaxElements) {
        return malformed(position_ - 8, "dimension {} is {}, more than {} elements in all", i, dim,
                         kMaxElements);
      }
      n_elements = *product;
      shape[n_dims - 1 - i] = static_cast<std::int64_t>(dim);
    }
    return shape;
  }

  Result<DType> read_tensor_type() {
    const auto number = TRY(read<std::uint32_t>());
    const std::uint64_t offset = position_ - 4;
    if (const auto type = dtype_from_gguf(number)) return *type;
    if (const auto retired = name_in(kRetiredTypes, number); !retired.empty()) {
      return unsupported(offset,
                         "type {} ({}) was withdrawn from the format; quantise the model "
                         "again",
                         number, retired);
    }
    if (const auto foreign = name_in(kIkTypes, number); !foreign.empty()) {
      return unsupported(offset,
                         "type {} ({}) exists only in ik_llama.cpp; use a file in a type "
                         "of llama.cpp",
                         number, foreign);
    }
    if (const auto activation = name_in(kActivationTypes, number); !activation.empty()) {
      return malformed(offset, "type {} ({}) is for activations in memory, not for files", number,
                       activation);
    }
    return malformed(offset, "unknown tensor type {}", number);
  }

  Status place_tensors() {
    where_ = "data section";
    const auto data_start = checked_round_up(position_, alignment_);
    if (!data_start || *data_start > size_) {
      return malformed(position_, "the file ends before the data (padding to a multiple of {})",
                       alignment_);
    }
    data_start_ = *data_start;
    for (auto& tensor : tensors) {
      where_ = fmt::format("tensor {}", printable(tensor.name));
      const auto begin = checked_add(data_start_, tensor.offset);
      const auto end = begin ? checked_add(*begin, tensor.size_bytes) : begin;
      if (!end || *end > size_) {
        return malformed(data_start_, "data offset {} + {} bytes is outside the file ({} bytes)",
                         tensor.offset, tensor.size_bytes, size_);
      }
      tensor.offset = *begin;
    }
    return {};
  }

  // No overlap; gaps and trailing bytes are odd but harmless.
  Status check_layout() {
    std::vector<std::size_t> order(tensors.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::ranges::sort(order, {}, [&](std::size_t i) { return tensors[i].offset; });

    std::uint64_t end = data_start_;
    const TensorInfo* previous = nullptr;
    int n_gaps = 0;
    for (const std::size_t i : order) {
      const TensorInfo& tensor = tensors[i];
      if (tensor.offset < end) {
        where_ = fmt::format("tensor {}", printable(tensor.name));
        return malformed(tensor.offset, "overlaps tensor {}, which ends at {}",
                         printable(previous->name), end);
      }
      if (tensor.offset >= end + alignment_) ++n_gaps;
      end = tensor.offset + tensor.size_bytes;
      previous = &tensor;
    }
    if (n_gaps > 0) warnings.push_back(fmt::format("{} gaps between tensors", n_gaps));
    if (size_ - end >= alignment_) {
      warnings.push_back(fmt::format("{} bytes after the last tensor", size_ - end));
    }
    return {};
  }

  std::shared_ptr<const MappedFile> file_;
  const std::byte* data_;
  std::uint64_t size_;
  std::uint64_t position_ = 0;
  std::string where_;  // what is being read, for messages
  std::uint64_t n_keys_ = 0;
  std::uint64_t n_tensors_ = 0;
  std::uint64_t alignment_ = kDefaultAlignment;
  std::uint64_t data_start_ = 0;
  std::unordered_set<std::string_view> tensor_names_;  // views into the file
};

std::string_view kind_of(const GgufValue& value) {
  constexpr std::array<std::string_view, 7> kKinds = {
      "a boolean", "an integer",          "an integer",         "a float",
      "a string",  "an array of numbers", "an array of strings"};
  return kKinds[value.index()];
}

Error wrong_type(std::string_view key, const GgufValue& value, std::string_view expected) {
  return invalid_argument("key {} is {}, expected {}", printable(key), kind_of(value), expected);
}

Error missing(std::string_view key) {
  return invalid_argument("key {} is missing", printable(key));
}

}  // namespace

bool GgufNumberArray::is_float() const { return element_type == kF32 || element_type == kF64; }

std::int64_t GgufNumberArray::int_at(std::uint64_t index) const {
  return load_int(element_type, data + index * kValueBytes[element_type]);
}

double GgufNumberArray::float_at(std::uint64_t index) const {
  const std::byte* element = data + index * kValueBytes[element_type];
  if (element_type == kF32) return load<float>(element);
  if (element_type == kF64) return load<double>(element);
  return static_cast<double>(load_int(element_type, element));
}

const GgufValue* GgufMetadata::find(std::string_view key) const {
  const auto it = index_.find(key);
  return it == index_.end() ? nullptr : &entries_[it->second].second;
}

Result<std::optional<std::uint64_t>> GgufMetadata::find_u64(std::string_view key) const {
  const auto* value = find(key);
  if (!value) return std::optional<std::uint64_t>();
  if (const auto* large = std::get_if<std::uint64_t>(value)) return std::optional(*large);
  const auto* number = std::get_if<std::int64_t>(value);
  if (!number) return wrong_type(key, *value, "an integer");
  if (*number < 0) {
    return invalid_argument("key {} is {}, expected 0 or more", printable(key), *number);
  }
  return std::optional(static_cast<std::uint64_t>(*number));
}

Result<std::optional<double>> GgufMetadata::find_f64(std::string_view key) const {
  const auto* value = find(key);
  if (!value) return std::optional<double>();
  if (const auto* number = std::get_if<double>(value)) return std::optional(*number);
  if (const auto* number = std::get_if<std::int64_t>(value)) {
    return std::optional(static_cast<double>(*number));
  }
  return wrong_type(key, *value, "a number");
}

Result<std::optional<bool>> GgufMetadata::find_bool(std::string_view key) const {
  const auto* value = find(key);
  if (!value) return std::optional<bool>();
  if (const auto* flag = std::get_if<bool>(value)) return std::optional(*flag);
  return wrong_type(key, *value, "a boolean");
}

Result<std::optional<std::string_view>> GgufMetadata::find_string(std::string_view key) const {
  const auto* value = find(key);
  if (!value) return std::optional<std::string_view>();
  if (const auto* text = std::get_if<std::string_view>(value)) return std::optional(*text);
  return wrong_type(key, *value, "a string");
}

Result<const GgufStringArray*> GgufMetadata::find_strings(std::string_view key) const {
  const auto* value = find(key);
  if (!value) return static_cast<const GgufStringArray*>(nullptr);
  if (const auto* strings = std::get_if<GgufStringArray>(value)) return strings;
  return wrong_type(key, *value, "an array of strings");
}

Result<std::optional<std::vector<std::int64_t>>> GgufMetadata::find_ints(
    std::string_view key) const {
  using Ints = std::vector<std::int64_t>;
  const auto* value = find(key);
  if (!value) return std::optional<Ints>();
  if (const auto* flag = std::get_if<bool>(value)) return std::optional(Ints{*flag ? 1 : 0});
  if (const auto* number = std::get_if<std::int64_t>(value)) return std::optional(Ints{*number});
  const auto* array = std::get_if<GgufNumberArray>(value);
  if (!array || array->is_float()) return wrong_type(key, *value, "an integer or integers");
  Ints ints(array->count);
  for (std::uint64_t i = 0; i < array->count; ++i) ints[i] = array->int_at(i);
  return std::optional(std::move(ints));
}

Result<std::uint64_t> GgufMetadata::require_u64(std::string_view key) const {
  const auto value = TRY(find_u64(key));
  if (!value) return missing(key);
  return *value;
}

Result<double> GgufMetadata::require_f64(std::string_view key) const {
  const auto value = TRY(find_f64(key));
  if (!value) return missing(key);
  return *value;
}

Result<std::string_view> GgufMetadata::require_string(std::string_view key) const {
  const auto value = TRY(find_string(key));
  if (!value) return missing(key);
  return *value;
}

Result<GgufFile> GgufFile::parse(std::shared_ptr<const MappedFile> file) {
  Parser parser(file);
  TRY(parser.parse());
  GgufFile gguf;
  gguf.file_ = std::move(file);
  gguf.version_ = parser.version;
  gguf.metadata_.entries_ = std::move(parser.entries);
  gguf.metadata_.value_bytes_ = std::move(parser.value_bytes);
  gguf.metadata_.index_ = std::move(parser.key_index);
  gguf.tensors_ = std::move(parser.tensors);
  gguf.warnings_ = std::move(parser.warnings);
  return gguf;
}

}  // namespace fourfold
