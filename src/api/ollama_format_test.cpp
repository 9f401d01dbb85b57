#include "api/ollama_format.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "tokenizer/test_vocabulary.h"

namespace fourfold {
namespace {

using testing::HasSubstr;
using Type = ChatEvent::Type;

constexpr std::string_view kHead =
    R"({"model":"gemma4:e4b","created_at":"2026-11-24T10:00:00.123456789Z",)";

OllamaFormatOptions options() {
  OllamaFormatOptions options;
  options.now_ns = [] { return std::int64_t{1795514400123456789}; };
  return options;
}

AnswerFacts facts() {
  AnswerFacts facts;
  facts.requested_model = "gemma4:e4b";
  facts.prompt_tokens = 12;
  facts.load_ms = 2.0;
  facts.total_ms = 1.5;
  return facts;
}

ChatDelta text(Type type, std::string text) {
  ChatDelta delta;
  delta.event.type = type;
  delta.event.text = std::move(text);
  return delta;
}

ChatDelta call() {
  ChatDelta delta;
  delta.event.type = Type::Call;
  delta.event.call.id = "call_x";
  delta.event.call.name = "f";
  delta.event.call.arguments = parse_json_value(R"({"a":1.0})").value();
  return delta;
}

CandidateEnd ended(ChatFinish finish) {
  CandidateEnd end;
  end.finish = finish;
  end.usage = {.thought_tokens = 4, .answer_tokens = 5, .call_tokens = 0};
  end.prefill_ms = 3.0;
  end.decode_ms = 0.25;
  return end;
}

const std::string kSummary =
    R"("total_duration":1500000,"load_duration":2000000,"prompt_eval_count":12,)"
    R"("prompt_eval_duration":3000000,"eval_count":9,"eval_duration":250000)";

std::string line(std::string_view rest) { return fmt::format("{}{}\n", kHead, rest); }

TEST(OllamaStream, IsALineForEachPiece) {
  OllamaFormatter formatter(options());
  EXPECT_EQ(formatter.stream_type(), "application/x-ndjson");
  EXPECT_EQ(formatter.begin(facts()), "");
  EXPECT_EQ(formatter.event(text(Type::Thought, "Let")),
            line(R"("message":{"role":"assistant","content":"","thinking":"Let"},"done":false})"));
  EXPECT_EQ(formatter.event(text(Type::Text, "Hi")),
            line(R"("message":{"role":"assistant","content":"Hi"},"done":false})"));
  EXPECT_EQ(formatter.event(text(Type::CallStarted, "")), "") << "no fragments of calls";
  EXPECT_EQ(formatter.event(text(Type::CallArguments, "{")), "");
  EXPECT_EQ(formatter.event(call()),
            line(R"("message":{"role":"assistant","content":"","tool_calls":[{"id":"call_x",)"
                 R"("function":{"index":0,"name":"f","arguments":{"a":1.0}}}]},"done":false})"));
  EXPECT_EQ(formatter.event(text(Type::Malformed, "call:")),
            line(R"("message":{"role":"assistant","content":"call:"},"done":false})"));
  EXPECT_EQ(formatter.end(0, ended(ChatFinish::ToolCalls), {}), "");
  EXPECT_EQ(formatter.finish(facts()),
            line(R"("message":{"role":"assistant","content":""},"done":true,)"
                 R"("done_reason":"stop",)" +
                 kSummary + "}"));
}

TEST(OllamaStream, HasNoEmptyLineAndALastDoneObject) {
  OllamaFormatter formatter(options());
  std::string all = formatter.begin(facts());
  all += formatter.event(text(Type::Text, ""));
  all += formatter.event(text(Type::Text, "a\n\nb"));
  all += formatter.keep_alive();
  all += formatter.end(0, ended(ChatFinish::Stop), {});
  all += formatter.finish(facts());
  EXPECT_EQ(all.find("\n\n"), std::string::npos);
  EXPECT_TRUE(all.ends_with("}\n"));
  EXPECT_EQ(std::count(all.begin(), all.end(), '\n'), 3);
}

TEST(OllamaStream, KeepsAClientAliveWithAnEmptyPiece) {
  OllamaFormatter formatter(options());
  formatter.begin(facts());
  EXPECT_EQ(formatter.keep_alive(),
            line(R"("message":{"role":"assistant","content":""},"done":false})"));
  OllamaFormatter waiting(options());
  EXPECT_EQ(waiting.waiting(facts(), "window 1 of 2"), formatter.keep_alive());
}

TEST(OllamaStream, EndsInALineWithTheErrorsTextAlone) {
  OllamaFormatter formatter(options());
  formatter.begin(facts());
  EXPECT_EQ(formatter.error(internal_error("boom")), "{\"error\":\"boom\"}\n");
}

struct Finish {
  ChatFinish finish;
  std::string reason;
};
class OllamaFinish : public testing::TestWithParam<Finish> {};

TEST_P(OllamaFinish, IsTold) {
  OllamaFormatter formatter(options());
  formatter.begin(facts());
  formatter.end(0, ended(GetParam().finish), {});
  EXPECT_THAT(formatter.finish(facts()),
              HasSubstr(R"("done_reason":")" + GetParam().reason + "\""));
}

INSTANTIATE_TEST_SUITE_P(Rows, OllamaFinish,
                         testing::Values(Finish{ChatFinish::Stop, "stop"},
                                         Finish{ChatFinish::ToolCalls, "stop"},
                                         Finish{ChatFinish::Length, "length"},
                                         Finish{ChatFinish::Loop, "length"}));

TEST(OllamaWhole, IsOneObject) {
  Candidate candidate;
  candidate.add(text(Type::Thought, "Let"));
  candidate.add(text(Type::Text, "Hi"));
  candidate.add(call());
  candidate.end = ended(ChatFinish::ToolCalls);
  OllamaFormatter formatter(options());
  EXPECT_EQ(formatter.whole_type(), "application/json; charset=utf-8");
  EXPECT_EQ(formatter.whole(facts(), {candidate}),
            std::string(kHead) +
                R"("message":{"role":"assistant","content":"Hi","thinking":"Let","tool_calls":[)"
                R"({"id":"call_x","function":{"index":0,"name":"f","arguments":{"a":1.0}}}]},)"
                R"("done":true,"done_reason":"stop",)" +
                kSummary + "}");
}

TEST(OllamaCalls, GetAnIdOfTheirOwn) {
  auto delta = call();
  delta.event.call.id.clear();
  OllamaFormatter formatter(options());
  formatter.begin(facts());
  const auto first = formatter.event(delta), second = formatter.event(delta);
  EXPECT_THAT(first, HasSubstr(R"("id":"call_)"));
  EXPECT_NE(first, second);
}

class OllamaTokens : public testing::Test {
 protected:
  OllamaTokens() : tokenizer_(*Tokenizer::from_json(TestVocabulary::gemma4().json())) {
    facts_ = facts();
    facts_.tokenizer = &tokenizer_;
    facts_.prompt_ids = {2, 7};
  }

  DrawnToken drawn(const std::string& piece, float logprob) const {
    DrawnToken token;
    token.token.id = tokenizer_.find_piece(piece);
    token.token.logprob = logprob;
    token.token.top_logprobs = {{token.token.id, logprob}};
    return token;
  }

  const Tokenizer tokenizer_;
  AnswerFacts facts_;
};

TEST_F(OllamaTokens, AreDescribedByTheObjectThatShowsThem) {
  auto with_logprobs = options();
  with_logprobs.has_logprobs = true;
  OllamaFormatter formatter(with_logprobs);
  formatter.begin(facts_);
  auto silent = text(Type::Text, "");  // a character that is not whole yet
  silent.tokens = {drawn("a", -0.5f)};
  EXPECT_EQ(formatter.event(silent), "");
  auto delta = text(Type::Text, "ab");
  delta.tokens = {drawn("b", -1.0f), drawn("<turn|>", -0.1f)};
  EXPECT_THAT(formatter.event(delta),
              HasSubstr(R"("done":false,"logprobs":[{"token":"a","logprob":-0.5,"bytes":[97],)"
                        R"("top_logprobs":[{"token":"a","logprob":-0.5,"bytes":[97]}]},)"
                        R"({"token":"b","logprob":-1,"bytes":[98],)"
                        R"("top_logprobs":[{"token":"b","logprob":-1,"bytes":[98]}]}]})"));
  EXPECT_EQ(formatter.finish(facts_).find("logprobs"), std::string::npos);
}

TEST_F(OllamaTokens, AreNotDescribedUnasked) {
  OllamaFormatter formatter(options());
  formatter.begin(facts_);
  auto delta = text(Type::Text, "a");
  delta.tokens = {drawn("a", -0.5f)};
  EXPECT_EQ(formatter.event(delta).find("logprobs"), std::string::npos);
}

TEST_F(OllamaTokens, MakeTheContextOfGenerate) {
  auto generate = options();
  generate.is_generate = generate.has_context = true;
  OllamaFormatter formatter(generate);
  formatter.begin(facts_);
  auto delta = text(Type::Text, "a");
  delta.tokens = {drawn("a", -0.5f)};
  EXPECT_EQ(formatter.event(delta), line(R"("response":"a","done":false})"));
  formatter.end(0, ended(ChatFinish::Stop), {drawn("b", -0.5f)});
  const auto a = delta.tokens[0].token.id, b = tokenizer_.find_piece("b");
  EXPECT_EQ(formatter.finish(facts_),
            line(R"("response":"","done":true,"done_reason":"stop",)" + kSummary +
                 fmt::format(R"(,"context":[2,7,{},{}])", a, b) + "}"));
}

TEST(OllamaLoadReply, SaysWhatBecameOfTheModel) {
  EXPECT_EQ(to_json_text(ollama_load_reply("m", false, "unload", 0)),
            R"({"model":"m","created_at":"1970-01-01T00:00:00.000000000Z",)"
            R"("message":{"role":"assistant","content":""},"done":true,"done_reason":"unload"})");
  EXPECT_EQ(to_json_text(ollama_load_reply("m", true, "load", 0)),
            R"({"model":"m","created_at":"1970-01-01T00:00:00.000000000Z",)"
            R"("response":"","done":true,"done_reason":"load"})");
}

}  // namespace
}  // namespace fourfold
