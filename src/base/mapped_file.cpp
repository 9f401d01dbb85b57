#include "base/mapped_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

namespace fourfold {
namespace {

Error open_error(const std::string& path, int error_number) {
  if (error_number == ENOENT || error_number == ENOTDIR) {
    return not_found("{}: no such file", path);
  }
  if (error_number == EACCES || error_number == EPERM) {
    return {Code::PermissionDenied, fmt::format("{}: cannot be read (permission denied)", path)};
  }
  return {Code::Unknown, fmt::format("{}: {}", path, std::strerror(error_number))};
}

}  // namespace

Result<std::shared_ptr<const MappedFile>> MappedFile::open(const std::string& path) {
  auto file = std::shared_ptr<MappedFile>(new MappedFile);
  file->path_ = path;
  file->fd_ = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (file->fd_ < 0) return open_error(path, errno);
  struct stat info;
  if (::fstat(file->fd_, &info) != 0) return open_error(path, errno);
  if (S_ISDIR(info.st_mode)) return invalid_argument("{}: is a folder, expected a file", path);
  if (!S_ISREG(info.st_mode)) return invalid_argument("{}: not a regular file", path);
  file->size_bytes_ = static_cast<std::uint64_t>(info.st_size);
  if (file->size_bytes_ > 0) {
    void* data = ::mmap(nullptr, file->size_bytes_, PROT_READ, MAP_SHARED, file->fd_, 0);
    if (data == MAP_FAILED) return open_error(path, errno);
    file->data_ = static_cast<const std::byte*>(data);
  }
  return std::shared_ptr<const MappedFile>(std::move(file));
}

std::shared_ptr<const MappedFile> MappedFile::from_bytes(std::string name,
                                                         std::vector<std::byte> bytes) {
  auto file = std::shared_ptr<MappedFile>(new MappedFile);
  file->path_ = std::move(name);
  file->owned_ = std::move(bytes);
  file->data_ = file->owned_.data();
  file->size_bytes_ = file->owned_.size();
  return file;
}

MappedFile::~MappedFile() {
  if (fd_ < 0) return;
  if (data_) ::munmap(const_cast<std::byte*>(data_), size_bytes_);
  ::close(fd_);
}

Status MappedFile::read_at(std::uint64_t offset, std::span<std::byte> out) const {
  if (offset > size_bytes_ || out.size() > size_bytes_ - offset) {
    return internal_error("{}: read of {} bytes at offset {} passes the end ({} bytes)", path_,
                          out.size(), offset, size_bytes_);
  }
  if (fd_ < 0) {
    std::copy_n(data_ + offset, out.size(), out.data());
    return {};
  }
  std::size_t done = 0;
  while (done < out.size()) {
    const auto n =
        ::pread(fd_, out.data() + done, out.size() - done, static_cast<off_t>(offset + done));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return Error{Code::Unknown, fmt::format("{}: {}", path_, std::strerror(errno))};
    if (n == 0) return data_loss("{}: became shorter while it was in use", path_);
    done += static_cast<std::size_t>(n);
  }
  return {};
}

void MappedFile::release_pages(std::uint64_t offset, std::uint64_t size_bytes) const {
  if (fd_ < 0 || !data_ || offset >= size_bytes_) return;
  const auto page = static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
  const std::uint64_t first = (offset + page - 1) / page * page;
  const std::uint64_t last = (offset + std::min(size_bytes, size_bytes_ - offset)) / page * page;
  if (first < last) ::madvise(const_cast<std::byte*>(data_) + first, last - first, MADV_DONTNEED);
}

Result<std::string> read_text_file(const std::string& path, std::uint64_t limit_bytes) {
  const auto file = TRY(MappedFile::open(path));
  if (file->size_bytes() > limit_bytes) {
    return resource_exhausted("{}: {} bytes, the limit is {}", path, file->size_bytes(),
                              limit_bytes);
  }
  const auto bytes = file->bytes();
  return std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size());
}

}  // namespace fourfold
