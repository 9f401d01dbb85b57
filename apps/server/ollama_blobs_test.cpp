#include "server/ollama_blobs.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "base/sha256.h"

namespace fourfold {
namespace {

using testing::HasSubstr;
namespace fs = std::filesystem;

class OllamaBlobsTest : public testing::Test {
 protected:
  OllamaBlobsTest() : folder_(fs::path(testing::TempDir()) / "ollama_blobs_test") {
    fs::remove_all(folder_);
    fs::create_directories(folder_);
  }
  ~OllamaBlobsTest() override { fs::remove_all(folder_); }

  static std::string digest(std::string_view bytes) { return "sha256:" + sha256_hex(bytes); }

  const fs::path folder_;
  const OllamaBlobs blobs_{folder_.string()};
};

TEST_F(OllamaBlobsTest, AreFoundOnceTheyAreStored) {
  EXPECT_FALSE(blobs_.find(digest("abc"))->has_value());
  ASSERT_TRUE(blobs_.put(digest("abc"), "abc").ok());
  const auto found = blobs_.find(digest("abc"));
  ASSERT_TRUE(found.ok() && found->has_value());
  EXPECT_EQ(fs::file_size(**found), 3u);
}

TEST_F(OllamaBlobsTest, TakeAFileAway) {
  const auto path = folder_ / "upload";
  std::ofstream(path) << "abc";
  ASSERT_TRUE(blobs_.take_file(digest("abc"), path.string()).ok());
  EXPECT_FALSE(fs::exists(path));
  EXPECT_TRUE(blobs_.find(digest("abc"))->has_value());
}

TEST_F(OllamaBlobsTest, OfOtherBytesAreRefused) {
  const auto status = blobs_.put(digest("abc"), "abd");
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error().code, Code::InvalidArgument);
  EXPECT_THAT(status.error().message, HasSubstr("digest mismatch, expected \"" + digest("abc")));
  const auto path = folder_ / "upload";
  std::ofstream(path) << "abd";
  EXPECT_FALSE(blobs_.take_file(digest("abc"), path.string()).ok());
  EXPECT_FALSE(blobs_.find(digest("abc"))->has_value());
}

TEST_F(OllamaBlobsTest, HaveNoNameThatLeavesTheFolder) {
  for (const std::string& bad :
       {std::string("sha256:../../etc/passwd"), std::string("abc"),
        "sha256:" + std::string(64, 'A'), "sha1:" + std::string(64, 'a')}) {
    const auto path = blobs_.path_of(bad);
    ASSERT_FALSE(path.ok()) << bad;
    EXPECT_EQ(path.error().code, Code::InvalidArgument);
  }
}

TEST_F(OllamaBlobsTest, AreNotKeptWithoutAFolder) {
  EXPECT_EQ(OllamaBlobs("").find(digest("abc")).error().code, Code::FailedPrecondition);
}

}  // namespace
}  // namespace fourfold
