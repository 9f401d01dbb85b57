#include "formats/gguf_writer.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <utility>

#include "base/check.h"
#include "base/checked.h"

namespace fourfold {
namespace {

constexpr std::uint32_t kVersion = 3;
constexpr std::int64_t kAlignment = 32;

// Value types of keys (formats.md 1.2).
constexpr std::uint32_t kU32 = 4, kI32 = 5, kF32 = 6, kBool = 7, kString = 8, kArray = 9;

std::uint64_t aligned(std::uint64_t n) {
  return static_cast<std::uint64_t>(round_up(static_cast<std::int64_t>(n), kAlignment));
}

Status write_all(int fd, std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const auto n = ::write(fd, bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && (errno == ENOSPC || errno == EDQUOT || errno == ENOMEM)) {
      return resource_exhausted("cannot be written: {}", std::strerror(errno));
    }
    if (n < 0) {
      return Error{Code::Unknown, fmt::format("cannot be written: {}", std::strerror(errno))};
    }
    bytes = bytes.subspan(static_cast<std::size_t>(n));
  }
  return {};
}

// Removes an unfinished file.
class TemporaryFile {
 public:
  static Result<TemporaryFile> make(const std::string& beside) {
    std::string path = beside + ".XXXXXX";
    const int fd = ::mkostemp(path.data(), O_CLOEXEC);
    if (fd < 0) {
      return Error{Code::Unknown, fmt::format("{}: {}", path, std::strerror(errno))};
    }
    return TemporaryFile(fd, std::move(path));
  }
  TemporaryFile(TemporaryFile&& other) noexcept
      : fd_(std::exchange(other.fd_, -1)), path_(std::exchange(other.path_, {})) {}
  TemporaryFile& operator=(TemporaryFile&&) = delete;
  ~TemporaryFile() {
    if (fd_ >= 0) ::close(fd_);
    if (!path_.empty()) ::unlink(path_.c_str());
  }

  int fd() const { return fd_; }

  // On the disk before it gets its name, so that no crash leaves a name without contents.
  Status rename_to(const std::string& path) {
    constexpr mode_t kReadable = 0644;
    const bool done = ::fchmod(fd_, kReadable) == 0 && ::fsync(fd_) == 0 &&
                      ::close(std::exchange(fd_, -1)) == 0 &&
                      std::rename(path_.c_str(), path.c_str()) == 0;
    if (!done) return Error{Code::Unknown, fmt::format("{}: {}", path, std::strerror(errno))};
    path_.clear();
    return {};
  }

 private:
  TemporaryFile(int fd, std::string path) : fd_(fd), path_(std::move(path)) {}

  int fd_;
  std::string path_;
};

}  // namespace

// Appends little-endian values; the machines we run on are.
class GgufWriter::Bytes {
 public:
  explicit Bytes(std::vector<std::byte>& out) : out_(out) {}

  template <class T>
  Bytes& number(T value) {
    return raw(&value, sizeof value);
  }
  Bytes& string(std::string_view text) {
    number<std::uint64_t>(text.size());
    return raw(text.data(), text.size());
  }
  Bytes& raw(const void* data, std::size_t size) {
    const auto* begin = static_cast<const std::byte*>(data);
    out_.insert(out_.end(), begin, begin + size);
    return *this;
  }

 private:
  std::vector<std::byte>& out_;
};

GgufWriter::Bytes GgufWriter::begin_key(std::string_view key, std::uint32_t type) {
  ++n_keys_;
  return Bytes(keys_).string(key).number(type);
}

void GgufWriter::add_string(std::string_view key, std::string_view value) {
  begin_key(key, kString).string(value);
}

void GgufWriter::add_u32(std::string_view key, std::uint32_t value) {
  begin_key(key, kU32).number(value);
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

void GgufWriter::add_bools(std::string_view key, const std::vector<bool>& values) {
  Bytes bytes = begin_key(key, kArray).number(kBool).number<std::uint64_t>(values.size());
  for (const bool value : values) bytes.number<std::uint8_t>(value);
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
  std::vector<std::byte> header;
  Bytes out(header);
  out.raw("GGUF", 4).number(kVersion).number<std::uint64_t>(tensors_.size()).number(n_keys_);
  out.raw(keys_.data(), keys_.size());
  for (const Tensor& tensor : tensors_) {
    out.string(tensor.name).number(static_cast<std::uint32_t>(tensor.shape.size()));
    for (auto dim = tensor.shape.rbegin(); dim != tensor.shape.rend(); ++dim) out.number(*dim);
    out.number(*gguf_number(tensor.dtype)).number(tensor.offset);
  }
  header.resize(aligned(header.size()));
  return header;
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
  TemporaryFile file = TRY(TemporaryFile::make(path));
  TRY_IN(path, write(file.fd(), source));
  return file.rename_to(path);
}

}  // namespace fourfold
