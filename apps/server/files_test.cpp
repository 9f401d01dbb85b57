#include "server/files.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "api/identifiers.h"

namespace fourfold {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::MatchesRegex;
using testing::SizeIs;

class FilesTest : public testing::Test {
 protected:
  FilesTest() { fs::create_directories(folder_); }
  ~FilesTest() override { fs::remove_all(folder_); }

  std::unique_ptr<Files> open(std::uint64_t most_file_bytes = 1000,
                              std::uint64_t most_stored_bytes = 2000) {
    auto files = Files::open(FilesOptions{.folder = folder_,
                                          .most_file_bytes = most_file_bytes,
                                          .most_stored_bytes = most_stored_bytes,
                                          .lifetime_s = 100,
                                          .session_lifetime_s = 10,
                                          .now_s = [this] { return now_s_; }});
    EXPECT_TRUE(files.ok());
    return std::move(files).value();
  }

  Files::File upload(Files& files, std::string_view bytes, const std::string& id = "") {
    const auto session = files.begin_upload({.id = id, .display_name = "a.txt"});
    EXPECT_TRUE(session.ok());
    const auto received = files.take_chunk(*session, 0, {.path = "", .bytes = bytes}, true);
    EXPECT_TRUE(received.ok()) << received.error().message;
    return *received->file;
  }

  std::size_t n_blobs() const {
    const fs::directory_iterator begin(folder_ + "/blobs");
    return static_cast<std::size_t>(std::distance(begin, fs::directory_iterator()));
  }

