#include "server/caches.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace fourfold {
namespace {

using testing::IsEmpty;
using testing::SizeIs;

class CachesTest : public testing::Test {
 protected:
  CachesTest() {
    std::vector<std::string> notes;
    models_ = std::move(Models::find_all({}, notes)).value();
    caches_ = std::make_unique<Caches>(*models_, [this] { return now_s_; });
  }

  CachedContent add(std::int64_t lifetime_s) {
    CachedContent content;
    content.model = "gemma";
    content.display_name = "rules";
    content.n_tokens = 7;
    return caches_->add(std::move(content), lifetime_s);
  }

  std::int64_t now_s_ = 1000;
  std::unique_ptr<Models> models_;
  std::unique_ptr<Caches> caches_;
};

TEST_F(CachesTest, AContentHasAnIdAndItsTimes) {
  const auto content = add(60);
  EXPECT_THAT(content.id, testing::MatchesRegex("[a-z0-9]+"));
  EXPECT_EQ(content.created_s, 1000);
  EXPECT_EQ(content.expires_s, 1060);
  const auto found = caches_->find(content.id);
  ASSERT_TRUE(found.ok());
  EXPECT_EQ(found->display_name, "rules");
  EXPECT_EQ(found->n_tokens, 7);
}

TEST_F(CachesTest, ExpiresUnlessItsTimeIsChanged) {
  const auto first = add(60), second = add(60);
  EXPECT_NE(first.id, second.id);
  now_s_ += 10;
  const auto changed = caches_->set_expiry(first.id, 1100);
  ASSERT_TRUE(changed.ok());
  EXPECT_EQ(changed->expires_s, 1100);
  EXPECT_EQ(changed->updated_s, 1010);
  now_s_ = 1060;
  EXPECT_EQ(caches_->find(second.id).error().code, Code::NotFound);
  EXPECT_THAT(caches_->list(), SizeIs(1));
  now_s_ = 1100;
  EXPECT_FALSE(caches_->set_expiry(first.id, 2000).ok());
  EXPECT_THAT(caches_->list(), IsEmpty());
}

TEST_F(CachesTest, IsGoneWhenItIsRemoved) {
  const auto content = add(60);
  ASSERT_TRUE(caches_->remove(content.id).ok());
  for (const auto& gone : {caches_->remove(content.id), caches_->remove("none")}) {
    ASSERT_FALSE(gone.ok());
    EXPECT_EQ(gone.error().code, Code::NotFound);
  }
}

}  // namespace
}  // namespace fourfold
