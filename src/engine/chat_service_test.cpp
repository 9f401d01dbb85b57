#include "engine/chat_service.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

#include "engine/sampling_choice.h"

namespace fourfold {
namespace {

using testing::HasSubstr;

// The default body: it chats, thinks and calls tools, and it is small.
std::unique_ptr<ChatService> open_keeper(ChatServiceOptions options = {}) {
  auto service = ChatService::open(FOURFOLD_SOURCE_DIR "/models/keeper/keeper.gguf", options);
  EXPECT_TRUE(service.ok()) << service.error().message;
  return std::move(service).value();
}

ChatRequest greedy_request(const std::string& text) {
  ChatRequest request;
  request.conversation.messages = {Message::of(Role::User, text)};
  request.sampling.temperature = 0.0f;
  request.sampling.max_tokens = 64;
  return request;
}

struct Heard {
  std::string text, thought;
  std::vector<ToolCall> calls;
  std::vector<DrawnToken> tokens;
  CandidateEnd end;
};

std::vector<Heard> hear(ChatStream& stream, int n_candidates = 1) {
  std::vector<Heard> heard(static_cast<std::size_t>(n_candidates));
  while (auto delta = stream.next()) {
    Heard& one = heard[static_cast<std::size_t>(delta->candidate)];
    for (const auto& token : delta->tokens) one.tokens.push_back(token);
    switch (delta->event.type) {
      case ChatEvent::Type::Text: one.text += delta->event.text; break;
      case ChatEvent::Type::Thought: one.thought += delta->event.text; break;
      case ChatEvent::Type::Call: one.calls.push_back(delta->event.call); break;
      case ChatEvent::Type::Finish: one.end = stream.end(delta->candidate); break;
      default: break;
    }
  }
  return heard;
}

Heard answer(ChatService& service, const ChatRequest& request) {
  auto prepared = service.prepare(request);
  EXPECT_TRUE(prepared.ok()) << prepared.error().message;
  auto stream = service.start(std::move(prepared).value(), {.user = "ann"});
  EXPECT_TRUE(stream.ok()) << stream.error().message;
  EXPECT_TRUE((*stream)->wait_started().ok());
  auto heard = hear(**stream, request.n_candidates).front();
  EXPECT_TRUE((*stream)->status().ok());
  return heard;
}

TEST(ChatService, SaysWhatASessionSays) {
  auto service = open_keeper();
  const auto request = greedy_request("Does mint like the sun?");
  const auto prepared = service->prepare(request);
  ASSERT_TRUE(prepared.ok());
  auto engine = Engine::open(FOURFOLD_SOURCE_DIR "/models/keeper/keeper.gguf", {});
  ASSERT_TRUE(engine.ok());
  const auto session = (*engine)->new_session();
  GenerateRequest same;
  same.prompt = prepared->prompt.ids;
  same.sampling.temperature = 0.0f;
  same.max_tokens = 64;
  same.stop_ids = prepared->stop_ids;
  const auto alone = session->generate(same, {});
  ASSERT_TRUE(alone.ok());

  const Heard heard = answer(*service, request);
  std::vector<TokenId> ids;
  for (const auto& token : heard.tokens) ids.push_back(token.token.id);
  EXPECT_EQ(ids, alone->ids);
  EXPECT_FALSE(heard.text.empty());
  EXPECT_EQ(heard.end.finish, ChatFinish::Stop);
  EXPECT_EQ(heard.end.usage.answer_tokens, static_cast<std::int64_t>(alone->ids.size()));
}

TEST(ChatService, SaysTheSameInCompanyAsAlone) {
  auto service = open_keeper();
  const std::vector<std::string> questions = {"Does mint like the sun?", "What is a seedling?",
                                              "Tell me about basil.", "Is it time to water?"};
  std::vector<std::string> alone;
  for (const auto& question : questions) {
    alone.push_back(answer(*service, greedy_request(question)).text);
  }
  std::vector<std::string> together(questions.size());
  std::vector<std::thread> threads;
  for (std::size_t i = 0; i < questions.size(); ++i) {
    threads.emplace_back(
        [&, i] { together[i] = answer(*service, greedy_request(questions[i])).text; });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(together, alone);
}

TEST(ChatService, AnswersEachCandidateWithASeedOfItsOwn) {
  auto service = open_keeper();
  auto request = greedy_request("Tell me about basil.");
  request.sampling.temperature = 5.0f;
  request.sampling.top_k = 0;
  request.sampling.top_p = 1.0f;
  request.sampling.seed = 7;
  request.n_candidates = 2;
  auto prepared = service->prepare(request);
  ASSERT_TRUE(prepared.ok());
  auto stream = service->start(std::move(prepared).value(), {});
  ASSERT_TRUE(stream.ok());
  const auto both = hear(**stream, 2);

  request.n_candidates = 1;
  EXPECT_EQ(both[0].text, answer(*service, request).text);
  request.sampling.seed = 8;
  EXPECT_EQ(both[1].text, answer(*service, request).text);
  EXPECT_NE(both[0].text, both[1].text);
}

TEST(ChatService, TellsThoughtsFromAnswersAndCounts) {
  auto service = open_keeper();
  auto request = greedy_request("Does mint like the sun?");
  request.conversation.thinking = {.on = true};
  request.sampling.max_tokens = 400;
  const Heard heard = answer(*service, request);
  EXPECT_FALSE(heard.thought.empty());
  EXPECT_FALSE(heard.text.empty());
  std::int64_t n_thought = 0;
  for (const auto& token : heard.tokens) n_thought += token.channel == Channel::Thought;
  EXPECT_GT(n_thought, 0);
  EXPECT_EQ(n_thought, heard.end.usage.thought_tokens);
}

TEST(ChatService, EndsAtAStopTextAndNamesIt) {
  auto service = open_keeper();
  auto request = greedy_request("Does mint like the sun?");
  const std::string whole = answer(*service, request).text;
  ASSERT_GT(whole.size(), 8u);
  const std::string stop = whole.substr(5, 3);
  request.conversation.stop = {"never said", stop};
  const Heard heard = answer(*service, request);
  EXPECT_EQ(heard.text, whole.substr(0, whole.find(stop)));
  EXPECT_EQ(heard.end.finish, ChatFinish::Stop);
  EXPECT_EQ(heard.end.stop_text, stop);
}

TEST(ChatService, EndsACancelledAnswer) {
  auto service = open_keeper();
  auto request = greedy_request("Tell me a long story about basil.");
  request.sampling.max_tokens = -1;
  auto prepared = service->prepare(request);
  ASSERT_TRUE(prepared.ok());
  auto stream = service->start(std::move(prepared).value(), {});
  ASSERT_TRUE(stream.ok());
  ASSERT_TRUE((*stream)->next().has_value());
  (*stream)->cancel();
  const auto heard = hear(**stream);
  EXPECT_TRUE(heard.front().end.finish == ChatFinish::Cancelled ||
              heard.front().end.finish == ChatFinish::Stop);
}

TEST(ChatService, ReusesThePrefixOfAnotherRequest) {
  auto service = open_keeper();
  auto request = greedy_request("Does mint like the sun?");
  request.conversation.messages.insert(
      request.conversation.messages.begin(),
      Message::of(Role::System, "You look after a greenhouse. Answer in one sentence."));
  const Heard first = answer(*service, request);
  auto prepared = service->prepare(request);
  ASSERT_TRUE(prepared.ok());
  const auto n_prompt = static_cast<std::int64_t>(prepared->prompt.ids.size());
  auto stream = service->start(std::move(prepared).value(), {.user = "bob"});
  ASSERT_TRUE(stream.ok());
  ASSERT_TRUE((*stream)->wait_started().ok());
  EXPECT_EQ((*stream)->prompt_tokens(), n_prompt);
  EXPECT_GT((*stream)->cached_tokens(), 0);
  EXPECT_LT((*stream)->cached_tokens(), n_prompt);
  EXPECT_EQ(hear(**stream).front().text, first.text);
}

TEST(ChatService, ContinuesRawText) {
  auto service = open_keeper();
  RawRequest request{.text = "Once upon a time"};
  request.sampling.temperature = 0.0f;
  request.sampling.max_tokens = 12;
  auto prepared = service->prepare(request);
  ASSERT_TRUE(prepared.ok());
  auto stream = service->start(std::move(prepared).value(), {});
  ASSERT_TRUE(stream.ok());
  const auto heard = hear(**stream);
  EXPECT_FALSE(heard.front().text.empty());
  EXPECT_LE(heard.front().end.usage.answer_tokens, 12);
}

TEST(ChatService, RefusesWhatDoesNotFitWithBothNumbers) {
  auto service = open_keeper({.engine = {.context = 256}});
  std::string text;
  for (int i = 0; i < 400; ++i) text += "mint and basil ";
  const auto prepared = service->prepare(greedy_request(text));
  ASSERT_FALSE(prepared.ok());
  EXPECT_EQ(prepared.error().reason(), "context_length_exceeded");
  EXPECT_EQ(prepared.error().detail->context_tokens, 256);
  EXPECT_GT(prepared.error().detail->prompt_tokens, 256);
}

TEST(ChatService, RefusesMediaByTheirPlace) {
  auto service = open_keeper();
  auto request = greedy_request("What is this?");
  request.conversation.messages.front().parts.push_back(
      {.kind = Part::Kind::Image, .text = "image/png", .where = "contents[0].parts[1].inlineData"});
  const auto prepared = service->prepare(request);
  ASSERT_FALSE(prepared.ok());
  EXPECT_EQ(prepared.error().reason(), "unsupported_media");
  EXPECT_THAT(prepared.error().message, HasSubstr("contents[0].parts[1].inlineData"));
}

}  // namespace
}  // namespace fourfold
