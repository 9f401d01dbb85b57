#include "base/new_file.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>

#include "base/mapped_file.h"

namespace fourfold {
namespace {

namespace fs = std::filesystem;

class NewFileIn : public testing::Test {
 protected:
  NewFileIn() { fs::create_directory(folder_); }
  ~NewFileIn() override { fs::remove_all(folder_); }

  std::size_t n_files() const {
    return static_cast<std::size_t>(
        std::distance(fs::directory_iterator(folder_), fs::directory_iterator()));
  }

  fs::path folder_ = fs::temp_directory_path() / ("new_file_test." + std::to_string(::getpid()));
  std::string path_ = folder_ / "result";
};

std::span<const std::byte> bytes_of(std::string_view text) {
  return std::as_bytes(std::span(text));
}

TEST_F(NewFileIn, AppearsWholeOnCommit) {
  auto file = NewFile::create(path_);
  ASSERT_TRUE(file.ok()) << file.error().message;
  ASSERT_TRUE(file->write(bytes_of("whole ")).ok());
  ASSERT_TRUE(file->write(bytes_of("text")).ok());
  EXPECT_FALSE(fs::exists(path_));
  ASSERT_TRUE(file->commit().ok());
  EXPECT_EQ(*read_text_file(path_), "whole text");
  EXPECT_EQ(n_files(), 1u);
}

TEST_F(NewFileIn, LeavesNothingBehindWhenItIsNotCommitted) {
  {
    auto file = NewFile::create(path_);
    ASSERT_TRUE(file.ok());
    ASSERT_TRUE(file->write(bytes_of("half")).ok());
    const NewFile moved = std::move(*file);
  }
  EXPECT_EQ(n_files(), 0u);
}

TEST_F(NewFileIn, LeavesTheOldContentsUntilItIsCommitted) {
  auto old_file = NewFile::create(path_);
  ASSERT_TRUE(old_file.ok() && old_file->write(bytes_of("old")).ok() && old_file->commit().ok());
  auto file = NewFile::create(path_);
  ASSERT_TRUE(file.ok() && file->write(bytes_of("new")).ok());
  EXPECT_EQ(*read_text_file(path_), "old");
  ASSERT_TRUE(file->commit().ok());
  EXPECT_EQ(*read_text_file(path_), "new");
}

TEST_F(NewFileIn, NamesTheFolderThatIsMissing) {
  const auto file = NewFile::create(folder_ / "absent" / "result");
  ASSERT_FALSE(file.ok());
  EXPECT_EQ(file.error().code, Code::NotFound);
  EXPECT_NE(file.error().message.find("absent"), std::string::npos);
}

TEST(WriteAll, SaysThatTheDiskIsFull) {
  const int full = ::open("/dev/full", O_WRONLY | O_CLOEXEC);
  ASSERT_GE(full, 0);
  const auto status = write_all(full, bytes_of("text"));
  ::close(full);
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error().code, Code::ResourceExhausted);
}

}  // namespace
}  // namespace fourfold
