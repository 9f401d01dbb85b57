#include "chat/format_hint.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "chat/render.h"
#include "tokenizer/golden_tokenizers.h"

namespace fourfold {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

Conversation asking(ResponseFormat::Kind kind) {
  Conversation conversation;
  conversation.messages.push_back(Message::of(Role::User, "Hi"));
  conversation.response_format.kind = kind;
  conversation.response_format.schema = *parse_json_value(R"({"type": "null"})");
  return conversation;
}

std::string prompt_of(const Conversation& conversation) {
  return render(small_tokenizer(), with_format_hint(conversation), {})->text;
}

TEST(FormatHint, BecomesTheSystemText) {
  EXPECT_THAT(prompt_of(asking(ResponseFormat::Kind::JsonSchema)),
              StartsWith("<bos><|turn>system\nAnswer with JSON of this schema and nothing else: "
                         R"({"type":"null"}<turn|>)"));
  EXPECT_THAT(
      prompt_of(asking(ResponseFormat::Kind::Json)),
      StartsWith("<bos><|turn>system\nAnswer with one JSON object and nothing else.<turn|>"));
}

TEST(FormatHint, StandsBehindTheSystemTextOfTheRequest) {
  auto conversation = asking(ResponseFormat::Kind::Json);
  auto& messages = conversation.messages;
  messages.insert(messages.begin(), Message::of(Role::System, "Be brief.\n"));
  EXPECT_THAT(prompt_of(conversation), HasSubstr("system\nBe brief.\n\nAnswer with one JSON"));

  messages.front().is_part_list = true;
  EXPECT_THAT(prompt_of(conversation), HasSubstr("Be brief. Answer with one JSON"));
}

TEST(FormatHint, IsNotGivenForOtherFormats) {
  using Kind = ResponseFormat::Kind;
  for (const auto kind : {Kind::Text, Kind::Regex, Kind::Grammar}) {
    EXPECT_THAT(prompt_of(asking(kind)), StartsWith("<bos><|turn>user"));
  }
}

}  // namespace
}  // namespace fourfold
