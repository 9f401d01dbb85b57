#include "base/new_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <utility>

namespace fourfold {
namespace {

Code code_of(int error_number) {
  switch (error_number) {
    case ENOSPC:
    case EDQUOT:
    case ENOMEM: return Code::ResourceExhausted;
    case EACCES:
    case EPERM: return Code::PermissionDenied;
    case ENOENT:
    case ENOTDIR: return Code::NotFound;
    default: return Code::Unknown;
  }
}

// False, with errno set, when not everything was written.
bool written(int fd, std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const auto n = ::write(fd, bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return false;
    bytes = bytes.subspan(static_cast<std::size_t>(n));
  }
  return true;
}

}  // namespace

Status write_all(int fd, std::span<const std::byte> bytes) {
  if (written(fd, bytes)) return {};
  return Error{code_of(errno), fmt::format("cannot be written: {}", std::strerror(errno))};
}

std::string NewFile::temporary_path(const std::string& path) {
  return fmt::format("{}.tmp-{}", path, ::getpid());
}

Result<NewFile> NewFile::create(const std::string& path) {
  NewFile file(path);
  if (file.fd_ < 0) return file.failed("cannot be created");
  return file;
}

NewFile::NewFile(const std::string& path)
    : path_(path),
      temporary_(temporary_path(path)),
      fd_(::open(temporary_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644)) {}

NewFile::NewFile(NewFile&& other) noexcept
    : path_(std::move(other.path_)),
      temporary_(std::move(other.temporary_)),
      fd_(std::exchange(other.fd_, -1)) {}

NewFile::~NewFile() {
  if (fd_ < 0) return;
  ::close(fd_);
  ::unlink(temporary_.c_str());
}

Status NewFile::write(std::span<const std::byte> bytes) {
  if (!written(fd_, bytes)) return failed("cannot be written");
  return {};
}

Status NewFile::commit() {
  if (::fsync(fd_) != 0) return failed("cannot be written");
  if (std::rename(temporary_.c_str(), path_.c_str()) != 0) return failed("cannot be renamed");
  ::close(std::exchange(fd_, -1));
  return {};
}

Error NewFile::failed(std::string_view what) const {
  return {code_of(errno), fmt::format("{}: {} ({})", temporary_, what, std::strerror(errno))};
}

}  // namespace fourfold
