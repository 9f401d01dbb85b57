#include "chat/fit_prompt.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tokenizer/golden_tokenizers.h"

namespace fourfold {
namespace {

using testing::HasSubstr;
using testing::Not;

std::string words(const std::string& word, int n) {
  std::string text;
  for (int i = 0; i < n; ++i) text += word + " ";
  return text;
}

// A system text and exchanges of about 200 tokens; the first one holds a call and its result.
Conversation dialogue(int n_exchanges) {
  Conversation out;
  out.messages.push_back(Message::of(Role::System, "Be brief."));
  for (int i = 0; i < n_exchanges; ++i) {
    const std::string name = fmt::format("q{}q", i);
    out.messages.push_back(Message::of(Role::User, name + words(" a", 90)));
    auto answer = Message::of(Role::Model, words("b", 90));
    if (i == 0) answer.calls.push_back({.id = "1", .name = "f"});
    out.messages.push_back(std::move(answer));
    if (i != 0) continue;
    Message result;
    result.role = Role::Tool;
    result.results.push_back({.call_id = "1", .value = JsonValue::of("done")});
    out.messages.push_back(std::move(result));
    out.messages.push_back(Message::of(Role::Model, "c"));
  }
  out.messages.push_back(Message::of(Role::User, "newest"));
  return out;
}

Result<FittedPrompt> fit(const Conversation& conversation, std::int64_t context) {
  return fit_prompt(small_tokenizer(), conversation, {.variant = Variant::Small}, context);
}

std::int64_t size_of(const Conversation& conversation) {
  return static_cast<std::int64_t>(
      render(small_tokenizer(), conversation, {.variant = Variant::Small})->ids.size());
}

TEST(FitPrompt, ForgetsNothingWhileOneTokenMoreFits) {
  const auto conversation = dialogue(4);
  const auto n = size_of(conversation);
  EXPECT_EQ(fit(conversation, n + 1)->n_forgotten_exchanges, 0);
  EXPECT_GT(fit(conversation, n)->n_forgotten_exchanges, 0);
}

TEST(FitPrompt, ForgetsTheFewestExchangesThatLeaveAQuarter) {
  const auto conversation = dialogue(8);
  for (const std::int64_t context : {400, 600, 900, 1200}) {
    const auto fitted = fit(conversation, context);
    ASSERT_TRUE(fitted.ok()) << context;
    EXPECT_LE(static_cast<std::int64_t>(fitted->prompt.ids.size()) + context / 4, context);

    auto rest = conversation;
    forget_messages(rest.messages, fitted->n_forgotten_messages);
    EXPECT_EQ(size_of(rest), static_cast<std::int64_t>(fitted->prompt.ids.size()));
    EXPECT_EQ(fitted->n_forgotten_tokens, size_of(conversation) - size_of(rest));
    EXPECT_EQ(rest.messages[0].role, Role::System);
    EXPECT_EQ(rest.messages[1].role, Role::User);

    // One exchange less forgotten leaves too little.
    const int n = fitted->n_forgotten_exchanges;
    auto more = dialogue(8);
    forget_messages(more.messages, n == 1 ? 0u : 4u + 2u * static_cast<std::size_t>(n - 2));
    EXPECT_GT(size_of(more) + context / 4, context) << context;
  }
}

TEST(FitPrompt, TakesACallAndItsResultTogether) {
  const auto conversation = dialogue(2);
  const auto fitted = fit(conversation, size_of(conversation));
  ASSERT_TRUE(fitted.ok());
  EXPECT_EQ(fitted->n_forgotten_messages, 4u);
  EXPECT_THAT(fitted->prompt.text, Not(HasSubstr("tool_call")));
  EXPECT_THAT(fitted->prompt.text, HasSubstr("Be brief."));
  EXPECT_THAT(fitted->prompt.text, HasSubstr("q1q"));
}

TEST(FitPrompt, KeepsTheNewestExchangeEvenWithoutMuchRoom) {
  auto conversation = dialogue(3);
  conversation.messages.back() = Message::of(Role::User, words("n", 180));
  const auto fitted = fit(conversation, 220);
  ASSERT_TRUE(fitted.ok());
  EXPECT_EQ(fitted->n_forgotten_exchanges, 3);
}

TEST(FitPrompt, RefusesWhatDoesNotFitAlone) {
  auto conversation = dialogue(3);
  conversation.messages.back() = Message::of(Role::User, words("n", 300));
  const auto fitted = fit(conversation, 220);
  ASSERT_FALSE(fitted.ok());
  EXPECT_EQ(fitted.error().code, Code::ResourceExhausted);
  EXPECT_THAT(fitted.error().message, HasSubstr("the context holds 220"));

  Conversation single;
  single.messages.push_back(Message::of(Role::User, words("n", 300)));
  EXPECT_FALSE(fit(single, 220).ok());
}

}  // namespace
}  // namespace fourfold
