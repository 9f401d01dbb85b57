#include "server/traces.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>

#include "server/trace_file.h"

namespace fourfold {
namespace {

using testing::HasSubstr;
namespace fs = std::filesystem;

class TracesTest : public testing::Test {
 protected:
  TracesTest() { fs::remove_all(folder_); }
  ~TracesTest() override { fs::remove_all(folder_); }

  static Trace trace(const std::string& id) {
    Trace trace;
    trace.id = id;
    trace.prompt.ids = {2, 105};
    trace.prompt.text = "<bos><|turn>";
    trace.candidates.resize(1);
    return trace;
  }

  std::vector<std::string> names() const {
    std::vector<std::string> names;
    for (const auto& path : trace_files(folder_.string())) {
      names.push_back(fs::path(path).filename().string());
    }
    return names;
  }

  const fs::path folder_ = fs::path(testing::TempDir()) / "traces_test";
};

TEST_F(TracesTest, AreReadBackFromTheirFile) {
  Traces traces(folder_.string(), true);
  ASSERT_TRUE(traces.keep(trace("one")).ok());
  const auto path = (folder_ / "one.jsonl.zst").string();
  const auto read = read_trace_file(path);
  ASSERT_TRUE(read.ok()) << read.error().message;
  EXPECT_EQ(trace_text(*read), trace_text(trace("one")));
}

TEST_F(TracesTest, AreForNobodyElseToRead) {
  Traces traces(folder_.string(), true);
  ASSERT_TRUE(traces.keep(trace("one")).ok());
  struct stat file = {}, folder = {};
  ASSERT_EQ(stat((folder_ / "one.jsonl.zst").c_str(), &file), 0);
  ASSERT_EQ(stat(folder_.c_str(), &folder), 0);
  EXPECT_EQ(file.st_mode & 0777, 0600u);
  EXPECT_EQ(folder.st_mode & 0777, 0700u);
}

TEST_F(TracesTest, GiveWayToNewerOnes) {
  Traces unlimited(folder_.string(), true);
  ASSERT_TRUE(unlimited.keep(trace("1")).ok());
  const auto size = fs::file_size(folder_ / "1.jsonl.zst");
  Traces traces(folder_.string(), true, 2 * size + size / 2);
  for (const auto* id : {"2", "3", "4"}) ASSERT_TRUE(traces.keep(trace(id)).ok());
  EXPECT_THAT(names(), testing::ElementsAre("3.jsonl.zst", "4.jsonl.zst"));
}

TEST_F(TracesTest, LeaveOtherFilesAlone) {
  fs::create_directories(folder_);
  std::ofstream(folder_ / "notes.txt") << std::string(1000, 'x');
  Traces traces(folder_.string(), true, 1);
  ASSERT_TRUE(traces.keep(trace("1")).ok());
  EXPECT_TRUE(fs::exists(folder_ / "notes.txt"));
  EXPECT_EQ(names().size(), 1u) << "the newest stays";
}

TEST_F(TracesTest, OfDamagedFilesAreRefusedByTheirName) {
  fs::create_directories(folder_);
  const auto path = (folder_ / "bad.jsonl.zst").string();
  for (const auto* bytes : {"", "no zstd at all"}) {
    std::ofstream(path) << bytes;
    EXPECT_THAT(read_trace_file(path).error().message, HasSubstr("bad.jsonl.zst"));
  }
  Traces traces(folder_.string(), true);
  ASSERT_TRUE(traces.keep(trace("bad")).ok());
  fs::resize_file(path, fs::file_size(path) - 3);
  EXPECT_EQ(read_trace_file(path).error().code, Code::DataLoss);
}

}  // namespace
}  // namespace fourfold
