#include "api/sampling.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "api/thinking.h"

namespace fourfold {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

TEST(Sampling, ReadsWhatIsThere) {
  const auto json = *parse_json_value(
      R"({"t":0,"k":40.0,"seed":-1,"a":100,"b":7,"stop":["x","","y"],"bias":{"5":-100,"7":1.5}})");
  const Field body(&json, "");
  SamplingChoice choice;
  ASSERT_TRUE(read_number(body["t"], 0.0, 2.0, choice.temperature).ok());
  ASSERT_TRUE(read_number(body["none"], 0.0, 2.0, choice.top_p).ok());
  ASSERT_TRUE(read_integer(body["k"], 0, 100, choice.top_k).ok());
  ASSERT_TRUE(read_seed(body["seed"], choice.seed).ok());
  ASSERT_TRUE(read_max_tokens(body["a"], choice.max_tokens).ok());
  ASSERT_TRUE(read_max_tokens(body["b"], choice.max_tokens).ok());
  ASSERT_TRUE(read_max_tokens(body["a"], choice.max_tokens).ok());
  ASSERT_TRUE(read_stop(body["stop"], 3, choice.stop).ok());
  ASSERT_TRUE(read_logit_bias(body["bias"], choice.logit_bias).ok());
  EXPECT_EQ(choice.temperature, 0.0f);
  EXPECT_EQ(choice.top_p, std::nullopt);
  EXPECT_EQ(choice.top_k, 40);
  EXPECT_EQ(choice.seed, UINT64_MAX);
  EXPECT_EQ(choice.max_tokens, 7);
  EXPECT_THAT(choice.stop, ElementsAre("x", "y"));
  ASSERT_EQ(choice.logit_bias.size(), 2u);
  EXPECT_EQ(choice.logit_bias[1].id, 7);
  EXPECT_EQ(choice.logit_bias[1].bias, 1.5f);
}

TEST(Sampling, RefusesWhatIsOutOfRange) {
  const auto json = *parse_json_value(
      R"({"t":2.5,"k":"x","max":0,"stop":["a","b"],"bias":{"x":1},"far":{"1":101},"list":[]})");
  const Field body(&json, "");
  SamplingChoice choice;
  const std::pair<Status, const char*> rows[] = {
      {read_number(body["t"], 0.0, 2.0, choice.temperature), "t: 2.5 is out of range"},
      {read_integer(body["k"], 0, 100, choice.top_k), "k: expected an integer"},
      {read_max_tokens(body["max"], choice.max_tokens), "max: 0 is out of range"},
      {read_stop(body["stop"], 1, choice.stop), "stop: 2 texts (expected at most 1)"},
      {read_logit_bias(body["bias"], choice.logit_bias), "bias: \"x\" is no token id"},
      {read_logit_bias(body["far"], choice.logit_bias), "far.1: 101 is out of range"},
      {read_logit_bias(body["list"], choice.logit_bias), "list: expected an object"}};
  for (const auto& [status, message] : rows) {
    ASSERT_FALSE(status.ok()) << message;
    EXPECT_THAT(status.error().message, HasSubstr(message));
  }
}

TEST(ThinkingWords, MeanTheSameInEveryDialect) {
  using Level = Thinking::Level;
  for (const auto* word : {"none", "off", "MINIMAL"}) EXPECT_FALSE(thinking_of_level(word)->on);
  EXPECT_EQ(thinking_of_level("LOW")->level, Level::Low);
  EXPECT_EQ(thinking_of_level("medium")->level, Level::Medium);
  for (const auto* word : {"high", "xhigh", "max"}) {
    EXPECT_TRUE(thinking_of_level(word)->on);
    EXPECT_EQ(thinking_of_level(word)->level, Level::High);
  }
  EXPECT_EQ(thinking_of_level("some"), std::nullopt);
  EXPECT_FALSE(thinking_of_budget(0).on);
  EXPECT_EQ(thinking_of_budget(-1).budget_tokens, std::nullopt);
  EXPECT_TRUE(thinking_of_budget(-1).on);
  EXPECT_EQ(thinking_of_budget(512).budget_tokens, 512);
  EXPECT_TRUE(thinking_if(true).on);
  EXPECT_FALSE(thinking_if(false).on);
}

}  // namespace
}  // namespace fourfold
