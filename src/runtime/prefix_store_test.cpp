#include "runtime/prefix_store.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <csignal>
#include <filesystem>
#include <fstream>

#include "formats/test_files.h"
#include "runtime/fake_step_model.h"
#include "runtime/id_cache.h"

namespace fourfold {
namespace {

namespace fs = std::filesystem;

class PrefixStoreTest : public testing::Test {
 protected:
  PrefixStoreTest() {
    options_.folder = (fs::path(folder_.file("store"))).string();
    options_.fingerprint = "a model";
    options_.least_tokens = 10;
    options_.warn = [this](const std::string& message) { warnings_.push_back(message); };
  }

  PrefixStore& store() {
    if (!store_) store_ = std::make_unique<PrefixStore>(options_, plan_, usage_);
    return *store_;
  }
  // As after a restart.
  PrefixStore& reopened() {
    store_.reset();
    return store();
  }
  bool add(const std::vector<PositionKey>& ids) {
    const bool taken = store().add({ids, id_cache(plan_, usage_, ids), true});
    while (store().finish_one()) {
    }
    return taken;
  }
  std::vector<fs::path> files() const {
    std::vector<fs::path> paths;
    for (const auto& entry : fs::directory_iterator(options_.folder)) paths.push_back(entry.path());
    return paths;
  }
  // Writes ids, changes their file, and expects that it is not used but removed.
  void expect_rejected(const std::function<void(const fs::path&)>& damage) {
    const auto ids = some_ids(0, 150);
    ASSERT_TRUE(add(ids));
    store_.reset();
    ASSERT_EQ(files().size(), 1u);
    damage(files()[0]);
    EXPECT_FALSE(store().load(ids));
    EXPECT_EQ(store().stats().n_rejected, 1u);
    EXPECT_EQ(store().find(ids), 0);
    EXPECT_TRUE(files().empty());
    store_.reset();
  }

