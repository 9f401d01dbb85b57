#include "engine/trace.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/trace_replay.h"

namespace fourfold {
namespace {

using testing::HasSubstr;

ChatService& keeper() {
  static const auto service =
      ChatService::open(FOURFOLD_SOURCE_DIR "/models/keeper/keeper.gguf", {});
  return **service;
}

ChatRequest request(const std::string& text) {
  ChatRequest request;
  request.conversation.messages = {Message::of(Role::User, text)};
  request.sampling.max_tokens = 24;
  request.sampling.temperature = 3.0f;
  request.sampling.seed = 5;
  return request;
}

Trace traced(const ChatRequest& request) {
  auto prepared = keeper().prepare(request);
  EXPECT_TRUE(prepared.ok()) << prepared.error().message;
  describe_tokens(*prepared);
  Trace trace = begin_trace(keeper().engine(), &request, *prepared);
  auto stream = keeper().start(std::move(*prepared), {});
  EXPECT_TRUE(stream.ok()) << stream.error().message;
  while (auto delta = (*stream)->next()) trace.add(*delta, **stream);
  EXPECT_TRUE((*stream)->status().ok());
  return trace;
}

Trace read_back(const Trace& trace) {
  const auto parsed = parse_trace(trace_text(trace));
  EXPECT_TRUE(parsed.ok()) << parsed.error().message;
  return parsed.ok() ? *parsed : Trace();
}

TEST(Trace, ReadsBackWhatItWrote) {
  Trace trace = traced(request("Tell me about basil."));
  trace.id = "t1";
  trace.fingerprint = std::string(64, 'a');
  trace.total_ms = 1.25;
  const Trace again = read_back(trace);
  EXPECT_EQ(trace_text(again), trace_text(trace));
  EXPECT_EQ(again.id, "t1");
  EXPECT_EQ(again.prompt.ids, trace.prompt.ids);
  EXPECT_EQ(again.prompt.untrusted, trace.prompt.untrusted);
  EXPECT_EQ(again.sampling.temperature, 3.0f);
  ASSERT_FALSE(trace.candidates[0].tokens.empty());
  EXPECT_EQ(again.candidates[0].tokens.size(), trace.candidates[0].tokens.size());
}

TEST(Trace, KeepsTheTenBestAndTheEntropyOfEveryToken) {
  const Trace trace = traced(request("Tell me about basil."));
  for (const auto& drawn : trace.candidates[0].tokens) {
    EXPECT_EQ(drawn.token.top_logprobs.size(), 10u);
    ASSERT_TRUE(drawn.token.description);
    EXPECT_GE(drawn.token.description->entropy, 0.0f);
  }
}

TEST(TraceReplay, DrawsTheSameTokens) {
  for (int n_candidates : {1, 2}) {
    ChatRequest asked = request("Tell me about basil.");
    asked.n_candidates = n_candidates;
    const Trace trace = read_back(traced(asked));
    const auto again = replay(trace, keeper());
    ASSERT_TRUE(again.ok()) << again.error().message;
    EXPECT_FALSE(first_difference(trace, *again));
    EXPECT_EQ(largest_logprob_distance(trace, *again), 0.0);
    EXPECT_EQ(again->candidates[0].events, trace.candidates[0].events);
  }
}

TEST(TraceReplay, HoldsTheAnswerToTheSameRules) {
  if (!ConstraintFactory::is_available()) GTEST_SKIP() << "this build has no constraints";
  ChatRequest asked = request("Water the mint.");
  Tool tool;
  tool.name = "water";
  tool.declaration =
      parse_json_value(
          R"({"name":"water","parameters":{"type":"object","properties":{"plant":{"type":"string"}},
          "required":["plant"]}})")
          .value();
  asked.conversation.tools = {tool};
  asked.conversation.tool_choice.mode = ToolChoice::Mode::Required;
  asked.sampling.max_tokens = 200;
  const Trace trace = read_back(traced(asked));
  bool was_forced = false;
  for (const auto& drawn : trace.candidates[0].tokens) {
    was_forced = was_forced || drawn.token.description->is_forced;
  }
  EXPECT_TRUE(was_forced);
  const auto again = replay(trace, keeper());
  ASSERT_TRUE(again.ok()) << again.error().message;
  EXPECT_FALSE(first_difference(trace, *again));
}

