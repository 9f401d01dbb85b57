#include "server/keys.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <thread>

#include "base/sha256.h"

namespace fourfold {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::UnorderedElementsAre;

class KeysTest : public testing::Test {
 protected:
  KeysTest() {
    path_ = (std::filesystem::path(testing::TempDir()) / ("keys-" + std::to_string(::getpid())))
                .string();
  }
  ~KeysTest() override { std::filesystem::remove(path_); }

  void write(const std::string& text, ::mode_t mode = 0600) {
    std::ofstream(path_) << text;
    ::chmod(path_.c_str(), mode);
  }

  Result<std::unique_ptr<Keys>> load(const std::string& text) {
    write(text);
    return Keys::load(path_, notes_);
  }

  std::string path_;
  std::vector<std::string> notes_;
};

TEST_F(KeysTest, AreOneALine) {
  const auto keys = load("# staff\nsk-alpha\n\n  sk-beta\t\r\n");
  ASSERT_TRUE(keys.ok()) << keys.error().message;
  EXPECT_FALSE((*keys)->is_empty());
  ASSERT_TRUE((*keys)->find("sk-alpha"));
  EXPECT_EQ((*keys)->find("sk-alpha")->name, "key-1");
  EXPECT_THAT((*keys)->find("sk-beta")->scopes, ElementsAre(Scope::Generate, Scope::Files));
  for (const auto* wrong : {"", "sk-alph", "sk-alphaa", "SK-ALPHA", "# staff"}) {
    EXPECT_FALSE((*keys)->find(wrong)) << wrong;
  }
  EXPECT_THAT(notes_, IsEmpty());
}

TEST_F(KeysTest, AreTablesWithTheirRights) {
  const auto keys = load(R"(
[[key]]
name = "ci"
key = "sk-ci"
scopes = ["generate", "admin"]
requests_per_minute = 10
tokens_per_minute = 1000
parallel = 2
class = -1
models = ["gemma4:e4b"]

[[key]]
sha256 = ")" + sha256_hex("sk-hidden") +
                         "\"\n");
  ASSERT_TRUE(keys.ok()) << keys.error().message;
  const auto ci = (*keys)->find("sk-ci");
  ASSERT_TRUE(ci);
  EXPECT_EQ(ci->name, "ci");
  EXPECT_THAT(ci->scopes, ElementsAre(Scope::Generate, Scope::Admin));
  EXPECT_EQ(ci->requests_per_minute, 10);
  EXPECT_EQ(ci->tokens_per_minute, 1000);
  EXPECT_EQ(ci->parallel, 2);
  EXPECT_EQ(ci->priority, -1);
  EXPECT_THAT(ci->models, ElementsAre("gemma4:e4b"));
  ASSERT_TRUE((*keys)->find("sk-hidden"));
  EXPECT_EQ((*keys)->find("sk-hidden")->name, "key-2");
}

struct BadFile {
  const char* text;
  const char* message;
};

class BadKeyFiles : public KeysTest, public testing::WithParamInterface<BadFile> {};

TEST_P(BadKeyFiles, AreRefusedByTheirPlace) {
  const auto keys = load(GetParam().text);
  ASSERT_FALSE(keys.ok());
  EXPECT_THAT(keys.error().message, HasSubstr(path_));
  EXPECT_THAT(keys.error().message, HasSubstr(GetParam().message));
  EXPECT_THAT(keys.error().message, Not(HasSubstr("sk-secret")));
}

INSTANTIATE_TEST_SUITE_P(
    All, BadKeyFiles,
    testing::Values(
        BadFile{"", "no key in it"}, BadFile{"# nothing\n", "no key in it"},
        BadFile{"a\nsk-secret two\n", "line 2: a key holds printable ASCII"},
        BadFile{"sk-secret\nb\nsk-secret\n", "key-3: the same key stands there twice"},
        BadFile{"[[key]]\nkey = \"sk-secret\n", "line 2"},
        BadFile{"[[key]]\nname = \"a\"\n", "key 1: expected either key or sha256"},
        BadFile{"[[key]]\nkey = \"sk-secret\"\nsha256 = \"00\"\n", "expected either"},
        BadFile{"[[key]]\nsha256 = \"00\"\n", "sha256: expected 64 hexadecimal digits"},
        BadFile{"[[key]]\nkey = \"\"\n", "the key is empty"},
        BadFile{"[[key]]\nkey = 1\n", "key: expected a text"},
        BadFile{"[[key]]\nkey = \"a\"\nscopes = [\"all\"]\n", "scopes: \"all\" is none"},
        BadFile{"[[key]]\nkey = \"a\"\nscopes = \"files\"\n", "scopes: expected a list"},
        BadFile{"[[key]]\nkey = \"a\"\nparallel = 0\n", "parallel: expected a whole number from 1"},
        BadFile{"[[key]]\nkey = \"a\"\nclass = 2\n", "class: expected a whole number from -1 to 1"},
        BadFile{"[[key]]\nkey = \"a\"\nscope = []\n", "\"scope\" is no field of a key"},
        BadFile{"[[keys]]\nkey = \"a\"\n", "\"keys\": expected only [[key]]"},
        BadFile{"[[key]]\nname = \"a\"\nkey = \"a\"\n[[key]]\nname = \"a\"\nkey = \"b\"\n",
                "two keys have the name a"}));

TEST_F(KeysTest, OfAMissingFileAreAnError) {
  const auto keys = Keys::load("/no/such/file", notes_);
  ASSERT_FALSE(keys.ok());
  EXPECT_EQ(keys.error().code, Code::NotFound);
}

TEST_F(KeysTest, ThatOthersCanReadAreNoted) {
  write("sk-a\n", 0644);
  ASSERT_TRUE(Keys::load(path_, notes_).ok());
  EXPECT_THAT(notes_, ElementsAre(HasSubstr("other users can read the keys")));
}

TEST_F(KeysTest, StayWhenTheNewFileIsBroken) {
  const auto keys = load("sk-old\n");
  ASSERT_TRUE(keys.ok());
  ASSERT_TRUE((*keys)->add("environment", "sk-env").ok());
  const auto held = (*keys)->find("sk-old");
  write("[[key]]\nnonsense\n");
  EXPECT_FALSE((*keys)->reload().ok());
  EXPECT_TRUE((*keys)->find("sk-old"));
  write("sk-new\n");
  EXPECT_TRUE((*keys)->reload().ok());
  EXPECT_FALSE((*keys)->find("sk-old"));
  EXPECT_TRUE((*keys)->find("sk-new"));
  EXPECT_TRUE((*keys)->find("sk-env"));
  EXPECT_EQ(held->name, "key-1");  // of a request that still runs
}

TEST_F(KeysTest, LimitRequestsAMinute) {
  const auto keys = load("[[key]]\nkey = \"a\"\nrequests_per_minute = 3\n[[key]]\nkey = \"b\"\n");
  ASSERT_TRUE(keys.ok());
  const auto key = (*keys)->find("a");
  for (int i = 0; i < 3; ++i) EXPECT_TRUE((*keys)->admit(*key).ok());
  const auto refused = (*keys)->admit(*key);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, Code::ResourceExhausted);
  EXPECT_EQ(refused.error().reason(), "rate_limit_exceeded");
  EXPECT_THAT(refused.error().message, HasSubstr("3 requests a minute"));
  EXPECT_NEAR(refused.error().detail->retry_after_s, 20.0, 1.0);
  for (int i = 0; i < 100; ++i) EXPECT_TRUE((*keys)->admit(*(*keys)->find("b")).ok());
}

