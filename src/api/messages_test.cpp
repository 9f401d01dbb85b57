#include "api/messages.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace fourfold {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

Message calling(std::string name, std::string id = "") {
  Message message;
  message.role = Role::Model;
  message.calls.push_back({.id = std::move(id), .name = std::move(name)});
  return message;
}

Message result(std::string text) {
  Message message;
  message.role = Role::Tool;
  message.results.push_back({.value = JsonValue::of(std::move(text))});
  return message;
}

// "user:Hi\nthere", "model:!f" (a call), "tool:"
std::string shown(const Message& message) {
  constexpr const char* kNames[] = {"system", "developer", "user", "model", "tool", "other"};
  std::string out = kNames[static_cast<int>(message.role)];
  out += ':';
  if (!message.thought.empty()) out += "(" + message.thought + ")";
  for (const auto& part : message.parts) out += part.text + "|";
  for (const auto& call : message.calls) out += "!" + call.name;
  return out;
}

std::vector<std::string> shown(const Conversation& conversation) {
  std::vector<std::string> out;
  for (const auto& message : conversation.messages) out.push_back(shown(message));
  return out;
}

Conversation of(std::vector<Message> messages) {
  Conversation conversation;
  conversation.messages = std::move(messages);
  return conversation;
}

TEST(SettleMessages, DropsWhatHoldsNothing) {
  auto chat = of({Message::of(Role::User, " \n"), Message::of(Role::User, "Hi"),
                  Message::of(Role::Model, ""), Message::of(Role::User, "again")});
  ASSERT_TRUE(settle_messages(chat, {}).ok());
  EXPECT_THAT(shown(chat), ElementsAre("user:Hi|", "user:again|"));
}

TEST(SettleMessages, KeepsCallsResultsMediaAndThoughts) {
  Message picture;
  picture.parts.push_back({.kind = Part::Kind::Image, .text = "image"});
  Message thinking;
  thinking.role = Role::Model;
  thinking.thought = "hm";
  auto chat = of({picture, calling("f"), result(""), thinking});
  ASSERT_TRUE(settle_messages(chat, {}).ok());
  EXPECT_THAT(shown(chat), ElementsAre("user:image|", "model:!f", "tool:", "model:(hm)"));
}

TEST(SettleMessages, AnEmptyLastAnswerLeavesNothingToContinue) {
  auto chat = of({Message::of(Role::User, "Hi"), Message::of(Role::Model, "")});
  chat.continue_last = true;
  ASSERT_TRUE(settle_messages(chat, {}).ok());
  EXPECT_FALSE(chat.continue_last);
  EXPECT_THAT(shown(chat), ElementsAre("user:Hi|"));
}

TEST(SettleMessages, RefusesAConversationOfNothing) {
  auto empty = of({Message::of(Role::User, " ")});
  const auto refused = settle_messages(empty, {.list_name = "contents"});
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().message, "contents[0] has no text or media");
  EXPECT_EQ(refused.error().detail->field, "contents[0]");

  auto system = of({Message::of(Role::System, "Be brief.")});
  EXPECT_TRUE(settle_messages(system, {}).ok());
  EXPECT_FALSE(settle_messages(system, {.needs_more_than_system = true}).ok());
}

TEST(SettleMessages, DevelopersAreSystemTextInPlace) {
  auto chat = of({Message::of(Role::User, "Hi"), Message::of(Role::Developer, "New rule"),
                  Message::of(Role::User, "Go")});
  ASSERT_TRUE(settle_messages(chat, {}).ok());
  EXPECT_THAT(shown(chat), ElementsAre("user:Hi|", "system:New rule|", "user:Go|"));
}

TEST(SettleMessages, MovesSystemTextBehindTheResultsThatItWouldPartFromTheirCalls) {
  auto chat = of({Message::of(Role::User, "Hi"), calling("f"), Message::of(Role::System, "A"),
                  result("1"), Message::of(Role::System, "B"), result("2")});
  ASSERT_TRUE(settle_messages(chat, {}).ok());
  EXPECT_THAT(shown(chat),
              ElementsAre("user:Hi|", "model:!f", "tool:", "tool:", "system:A|", "system:B|"));
}

TEST(SettleMessages, DropsABillingLineInFrontOfTheSystemTextOnly) {
  const std::string line = "x-anthropic-billing-header: cc_version=1; cch=abc";
  auto chat = of({Message::of(Role::System, line + ";\nYou help."), Message::of(Role::User, line)});
  ASSERT_TRUE(settle_messages(chat, {}).ok());
  EXPECT_THAT(shown(chat), ElementsAre("system:You help.|", "user:" + line + "|"));

  Message blocks = Message::of(Role::System, line);
  blocks.is_part_list = true;
  blocks.parts.push_back({.kind = Part::Kind::Text, .text = "You help."});
  auto second = of({blocks, Message::of(Role::User, "Hi")});
  ASSERT_TRUE(settle_messages(second, {}).ok());
  EXPECT_THAT(shown(second), ElementsAre("system:You help.|", "user:Hi|"));
  EXPECT_FALSE(second.messages[0].is_part_list);

  auto third = of({Message::of(Role::System, "You help.\n" + line), Message::of(Role::User, "Hi")});
  ASSERT_TRUE(settle_messages(third, {}).ok());
  EXPECT_THAT(shown(third), ElementsAre("system:You help.\n" + line + "|", "user:Hi|"));
}