TEST(TraceReplay, GoesOnWithRawTextAndWithWhatAClientBegan) {
  auto begun = request("Tell me about basil.");
  begun.conversation.messages.push_back(Message::of(Role::Model, "Basil is"));
  begun.conversation.continue_last = true;
  const Trace chat = read_back(traced(begun));
  EXPECT_FALSE(first_difference(chat, replay(chat, keeper()).value()));

  RawRequest raw{.text = "Basil is", .ids = {}, .sampling = begun.sampling};
  auto prepared = keeper().prepare(raw).value();
  describe_tokens(prepared);
  Trace trace = begin_trace(keeper().engine(), nullptr, prepared);
  auto stream = keeper().start(std::move(prepared), {}).value();
  while (auto delta = stream->next()) trace.add(*delta, *stream);
  trace = read_back(trace);
  EXPECT_FALSE(first_difference(trace, replay(trace, keeper()).value()));
}

TEST(TraceReplay, FindsAnotherSeed) {
  const Trace trace = traced(request("Tell me about basil."));
  Trace other = trace;
  other.sampling.seed = 6;
  const auto again = replay(other, keeper());
  ASSERT_TRUE(again.ok()) << again.error().message;
  const auto difference = first_difference(trace, *again);
  ASSERT_TRUE(difference);
  ASSERT_TRUE(difference->a && difference->b);
  EXPECT_NE(difference->a->token.id, difference->b->token.id);
  EXPECT_TRUE(find_logprob(*difference->a, difference->a->token.id));
}

TEST(TraceDifference, IsWhereTheShorterAnswerEnds) {
  const Trace trace = traced(request("Tell me about basil."));
  Trace shorter = trace;
  shorter.candidates[0].tokens.pop_back();
  const auto difference = first_difference(trace, shorter);
  ASSERT_TRUE(difference);
  EXPECT_EQ(difference->position, static_cast<std::int64_t>(shorter.candidates[0].tokens.size()));
  EXPECT_FALSE(difference->b);
  shorter.candidates[0].end.finish = ChatFinish::Cancelled;  // its client left there
  EXPECT_FALSE(first_difference(trace, shorter));
}

TEST(TraceReplay, OfAnotherModelsIdsIsRefused) {
  Trace trace = traced(request("Hi"));
  trace.prompt.ids.push_back(1'000'000);
  EXPECT_EQ(replay(trace, keeper()).error().code, Code::FailedPrecondition);
  trace.prompt.ids.clear();
  EXPECT_EQ(replay(trace, keeper()).error().code, Code::DataLoss);
}

TEST(ParseTrace, SaysWhichLineIsWrong) {
  const std::string text = trace_text(traced(request("Hi")));
  const auto error_of = [](const std::string& damaged) {
    const auto trace = parse_trace(damaged);
    return trace.ok() ? std::string("no error") : trace.error().message;
  };
  EXPECT_THAT(error_of(""), HasSubstr("cut off"));
  EXPECT_THAT(error_of("{}\n"), HasSubstr("line 1: no trace"));
  EXPECT_THAT(error_of("{\"trace\":3}\n"), HasSubstr("line 1: version 3 (expected 1 to 2)"));
  for (const char* known : {"{\"trace\":1}\n", "{\"trace\":2}\n"}) {
    EXPECT_THAT(error_of(known), HasSubstr("line 1: no \"id\""));
  }
  const auto second = text.find('\n') + 1;
  EXPECT_THAT(error_of(text.substr(0, second) + "{\"candidate\":0,\"token\":1}\n"),
              HasSubstr("line 2: there is no candidate 0"));
  EXPECT_THAT(error_of(text.substr(0, second) + "[\n"), HasSubstr("line 2: offset"));
}

TEST(ParseTrace, OfAnyBeginningIsRefused) {
  const std::string text = trace_text(traced(request("Hi")));
  for (std::size_t n = 0; n + 1 < text.size(); n += 7) {
    EXPECT_FALSE(parse_trace(std::string_view(text).substr(0, n)).ok()) << n;
  }
}

}  // namespace
}  // namespace fourfold