TEST_F(KeysTest, ComeBackAsTimePasses) {
  const auto keys = load("[[key]]\nkey = \"a\"\nrequests_per_minute = 1200\n");
  ASSERT_TRUE(keys.ok());
  const auto key = (*keys)->find("a");
  for (int i = 0; i < 1200; ++i) (void)(*keys)->admit(*key);
  while ((*keys)->admit(*key).ok()) {
  }
  std::this_thread::sleep_for(std::chrono::milliseconds(120));  // 2 more
  EXPECT_TRUE((*keys)->admit(*key).ok());
}

TEST_F(KeysTest, LimitTokensAMinuteAfterTheFact) {
  const auto keys = load("[[key]]\nkey = \"a\"\ntokens_per_minute = 600\n");
  ASSERT_TRUE(keys.ok());
  const auto key = (*keys)->find("a");
  ASSERT_TRUE((*keys)->admit(*key).ok());
  (*keys)->count_tokens(*key, 900);  // 300 more than there were
  const auto refused = (*keys)->admit(*key);
  ASSERT_FALSE(refused.ok());
  EXPECT_THAT(refused.error().message, HasSubstr("600 tokens a minute"));
  EXPECT_NEAR(refused.error().detail->retry_after_s, 30.0, 1.0);
}

TEST_F(KeysTest, LimitParallelRequests) {
  const auto keys = load("[[key]]\nkey = \"a\"\nparallel = 2\n");
  ASSERT_TRUE(keys.ok());
  const auto key = (*keys)->find("a");
  ASSERT_TRUE((*keys)->admit(*key).ok());
  ASSERT_TRUE((*keys)->admit(*key).ok());
  const auto refused = (*keys)->admit(*key);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().reason(), "rate_limit_exceeded");
  (*keys)->leave(*key);
  EXPECT_TRUE((*keys)->admit(*key).ok());
}

