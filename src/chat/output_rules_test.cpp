#include "chat/output_rules.h"

#include <gtest/gtest.h>

#include "base/json_value.h"
#include "tokenizer/golden_tokenizers.h"

namespace fourfold {
namespace {

ConstraintFactory& constraints() {
  static ConstraintFactory factory(small_tokenizer());
  return factory;
}

Conversation with_tool(ToolChoice::Mode mode) {
  Conversation conversation;
  conversation.messages.push_back(Message::of(Role::User, "Hi"));
  conversation.tools.push_back({.name = "look", .declaration = JsonValue::object()});
  conversation.tool_choice.mode = mode;
  return conversation;
}

Conversation with_schema() {
  Conversation conversation;
  conversation.messages.push_back(Message::of(Role::User, "Hi"));
  conversation.response_format.kind = ResponseFormat::Kind::JsonSchema;
  conversation.response_format.schema = *parse_json_value(R"({"enum": ["yes", "no"]})");
  return conversation;
}

bool allows(const OutputMachine& machine, std::string_view piece) {
  return is_allowed(machine.allowed(), small_tokenizer().find_piece(piece));
}

TEST(OutputRules, FollowTheToolChoice) {
  const auto automatic = output_rules(with_tool(ToolChoice::Mode::Auto), constraints());
  EXPECT_TRUE(automatic->may_call);
  EXPECT_FALSE(automatic->must_call);
  const auto none = output_rules(with_tool(ToolChoice::Mode::None), constraints());
  EXPECT_FALSE(none->may_call);
  const auto required = output_rules(with_tool(ToolChoice::Mode::Required), constraints());
  EXPECT_TRUE(required->must_call);
  EXPECT_FALSE(required->may_think);
}

TEST(OutputRules, LetPlainTextThinkUnasked) {
  Conversation conversation;
  conversation.messages.push_back(Message::of(Role::User, "Hi"));
  EXPECT_TRUE(output_rules(conversation, constraints())->may_think);
}

TEST(OutputRules, ConstrainTheAnswer) {
  auto rules = output_rules(with_schema(), constraints());
  if (!ConstraintFactory::is_available()) {
    EXPECT_FALSE(rules.ok());
    return;
  }
  ASSERT_TRUE(rules.ok()) << rules.error().message;
  OutputMachine machine(small_tokenizer(), std::move(*rules));
  EXPECT_TRUE(allows(machine, "\""));
  EXPECT_FALSE(allows(machine, "a"));
  EXPECT_FALSE(allows(machine, "<|channel>"));
}

TEST(OutputRules, GoOnWithAnAnswerThatWasBegun) {
  if (!ConstraintFactory::is_available()) GTEST_SKIP() << "built without constraints";
  auto conversation = with_schema();
  conversation.continue_last = true;
  conversation.messages.push_back(Message::of(Role::Model, "\"ye"));
  auto rules = output_rules(conversation, constraints());
  ASSERT_TRUE(rules.ok()) << rules.error().message;
  OutputMachine machine(small_tokenizer(), std::move(*rules));
  EXPECT_TRUE(allows(machine, "s"));
  EXPECT_FALSE(allows(machine, "n"));

  conversation.messages.back() = Message::of(Role::Model, "maybe");
  const auto refused = output_rules(conversation, constraints());
  ASSERT_FALSE(refused.ok());
  EXPECT_NE(refused.error().message.find("byte"), std::string::npos) << refused.error().message;
}

TEST(OutputRules, LeaveEverythingFreeThatIsNotEnforced) {
  auto conversation = with_tool(ToolChoice::Mode::Required);
  conversation.tool_choice.parallel = false;
  conversation.response_format = with_schema().response_format;
  conversation.stop = {"STOP"};
  auto rules = output_rules(conversation, constraints(), {.enforce = false});
  ASSERT_TRUE(rules.ok()) << rules.error().message;
  EXPECT_EQ(rules->stop, conversation.stop);
  OutputMachine machine(small_tokenizer(), std::move(*rules));
  for (const auto* piece : {"a", "<turn|>", "<|channel>", "<|tool_call>"}) {
    EXPECT_TRUE(allows(machine, piece)) << piece;
  }
  ASSERT_TRUE(machine.commit(small_tokenizer().find_piece("<|tool_call>")).ok());
  EXPECT_TRUE(allows(machine, "a"));
  EXPECT_FALSE(allows(machine, "<turn|>"));
}

}  // namespace
}  // namespace fourfold
