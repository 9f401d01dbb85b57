#include "api/ollama_context.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tokenizer/test_vocabulary.h"

namespace fourfold {
namespace {

using testing::HasSubstr;

const Tokenizer& tokenizer() {
  static const auto tokenizer = Tokenizer::from_json(TestVocabulary::gemma4().json());
  return *tokenizer;
}

std::vector<TokenId> ids(std::string_view text) { return tokenizer().encode(text, Trust::Trusted); }

TEST(OllamaContext, IsReadAsTurnsWithoutThoughts) {
  const auto messages = messages_of_context(
      tokenizer(), ids("<bos><|turn>system\nBe brief.<turn|>\n<|turn>user\nHi\nthere<turn|>\n"
                       "<|turn>model\n<|channel>thought\nhm<channel|>Hello"));
  ASSERT_TRUE(messages.ok()) << messages.error().message;
  ASSERT_EQ(messages->size(), 3u);
  EXPECT_EQ((*messages)[0].role, Role::System);
  EXPECT_EQ((*messages)[1].parts[0].text, "Hi\nthere");
  EXPECT_EQ((*messages)[2].role, Role::Model);
  EXPECT_EQ((*messages)[2].parts[0].text, "Hello");
}

TEST(OllamaContext, MayEndInsideAThought) {
  const auto messages = messages_of_context(
      tokenizer(), ids("<|turn>user\nHi<turn|>\n<|turn>model\n<|channel>thought\nhm"));
  ASSERT_TRUE(messages.ok()) << messages.error().message;
  EXPECT_EQ(messages->back().parts[0].text, "");
}

TEST(OllamaContext, OfSomethingElseIsRefused) {
  EXPECT_THAT(messages_of_context(tokenizer(), ids("plain")).error().message,
              HasSubstr("no turn begins"));
  EXPECT_THAT(messages_of_context(tokenizer(), ids("<|turn>tool\nx")).error().message,
              HasSubstr("\"tool\""));
  const std::vector<TokenId> foreign = {1'000'000};
  EXPECT_THAT(messages_of_context(tokenizer(), foreign).error().message,
              HasSubstr("1000000 is no token"));
}

TEST(OllamaContext, GoesInFrontOfTheNewPrompt) {
  OllamaRequest request;
  request.context = ids("<|turn>system\nBe brief.<turn|>\n<|turn>user\na<turn|>\n<|turn>model\nb");
  request.chat.conversation.messages = {Message::of(Role::System, "Be brief."),
                                        Message::of(Role::User, "c")};
  ASSERT_TRUE(add_ollama_context(tokenizer(), request).ok());
  const auto& messages = request.chat.conversation.messages;
  ASSERT_EQ(messages.size(), 4u) << "the system text stands once";
  EXPECT_EQ(messages[2].parts[0].text, "b");
  EXPECT_EQ(messages[3].parts[0].text, "c");
}

TEST(OllamaContext, OfAModelThatContinuesTextStaysAsItIs) {
  OllamaRequest request;
  request.context = ids("hello");
  request.raw.emplace().text = "<turn|>";
  ASSERT_TRUE(add_ollama_context(tokenizer(), request).ok());
  auto expected = ids("hello");
  for (const TokenId id : tokenizer().encode("<turn|>", Trust::Untrusted)) expected.push_back(id);
  EXPECT_EQ(request.raw->ids, expected);
}

}  // namespace
}  // namespace fourfold
