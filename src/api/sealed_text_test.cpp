#include "api/sealed_text.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "api/identifiers.h"
#include "base/base64.h"

namespace fourfold {
namespace {

std::string temporary_path() { return testing::TempDir() + random_id("fourfold-key-"); }

TEST(Sealer, GivesBackWhatItSealed) {
  const auto sealer = *Sealer::open("");
  for (const auto& text : {std::string(), std::string("thought"), std::string(100'000, 'a')}) {
    const auto sealed = sealer.seal(text);
    ASSERT_TRUE(sealed);
    EXPECT_EQ(sealer.open_sealed(*sealed), text);
  }
}

TEST(Sealer, KnowsWhatItDidNotSeal) {
  const auto sealer = *Sealer::open("");
  const auto sealed = *sealer.seal("thought");
  EXPECT_EQ(sealer.open_sealed(""), std::nullopt);
  EXPECT_EQ(sealer.open_sealed("c2tpcA=="), std::nullopt);
  EXPECT_EQ(sealer.open_sealed("not base64!"), std::nullopt);
  EXPECT_EQ(Sealer::open("")->open_sealed(sealed), std::nullopt);
  auto bytes = *from_base64(sealed);
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    auto changed = bytes;
    changed[i] = static_cast<char>(changed[i] ^ 1);
    EXPECT_EQ(sealer.open_sealed(to_base64(changed)), std::nullopt) << i;
    EXPECT_EQ(sealer.open_sealed(to_base64(bytes.substr(0, i))), std::nullopt) << i;
  }
}

TEST(Sealer, LeavesOutWhatIsTooLong) {
  const auto sealer = *Sealer::open("");
  const std::string text = random_id("", 1000);
  EXPECT_EQ(sealer.seal(text, 500), std::nullopt);
  const auto sealed = sealer.seal(text, 0);
  ASSERT_TRUE(sealed);
  EXPECT_EQ(sealer.open_sealed(*sealed), text);
}

TEST(Sealer, TheKeyInAFileOutlivesTheSealer) {
  const auto path = temporary_path();
  const auto sealed = *Sealer::open(path)->seal("summary");
  struct stat info = {};
  ASSERT_EQ(::stat(path.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600u);
  EXPECT_EQ(Sealer::open(path)->open_sealed(sealed), "summary");
  std::filesystem::remove(path);
}

TEST(Sealer, RefusesAFileThatHoldsNoKey) {
  const auto path = temporary_path();
  std::ofstream(path) << "short";
  const auto sealer = Sealer::open(path);
  ASSERT_FALSE(sealer.ok());
  EXPECT_EQ(sealer.error().code, Code::DataLoss);
  std::filesystem::remove(path);
  EXPECT_FALSE(Sealer::open(path + "/none/key").ok());
}

}  // namespace
}  // namespace fourfold
