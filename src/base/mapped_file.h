// A read-only file in memory: mapped once, never re-opened by path.
//
//   auto file = TRY(MappedFile::open("model.gguf"));
//   std::span<const std::byte> all = file->bytes();
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"

namespace fourfold {

class MappedFile {
 public:
  // NotFound, PermissionDenied or InvalidArgument (a folder, a pipe), naming the path.
  static Result<std::shared_ptr<const MappedFile>> open(const std::string& path);
  // Bytes that were never a file (tests, fuzzers, downloads in memory), under a name for messages.
  static std::shared_ptr<const MappedFile> from_bytes(std::string name,
                                                      std::vector<std::byte> bytes);
  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  const std::string& path() const { return path_; }
  std::uint64_t size_bytes() const { return size_bytes_; }
  std::span<const std::byte> bytes() const { return {data_, size_bytes_}; }

  // Copies a range by pread, so that its pages do not become resident in the mapping.
  // The range must lie inside the file.
  Status read_at(std::uint64_t offset, std::span<std::byte> out) const;

  // The pages of a range leave the process; they come back from the page cache when touched.
  void release_pages(std::uint64_t offset, std::uint64_t size_bytes) const;

 private:
  MappedFile() = default;

  std::string path_;
  int fd_ = -1;                   // −1 for bytes that were never a file
  std::vector<std::byte> owned_;  // those bytes
  const std::byte* data_ = nullptr;
  std::uint64_t size_bytes_ = 0;
};

// The whole of a small text file. ResourceExhausted above `limit_bytes`.
Result<std::string> read_text_file(const std::string& path, std::uint64_t limit_bytes = 64u << 20);

}  // namespace fourfold