  testing_files::TempFolder folder_;
  std::shared_ptr<const KvPlan> plan_ = fake_plan();
  std::shared_ptr<KvUsage> usage_ = std::make_shared<KvUsage>(0);
  PrefixStoreOptions options_;
  std::vector<std::string> warnings_;
  std::unique_ptr<PrefixStore> store_;
};

TEST_F(PrefixStoreTest, BringsPrefixesBackAfterARestart) {
  const auto ids = some_ids(0, 150);
  EXPECT_FALSE(store().load(ids));
  ASSERT_TRUE(add(ids));
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(store().find(ids + some_ids(900, 5)), 150);
    auto cache = store().load(ids + some_ids(900, 5));
    ASSERT_TRUE(cache);
    EXPECT_TRUE(holds_ids(*cache, ids));
    append_ids(*cache, some_ids(900, 100));
    EXPECT_TRUE(holds_ids(*cache, ids + some_ids(900, 100)));
    reopened();
  }
  EXPECT_EQ(store().stats().n_files, 1u);
  EXPECT_EQ(store().stats().n_rejected, 0u);
  EXPECT_EQ(*usage_, 0);
  EXPECT_TRUE(warnings_.empty());
}

TEST_F(PrefixStoreTest, RewindsAsFarAsTheRingsReachAndNoFurther) {
  ASSERT_TRUE(add(some_ids(0, 150)));
  reopened();
  EXPECT_EQ(store().find(some_ids(0, 124) + some_ids(900, 5)), 0);
  const auto cache = store().load(some_ids(0, 125) + some_ids(900, 5));
  ASSERT_TRUE(cache);
  EXPECT_TRUE(holds_ids(*cache, some_ids(0, 125)));
}

TEST_F(PrefixStoreTest, FindsTheLongestOne) {
  ASSERT_TRUE(add(some_ids(0, 50)));
  ASSERT_TRUE(add(some_ids(0, 300)));
  ASSERT_TRUE(add(some_ids(0, 100)));
  EXPECT_EQ(store().find(some_ids(0, 400)), 300);
  EXPECT_EQ(store().find(some_ids(0, 200)), 100);
  EXPECT_EQ(store().find(some_ids(1, 200)), 0);
}

TEST_F(PrefixStoreTest, KeepsFilesPrivate) {
  ASSERT_TRUE(add(some_ids(0, 50)));
  ASSERT_EQ(files().size(), 1u);
  struct stat info = {};
  ASSERT_EQ(::stat(files()[0].c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600u);
  ASSERT_EQ(::stat(options_.folder.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0700u);
}

TEST_F(PrefixStoreTest, NeverUsesADamagedFile) {
  ASSERT_TRUE(add(some_ids(0, 150)));
  store_.reset();
  const auto size = fs::file_size(files()[0]);
  fs::remove(files()[0]);
  for (std::uint64_t offset = 0; offset < size; offset += offset < 1000 ? 31 : 397) {
    SCOPED_TRACE(offset);
    expect_rejected([&](const fs::path& path) {
      std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
      file.seekg(static_cast<std::streamoff>(offset));
      const int byte = file.get();
      file.seekp(static_cast<std::streamoff>(offset));
      file.put(static_cast<char>(byte ^ 4));
    });
  }
  for (const std::uint64_t length : {std::uint64_t{0}, std::uint64_t{7}, std::uint64_t{15},
                                     std::uint64_t{100}, size / 2, size - 8, size - 1, size + 1}) {
    SCOPED_TRACE(length);
    expect_rejected([&](const fs::path& path) { fs::resize_file(path, length); });
  }
  expect_rejected([](const fs::path& path) {
    std::ofstream(path, std::ios::binary) << std::string(5000, 'x');
  });
}

TEST_F(PrefixStoreTest, ChecksEveryMegabyteOfLargeFiles) {
  KvPlan plan = *fake_plan();
  for (KvLayerPlan& layer : plan.layers) layer.layout.channels = 2000;
  plan_ = std::make_shared<const KvPlan>(plan);
  const auto ids = some_ids(0, 150);
  ASSERT_TRUE(add(ids));
  reopened();
  auto cache = store().load(ids);
  ASSERT_TRUE(cache);
  EXPECT_TRUE(holds_ids(*cache, ids));
  const auto path = files()[0];
  const auto size = fs::file_size(path);
  ASSERT_GT(size, 3u << 20);
  cache.reset();
  store_.reset();
  fs::remove(path);
  for (const std::uint64_t offset : {size / 3, 2 * size / 3, size - 9, size - 1}) {
    expect_rejected([&](const fs::path& damaged) {
      std::fstream file(damaged, std::ios::in | std::ios::out | std::ios::binary);
      file.seekp(static_cast<std::streamoff>(offset));
      file.put('x');
      file.seekp(static_cast<std::streamoff>(offset - 100));
      file.put('y');
    });
  }
}

TEST_F(PrefixStoreTest, NoticesDamageThatComesWhileItIsOpen) {
  const auto ids = some_ids(0, 150);
  ASSERT_TRUE(add(ids));
  fs::resize_file(files()[0], fs::file_size(files()[0]) / 2);
  EXPECT_EQ(store().find(ids), 150);
  EXPECT_FALSE(store().load(ids));
  EXPECT_EQ(store().find(ids), 0);
  EXPECT_EQ(store().stats().n_rejected, 1u);
  ASSERT_TRUE(add(ids));
  fs::remove(files()[0]);
  EXPECT_FALSE(store().load(ids));
  ASSERT_TRUE(add(ids));
  EXPECT_TRUE(store().load(ids));
}

TEST_F(PrefixStoreTest, RemovesWhatBelongsToAnotherModelOrCache) {
  const auto ids = some_ids(0, 150);
  ASSERT_TRUE(add(ids));
  store_.reset();
  options_.fingerprint = "another model";
  EXPECT_FALSE(store().load(ids));
  EXPECT_EQ(store().stats().n_rejected, 1u);
  EXPECT_TRUE(files().empty());

  ASSERT_TRUE(add(ids));
  store_.reset();
  KvPlan plan = *fake_plan();
  plan.layers[0].layout.type = KvType::BF16;
  plan_ = std::make_shared<const KvPlan>(plan);
  EXPECT_FALSE(store().load(ids));
  EXPECT_EQ(store().stats().n_rejected, 1u);
}

TEST_F(PrefixStoreTest, ClearsAwayWhatACrashLeft) {
  ASSERT_TRUE(add(some_ids(0, 150)));
  store_.reset();
  const auto whole = files()[0].string();
  // A process that was killed while it wrote; no process has this number.
  fs::copy_file(whole, whole + ".tmp-99999999");
  fs::resize_file(whole + ".tmp-99999999", 1000);
  std::ofstream(fs::path(options_.folder) / "notes.txt") << "of somebody else";
  EXPECT_EQ(store().find(some_ids(0, 150)), 150);
  EXPECT_EQ(files().size(), 2u);
  EXPECT_TRUE(fs::exists(fs::path(options_.folder) / "notes.txt"));
  EXPECT_EQ(store().stats().n_rejected, 0u);
}

TEST_F(PrefixStoreTest, KeepsToItsLimitAndLetsTheOldestGo) {
  ASSERT_TRUE(add(some_ids(0, 150)));
  const std::uint64_t size = store().stats().size_bytes;
  EXPECT_EQ(size, fs::file_size(files()[0]));
  store_.reset();
  options_.limit_bytes = 3 * size + size / 2;
  for (const int first : {200, 400}) ASSERT_TRUE(add(some_ids(first, 150)));
  EXPECT_TRUE(store().load(some_ids(0, 150)));  // the first one is used again
  ASSERT_TRUE(add(some_ids(600, 150)));
  EXPECT_EQ(files().size(), 3u);
  EXPECT_EQ(store().find(some_ids(200, 150)), 0);
  EXPECT_EQ(store().find(some_ids(0, 150)), 150);
  store_.reset();
  options_.limit_bytes = size;
  EXPECT_EQ(store().stats().n_files, 1u);
  EXPECT_EQ(files().size(), 1u);
}

TEST_F(PrefixStoreTest, TakesNothingShortAndNoLongQueue) {
  options_.least_tokens = 100;
  EXPECT_FALSE(add(some_ids(0, 99)));
  EXPECT_TRUE(add(some_ids(0, 100)));
  store_.reset();
  options_.backlog_bytes = 0;
  int n_taken = 0;
  for (int i = 0; i < 50; ++i) {
    n_taken += store().add({some_ids(i, 1000), id_cache(plan_, usage_, some_ids(i, 1000)), true});
  }
  EXPECT_GT(n_taken, 0);
  EXPECT_LT(n_taken, 50);
}

TEST_F(PrefixStoreTest, WarnsOnceOfAFullDiskAndGoesOnWithWhatItHas) {
  const auto ids = some_ids(0, 50);
  ASSERT_TRUE(add(ids));
  rlimit before = {};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
  const auto old_handler = std::signal(SIGXFSZ, SIG_IGN);
  const rlimit small = {.rlim_cur = 2000, .rlim_max = before.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &small), 0);
  EXPECT_TRUE(add(some_ids(300, 150)));
  ::setrlimit(RLIMIT_FSIZE, &before);
  std::signal(SIGXFSZ, old_handler);
  EXPECT_EQ(warnings_.size(), 1u);
  EXPECT_FALSE(add(some_ids(600, 150)));
  EXPECT_EQ(warnings_.size(), 1u);
  EXPECT_EQ(files().size(), 1u);  // nothing half-written
  EXPECT_EQ(store().find(some_ids(300, 150)), 0);
  EXPECT_TRUE(store().load(ids));
}

TEST_F(PrefixStoreTest, SaysThatItsFolderCannotBeMade) {
  std::ofstream(options_.folder) << "a file";
  EXPECT_FALSE(add(some_ids(0, 50)));
  EXPECT_EQ(warnings_.size(), 1u);
  EXPECT_FALSE(store().load(some_ids(0, 50)));
}

}  // namespace
}  // namespace fourfold