TEST(SettleMessages, MergesTheChunksOfAStreamWithTheirBlanks) {
  auto chat = of({Message::of(Role::User, "a"), Message::of(Role::User, "b"),
                  Message::of(Role::Model, "Hello"), Message::of(Role::Model, " "),
                  Message::of(Role::Model, "world"), calling("f"), calling("g")});
  ASSERT_TRUE(settle_messages(chat, {.merge_neighbours = true}).ok());
  EXPECT_THAT(shown(chat), ElementsAre("user:a\nb|", "model:Hello world|!f!g"));
}

TEST(SettleMessages, AnEmptyContentKeepsNothingApart) {
  auto chat = of(
      {Message::of(Role::User, "a"), Message::of(Role::Model, ""), Message::of(Role::User, "b")});
  ASSERT_TRUE(settle_messages(chat, {.merge_neighbours = true}).ok());
  EXPECT_THAT(shown(chat), ElementsAre("user:a\nb|"));
}

struct ArgumentsRow {
  std::string given, read;
  bool is_broken = false;
};

class HistoryArguments : public testing::TestWithParam<ArgumentsRow> {};

TEST_P(HistoryArguments, AreDataAndNeverAnError) {
  const auto& row = GetParam();
  ToolCall call{.id = "c", .name = "f"};
  std::vector<BrokenCall> broken;
  std::vector<std::string> warnings;
  read_history_arguments(*parse_json_value(row.given), "messages[1]", call, broken, warnings);
  EXPECT_EQ(to_json_text(call.arguments), row.read);
  EXPECT_EQ(call.repaired, row.is_broken);
  EXPECT_EQ(broken.size(), row.is_broken ? 1u : 0u);
  EXPECT_EQ(warnings.size(), row.is_broken ? 1u : 0u);
}

INSTANTIATE_TEST_SUITE_P(
    Rows, HistoryArguments,
    testing::Values(ArgumentsRow{R"({"a":1.0})", R"({"a":1.0})"}, ArgumentsRow{"null", "{}"},
                    ArgumentsRow{R"("")", "{}"}, ArgumentsRow{R"("  ")", "{}"},
                    ArgumentsRow{R"("null")", "{}"}, ArgumentsRow{R"("{\"a\":1}")", R"({"a":1})"},
                    ArgumentsRow{R"("{\"a\":")", R"({"arguments":"{\"a\":"})", true},
                    ArgumentsRow{R"("{}{}")", R"({"arguments":"{}{}"})", true},
                    ArgumentsRow{R"([1])", R"({"arguments":"[1]"})", true},
                    ArgumentsRow{R"("[1]")", R"({"arguments":"[1]"})", true},
                    ArgumentsRow{"7", R"({"arguments":"7"})", true}));

TEST(SettleMessages, RefusesBrokenArgumentsOfACallThatWaitsForItsResult) {
  Message call = calling("f", "c1");
  call.calls[0].repaired = true;
  MessageRules rules;
  rules.broken_calls.push_back({.path = "messages[1].tool_calls[0]", .id = "c1", .name = "f"});

  auto answered = of({Message::of(Role::User, "Hi"), call, result("1")});
  EXPECT_TRUE(settle_messages(answered, rules).ok());

  auto waiting = of({Message::of(Role::User, "Hi"), call});
  const auto refused = settle_messages(waiting, rules);
  ASSERT_FALSE(refused.ok());
  EXPECT_THAT(refused.error().message, HasSubstr("messages[1].tool_calls[0]: the arguments of"));
  EXPECT_EQ(refused.error().detail->field, "messages[1].tool_calls[0]");

  rules.refuse_broken_calls = true;
  EXPECT_FALSE(settle_messages(answered, rules).ok());
}

TEST(HasNoParameters, KnowsEverySpelling) {
  for (const auto* schema :
       {"null", "{}", R"({"type":"object"})", R"({"type":"OBJECT","properties":{}})",
        R"({"properties":null})",
        R"({"type":"object","properties":{},"required":["a"],"$schema":"x","title":"t",
            "additionalProperties":false})"}) {
    const auto json = *parse_json_value(schema);
    EXPECT_TRUE(has_no_parameters(&json)) << schema;
  }
  EXPECT_TRUE(has_no_parameters(nullptr));
  for (const auto* schema :
       {R"({"type":"object","properties":{"a":{}}})",
        R"({"type":"object","additionalProperties":true})",
        R"({"additionalProperties":{"type":"string"}})", R"({"$ref":"#/a"})", R"({"anyOf":[]})",
        R"({"type":"string"})", R"([])", R"({"patternProperties":{"a":{}}})"}) {
    const auto json = *parse_json_value(schema);
    EXPECT_FALSE(has_no_parameters(&json)) << schema;
  }
}

}  // namespace
}  // namespace fourfold
