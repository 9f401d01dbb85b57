#include "base/mapped_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <filesystem>
#include <fstream>
#include <string>

namespace fourfold {
namespace {

using testing::HasSubstr;

class MappedFileTest : public testing::Test {
 protected:
  void SetUp() override {
    const auto* test = testing::UnitTest::GetInstance()->current_test_info();
    path_ =
        fmt::format("{}fourfold_mapped_file_{}_{}", testing::TempDir(), ::getpid(), test->name());
    std::filesystem::remove_all(path_);
  }
  void TearDown() override { std::filesystem::remove_all(path_); }

  void put(const std::string& text) { std::ofstream(path_, std::ios::binary) << text; }

  std::string path_;
};

TEST_F(MappedFileTest, ShowsTheBytes) {
  put("hello");
  const auto file = MappedFile::open(path_);
  ASSERT_TRUE(file.ok());
  EXPECT_EQ((*file)->path(), path_);
  ASSERT_EQ((*file)->size_bytes(), 5u);
  EXPECT_EQ((*file)->bytes()[4], std::byte{'o'});
}

TEST_F(MappedFileTest, OpensAnEmptyFile) {
  put("");
  const auto file = MappedFile::open(path_);
  ASSERT_TRUE(file.ok());
  EXPECT_TRUE((*file)->bytes().empty());
}

TEST_F(MappedFileTest, SaysWhatIsNotAFile) {
  const auto missing = MappedFile::open(path_);
  ASSERT_FALSE(missing.ok());
  EXPECT_EQ(missing.error().code, Code::NotFound);
  EXPECT_THAT(missing.error().message, HasSubstr(path_));

  std::filesystem::create_directory(path_);
  const auto folder = MappedFile::open(path_);
  ASSERT_FALSE(folder.ok());
  EXPECT_EQ(folder.error().code, Code::InvalidArgument);
  EXPECT_THAT(folder.error().message, HasSubstr("is a folder"));
}

TEST_F(MappedFileTest, DoesNotWaitForAPipe) {
  ASSERT_EQ(::mkfifo(path_.c_str(), 0600), 0);
  const auto pipe = MappedFile::open(path_);
  ASSERT_FALSE(pipe.ok());
  EXPECT_EQ(pipe.error().code, Code::InvalidArgument);
}

TEST_F(MappedFileTest, ReadsRangesAndRefusesThoseOutside) {
  put("0123456789");
  const auto file = MappedFile::open(path_);
  ASSERT_TRUE(file.ok());
  std::array<std::byte, 4> out;
  ASSERT_TRUE((*file)->read_at(6, out).ok());
  EXPECT_EQ(out[0], std::byte{'6'});
  EXPECT_EQ(out[3], std::byte{'9'});
  EXPECT_FALSE((*file)->read_at(7, out).ok());
  EXPECT_FALSE((*file)->read_at(~std::uint64_t{0}, out).ok());
}

TEST_F(MappedFileTest, SaysWhenTheFileBecameShorter) {
  put("0123456789");
  const auto file = MappedFile::open(path_);
  ASSERT_TRUE(file.ok());
  std::filesystem::resize_file(path_, 3);
  std::array<std::byte, 4> out;
  const auto status = (*file)->read_at(4, out);
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error().code, Code::DataLoss);
}

TEST_F(MappedFileTest, BytesInMemoryReadLikeAFile) {
  const auto file = MappedFile::from_bytes("in memory", {std::byte{1}, std::byte{2}, std::byte{3}});
  EXPECT_EQ(file->path(), "in memory");
  EXPECT_EQ(file->size_bytes(), 3u);
  std::array<std::byte, 2> out;
  ASSERT_TRUE(file->read_at(1, out).ok());
  EXPECT_EQ(out[1], std::byte{3});
  EXPECT_FALSE(file->read_at(2, out).ok());
}

TEST_F(MappedFileTest, TextFilesHaveALimit) {
  put("0123456789");
  EXPECT_EQ(*read_text_file(path_, 10), "0123456789");
  const auto large = read_text_file(path_, 9);
  ASSERT_FALSE(large.ok());
  EXPECT_EQ(large.error().code, Code::ResourceExhausted);
}

}  // namespace
}  // namespace fourfold
