// A file that appears whole or not at all: written under a temporary name in the same folder, then
// renamed. Goes away when it is not committed.
//
//   NewFile file = TRY(NewFile::create(path));
//   TRY(file.write(bytes));
//   TRY(file.commit());
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

#include "base/result.h"

namespace fourfold {

// All bytes to an open file. The message does not name it.
Status write_all(int fd, std::span<const std::byte> bytes);

class NewFile {
 public:
  // The name under which this process writes `path`.
  static std::string temporary_path(const std::string& path);
  // Errors name the temporary file and the system's reason.
  static Result<NewFile> create(const std::string& path);
  NewFile(NewFile&& other) noexcept;
  NewFile& operator=(NewFile&&) = delete;
  ~NewFile();

  // For writing at the current position.
  int fd() const { return fd_; }
  Status write(std::span<const std::byte> bytes);
  // On the disk before it gets its name, so that no crash leaves a name without contents.
  Status commit();

 private:
  explicit NewFile(const std::string& path);
  Error failed(std::string_view what) const;

  std::string path_;
  std::string temporary_;
  int fd_ = -1;
};

}  // namespace fourfold
