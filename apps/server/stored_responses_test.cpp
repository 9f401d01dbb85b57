#include "server/stored_responses.h"

#include <gtest/gtest.h>

namespace fourfold {
namespace {

JsonValue item(const std::string& id) {
  return JsonValue::object({{"id", JsonValue::of(id)}, {"type", JsonValue::of("message")}});
}

JsonValue response(const std::string& id) {
  return JsonValue::object(
      {{"id", JsonValue::of(id)}, {"output", JsonValue::array({item("msg_of_" + id)})}});
}

TEST(StoredResponses, KeepsTheConversationWithItsAnswer) {
  StoredResponses responses(8, 1 << 20);
  responses.put("ann", response("resp_1"), {item("in_1")});
  EXPECT_EQ(responses.find("ann", "resp_1"), response("resp_1"));
  const auto items = responses.find_items("ann", "resp_1");
  ASSERT_TRUE(items);
  ASSERT_EQ(items->size(), 2u);
  EXPECT_EQ((*items)[1], item("msg_of_resp_1"));
  EXPECT_EQ(responses.find_item("ann", "msg_of_resp_1"), item("msg_of_resp_1"));
  EXPECT_FALSE(responses.find("ann", "resp_2"));
  EXPECT_FALSE(responses.find_items("ann", "resp_2"));
  EXPECT_FALSE(responses.find_item("ann", "msg_of_resp_2"));
}

TEST(StoredResponses, ShowsNothingToOthers) {
  StoredResponses responses(8, 1 << 20);
  responses.put("ann", response("resp_1"), {});
  EXPECT_FALSE(responses.find("bob", "resp_1"));
  EXPECT_FALSE(responses.find_items("bob", "resp_1"));
  EXPECT_FALSE(responses.find_item("bob", "msg_of_resp_1"));
  EXPECT_FALSE(responses.remove("bob", "resp_1"));
  EXPECT_TRUE(responses.remove("ann", "resp_1"));
  EXPECT_FALSE(responses.remove("ann", "resp_1"));
}

TEST(StoredResponses, ForgetsTheOldest) {
  StoredResponses responses(2, 1 << 20);
  for (const auto* id : {"1", "2", "3"}) responses.put("", response(id), {});
  EXPECT_FALSE(responses.find("", "1"));
  EXPECT_TRUE(responses.find("", "2"));
  EXPECT_TRUE(responses.find("", "3"));
}

TEST(StoredResponses, HoldsOnlySoManyBytes) {
  StoredResponses responses(100, 4096);
  JsonValue large = response("large");
  large.set("text", JsonValue::of(std::string(3000, 'x')));
  responses.put("", response("small"), {});
  responses.put("", large, {});
  EXPECT_FALSE(responses.find("", "small"));
  EXPECT_TRUE(responses.find("", "large"));
  large.set("text", JsonValue::of(std::string(5000, 'x')));
  responses.put("", large, {});
  EXPECT_FALSE(responses.find("", "large"));
}

TEST(StoredResponses, CancelsWhatIsBeingMade) {
  StoredResponses responses(8, 1 << 20);
  {
    const StoredResponses::Running running(responses, "ann", "resp_1");
    EXPECT_FALSE(responses.cancel("bob", "resp_1"));
    EXPECT_FALSE(running.cancelled().stop_requested());
    EXPECT_TRUE(responses.cancel("ann", "resp_1"));
    EXPECT_TRUE(running.cancelled().stop_requested());
  }
  EXPECT_FALSE(responses.cancel("ann", "resp_1"));
}

}  // namespace
}  // namespace fourfold