  const std::string folder_ = testing::TempDir() + random_id("fourfold-files-");
  std::int64_t now_s_ = 1000;
};

TEST_F(FilesTest, TakesAFileInChunks) {
  const auto files = open();
  const auto session = *files->begin_upload({.mime = "text/x-a", .size_bytes = 6});
  EXPECT_EQ(files->take_chunk(session, 0, {.path = "", .bytes = "abc"}, false)->n_bytes, 3u);
  EXPECT_EQ(files->received(session)->n_bytes, 3u);
  EXPECT_FALSE(files->received(session)->file);
  const auto last = files->take_chunk(session, 3, {.path = "", .bytes = "def"}, true);
  ASSERT_TRUE(last.ok() && last->file) << last.error().message;
  EXPECT_THAT(last->file->id, MatchesRegex("[a-z0-9]+"));
  EXPECT_EQ(last->file->sha256, "bef57ec7f53a6d40beb640a780a639c83bc29ac8a9816f1fc6c5c6dcd93c4721");
  EXPECT_EQ(last->file->expires_s, 1100);
  const auto stored = files->load(last->file->id);
  EXPECT_EQ(stored->bytes, "abcdef");
  EXPECT_EQ(stored->mime, "text/x-a");
  // It is mapped: whoever has it keeps it.
  EXPECT_TRUE(files->remove(last->file->id).ok());
  EXPECT_EQ(stored->bytes, "abcdef");
}

TEST_F(FilesTest, TakesAChunkFromAFile) {
  const auto files = open();
  const std::string path = folder_ + "/chunk";
  std::ofstream(path) << "hello";
  const auto session = *files->begin_upload({});
  const auto received = files->take_chunk(session, 0, {.path = path, .bytes = {}}, true);
  ASSERT_TRUE(received.ok() && received->file);
  EXPECT_EQ(files->load(received->file->id)->bytes, "hello");
  EXPECT_EQ(received->file->mime, "text/plain");
}

TEST_F(FilesTest, PassesOverWhatCameBefore) {
  const auto files = open();
  const auto session = *files->begin_upload({});
  ASSERT_TRUE(files->take_chunk(session, 0, {.path = "", .bytes = "abc"}, false).ok());
  EXPECT_EQ(files->take_chunk(session, 0, {.path = "", .bytes = "abc"}, false)->n_bytes, 3u);
  const auto last = files->take_chunk(session, 2, {.path = "", .bytes = "cde"}, true);
  ASSERT_TRUE(last.ok() && last->file);
  // Its answer was lost on the way.
  const auto again = files->take_chunk(session, 2, {.path = "", .bytes = "cde"}, true);
  ASSERT_TRUE(again.ok() && again->file);
  EXPECT_EQ(again->file->id, last->file->id);
  EXPECT_EQ(files->load(last->file->id)->bytes, "abcde");
  EXPECT_THAT(files->list(), SizeIs(1));
}

TEST_F(FilesTest, RefusesAGapAndASizeThatIsNotTheOneSaid) {
  const auto files = open();
  const auto session = *files->begin_upload({.size_bytes = 5});
  const auto gap = files->take_chunk(session, 1, {.path = "", .bytes = "abc"}, false);
  ASSERT_FALSE(gap.ok());
  EXPECT_EQ(gap.error().code, Code::OutOfRange);
  const auto early = files->take_chunk(session, 0, {.path = "", .bytes = "abc"}, true);
  ASSERT_FALSE(early.ok());
  EXPECT_EQ(early.error().message, "3 bytes have come (expected 5)");
  EXPECT_TRUE(files->take_chunk(session, 3, {.path = "", .bytes = "de"}, true).ok());
}

TEST_F(FilesTest, AnEmptyFileIsAFile) {
  const auto files = open();
  const auto file = upload(*files, "");
  EXPECT_EQ(file.size_bytes, 0u);
  EXPECT_EQ(files->load(file.id)->bytes, "");
}

TEST_F(FilesTest, ChosenNamesAreCheckedAndTaken) {
  const auto files = open();
  EXPECT_EQ(upload(*files, "x", "my-file-1").id, "my-file-1");
  const auto twice = files->begin_upload({.id = "my-file-1"});
  ASSERT_FALSE(twice.ok());
  EXPECT_EQ(twice.error().code, Code::AlreadyExists);
  for (const std::string id : {"A", "a_b", "-a", "a-", "../x"}) {
    const auto bad = files->begin_upload({.id = id});
    ASSERT_FALSE(bad.ok()) << id;
    EXPECT_EQ(bad.error().code, Code::InvalidArgument);
  }
  EXPECT_FALSE(files->begin_upload({.id = std::string(41, 'a')}).ok());
}

TEST_F(FilesTest, EqualContentsAreKeptOnce) {
  const auto files = open();
  const auto first = upload(*files, "same"), second = upload(*files, "same");
  EXPECT_NE(first.id, second.id);
  EXPECT_EQ(n_blobs(), 1u);
  ASSERT_TRUE(files->remove(first.id).ok());
  EXPECT_EQ(files->load(second.id)->bytes, "same");
  ASSERT_TRUE(files->remove(second.id).ok());
  EXPECT_EQ(n_blobs(), 0u);
  const auto gone = files->remove(second.id);
  ASSERT_FALSE(gone.ok());
  EXPECT_EQ(gone.error().code, Code::NotFound);
}

TEST_F(FilesTest, ExpireWithTheirContents) {
  const auto files = open();
  const auto file = upload(*files, "x");
  now_s_ += 99;
  EXPECT_TRUE(files->find(file.id).ok());
  now_s_ += 1;
  EXPECT_EQ(files->find(file.id).error().code, Code::NotFound);
  EXPECT_THAT(files->list(), IsEmpty());
  EXPECT_EQ(n_blobs(), 0u);
}

TEST_F(FilesTest, SessionsExpireAndCanBeCancelled) {
  const auto files = open();
  const auto session = *files->begin_upload({});
  ASSERT_TRUE(files->take_chunk(session, 0, {.path = "", .bytes = "abc"}, false).ok());
  ASSERT_TRUE(files->cancel_upload(session).ok());
  EXPECT_EQ(files->received(session).error().code, Code::NotFound);
  const auto second = *files->begin_upload({});
  now_s_ += 10;
  EXPECT_EQ(files->take_chunk(second, 0, {.path = "", .bytes = "abc"}, false).error().code,
            Code::NotFound);
  EXPECT_FALSE(files->cancel_upload("none").ok());
}

TEST_F(FilesTest, HaveLimits) {
  const auto files = open(10, 15);
  EXPECT_EQ(files->begin_upload({.size_bytes = 11}).error().reason(), "body_too_large");
  const auto session = *files->begin_upload({});
  const auto large =
      files->take_chunk(session, 0, {.path = "", .bytes = std::string(11, 'a')}, true);
  ASSERT_FALSE(large.ok());
  EXPECT_EQ(large.error().reason(), "body_too_large");
  upload(*files, "0123456789");
  EXPECT_EQ(files->begin_upload({.size_bytes = 6}).error().code, Code::ResourceExhausted);
  const auto second = *files->begin_upload({});
  EXPECT_EQ(files->take_chunk(second, 0, {.path = "", .bytes = "abcdef"}, true).error().code,
            Code::ResourceExhausted);
  EXPECT_TRUE(files->take_chunk(second, 0, {.path = "", .bytes = "abc"}, true).ok());
}

TEST_F(FilesTest, SurviveARestart) {
  std::string id, lost;
  {
    const auto files = open();
    id = upload(*files, "kept").id;
    lost = upload(*files, "lost").id;
    const auto session = *files->begin_upload({});
    ASSERT_TRUE(files->take_chunk(session, 0, {.path = "", .bytes = "half"}, false).ok());
    fs::remove(*files->path_of(lost));
  }
  std::ofstream(folder_ + "/blobs/stranger") << "x";
  const auto files = open();
  EXPECT_EQ(files->load(id)->bytes, "kept");
  EXPECT_EQ(files->find(id)->display_name, "a.txt");
  EXPECT_FALSE(files->find(lost).ok());
  EXPECT_EQ(n_blobs(), 1u);
  EXPECT_TRUE(fs::is_empty(folder_ + "/uploads"));
}

TEST_F(FilesTest, AnIndexThatCannotBeReadIsNoReasonToStop) {
  fs::create_directories(folder_);
  std::ofstream(folder_ + "/index.json") << "[{\"id\":\"../../x\",\"sha256\":\"y\"},7";
  const auto files = open();
  EXPECT_THAT(files->list(), IsEmpty());
}

TEST(TemporaryFiles, GoWithTheServer) {
  std::string path;
  {
    const auto opened = Files::open(FilesOptions{});
    const auto& files = *opened;
    const auto session = *files->begin_upload({});
    const auto received = files->take_chunk(session, 0, {.path = "", .bytes = "x"}, true);
    path = *files->path_of(received->file->id);
    EXPECT_TRUE(fs::exists(path));
  }
  EXPECT_FALSE(fs::exists(path));
}

}  // namespace
}  // namespace fourfold