TEST(NoKeys, AreEmpty) {
  Keys keys;
  EXPECT_TRUE(keys.is_empty());
  EXPECT_FALSE(keys.find("a"));
  EXPECT_TRUE(keys.reload().ok());
  EXPECT_FALSE(keys.add("environment", "").ok());
  EXPECT_FALSE(keys.add("environment", "two words").ok());
  EXPECT_TRUE(keys.is_empty());
  EXPECT_TRUE(keys.add("environment", "sk-env").ok());
  EXPECT_FALSE(keys.is_empty());
  EXPECT_THAT(keys.digests(), testing::SizeIs(1));
}

TEST(EnvironmentKey, IsTakenOnce) {
  ::setenv("FOURFOLD_API_KEY", " sk-env ", 1);
  const char* place = std::getenv("FOURFOLD_API_KEY");
  EXPECT_EQ(take_key_from_environment(), "sk-env");
  EXPECT_STREQ(place, "");
  EXPECT_EQ(std::getenv("FOURFOLD_API_KEY"), nullptr);
  EXPECT_EQ(take_key_from_environment(), std::nullopt);
  ::setenv("FOURFOLD_API_KEY", "", 1);
  EXPECT_EQ(take_key_from_environment(), std::nullopt);
}

struct Presented {
  HeaderList headers;
  std::multimap<std::string, std::string> query;
  std::vector<std::string> keys;
};

class PresentedKeys : public testing::TestWithParam<Presented> {};

TEST_P(PresentedKeys, AreFoundWhereverTheyAre) {
  const RequestHead head = {.headers = GetParam().headers};
  const RouteMatch match = {.query = GetParam().query};
  EXPECT_EQ(presented_keys(head, match), GetParam().keys);
}

INSTANTIATE_TEST_SUITE_P(
    Places, PresentedKeys,
    testing::Values(Presented{}, Presented{{{"x-goog-api-key", "k"}}, {}, {"k"}},
                    Presented{{{"x-goog-api-key", ""}}, {}, {}},
                    Presented{{{"x-goog-api-key", ""}, {"authorization", "Bearer k"}}, {}, {"k"}},
                    Presented{{}, {{"key", "k"}}, {"k"}}, Presented{{}, {{"key", ""}}, {}},
                    Presented{{{"authorization", "bEaReR  k "}}, {}, {"k"}},
                    Presented{{{"authorization", "Basic k"}}, {}, {}},
                    Presented{{{"authorization", "Bearer"}}, {}, {}},
                    Presented{{{"x-api-key", "k"}}, {}, {"k"}},
                    Presented{{{"api-key", "k"}}, {}, {"k"}},
                    Presented{{{"x-api-key", "b"}, {"x-goog-api-key", "a"}}, {}, {"a", "b"}}));

}  // namespace
}  // namespace fourfold
