#include "api/gemini_format.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <regex>

#include "tokenizer/test_vocabulary.h"

namespace fourfold {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;
using Type = ChatEvent::Type;

AnswerFacts facts(int n_candidates = 1) {
  AnswerFacts facts;
  facts.requested_model = "models/gemma4:e4b";
  facts.model = "gemma-4-e4b-it";
  facts.prompt_tokens = 12;
  facts.n_candidates = n_candidates;
  return facts;
}

ChatDelta delta(Type type, std::string text, int candidate = 0) {
  ChatDelta delta;
  delta.candidate = candidate;
  delta.event.type = type;
  delta.event.text = std::move(text);
  return delta;
}

ChatDelta call(std::string name, std::string arguments = "{}", std::string id = "k3v9") {
  ChatDelta delta;
  delta.event.type = Type::Call;
  delta.event.call.id = std::move(id);
  delta.event.call.name = std::move(name);
  delta.event.call.arguments = *parse_json_value(arguments);
  return delta;
}

CandidateEnd ended(ChatFinish finish = ChatFinish::Stop) {
  CandidateEnd end;
  end.finish = finish;
  end.usage = {.thought_tokens = 4, .answer_tokens = 5, .call_tokens = 2};
  return end;
}

const Sealer& sealer() {
  static const Sealer sealer = *Sealer::open("");
  return sealer;
}

// What a client gets of a stream of one candidate.
std::string streamed(GeminiFormatOptions options, const std::vector<ChatDelta>& deltas,
                     const CandidateEnd& end = ended()) {
  GeminiFormatter formatter(std::move(options));
  std::string out = formatter.begin(facts());
  for (const auto& one : deltas) out += formatter.event(one);
  out += formatter.end(0, end, {});
  return out + formatter.finish(facts());
}

std::vector<JsonValue> chunks(const std::string& stream) {
  std::vector<JsonValue> out;
  constexpr std::string_view kData = "data: ", kEnd = "\r\n\r\n";
  for (std::size_t at = 0; at < stream.size();) {
    const auto end = stream.find(kEnd, at);
    EXPECT_EQ(stream.compare(at, kData.size(), kData), 0);
    if (end == stream.npos) break;
    out.push_back(*parse_json_value(stream.substr(at + kData.size(), end - at - kData.size())));
    at = end + kEnd.size();
  }
  return out;
}

const JsonValue& candidate_of(const JsonValue& chunk, std::size_t i = 0) {
  return chunk.find("candidates")->items[i];
}
const std::vector<JsonValue>& parts_of(const JsonValue& chunk) {
  return candidate_of(chunk).find("content")->find("parts")->items;
}
std::string finish_of(const JsonValue& chunk) {
  const JsonValue* reason = candidate_of(chunk).find("finishReason");
  return reason ? reason->text : "";
}

// The rules of 2.8.
void expect_valid(const JsonValue& chunk) {
  const auto& parts = parts_of(chunk);
  ASSERT_EQ(parts.size(), 1u);
  EXPECT_FALSE(parts[0].members.empty());
  EXPECT_EQ(candidate_of(chunk).find("content")->find("role")->text, "model");
  for (const auto& [key, value] : parts[0].members) {
    EXPECT_TRUE(key == "text" || key == "thought" || key == "thoughtSignature" ||
                key == "functionCall")
        << key;
  }
}

const std::vector<ChatDelta> kThinksSaysCalls = {
    delta(Type::Thought, "hm"),        delta(Type::Text, "Hel"),         delta(Type::Text, "lo\n"),
    delta(Type::CallStarted, ""),      delta(Type::CallArguments, "{}"), call("f"),
    call("g", R"({"b":1.0,"a":"x"})"), delta(Type::Malformed, "broken")};

GeminiFormatOptions with_thoughts() {
  return {.include_thoughts = true, .declared_tools = {"f", "g"}, .sealer = &sealer()};
}

TEST(GeminiStream, EveryChunkIsWhatClientsKeep) {
  const auto stream = streamed(with_thoughts(), kThinksSaysCalls);
  EXPECT_TRUE(std::regex_match(stream, std::regex("(data: \\{.*\\}\r\n\r\n)+")));
  EXPECT_THAT(stream, Not(HasSubstr("[DONE]")));
  const auto all = chunks(stream);
  ASSERT_EQ(all.size(), 6u);
  for (const auto& chunk : all) {
    expect_valid(chunk);
    EXPECT_EQ(chunk.find("modelVersion")->text, "gemma-4-e4b-it");
    EXPECT_EQ(chunk.find("responseId")->text, all[0].find("responseId")->text);
    EXPECT_EQ(finish_of(chunk), &chunk == &all.back() ? "STOP" : "");
  }
  EXPECT_EQ(to_json_text(parts_of(all[0])[0]), R"({"text":"hm","thought":true})");
  EXPECT_EQ(to_json_text(parts_of(all[2])[0]), R"({"text":"lo\n"})");
  EXPECT_EQ(to_json_text(*parts_of(all[4])[0].find("functionCall")),
            R"({"id":"k3v9","name":"g","args":{"b":1.0,"a":"x"}})");
  EXPECT_EQ(to_json_text(parts_of(all[5])[0]), R"({"text":""})");
}

TEST(GeminiStream, TheLastChunkHasTheUsage) {
  const auto all = chunks(streamed(with_thoughts(), kThinksSaysCalls));
  EXPECT_EQ(to_json_text(*all.back().find("usageMetadata")),
            R"({"promptTokenCount":12,"candidatesTokenCount":7,"thoughtsTokenCount":4,)"
            R"("totalTokenCount":23,"promptTokensDetails":[{"modality":"TEXT","tokenCount":12}]})");
}

TEST(GeminiStream, ThoughtsAreSealedOnTheFirstCallElseOnTheLastText) {
  const auto with_call = chunks(streamed(with_thoughts(), kThinksSaysCalls));
  const JsonValue* signature = parts_of(with_call[3])[0].find("thoughtSignature");
  ASSERT_NE(signature, nullptr);
  EXPECT_EQ(sealer().open_sealed(signature->text), "hm");
  EXPECT_EQ(parts_of(with_call[4])[0].find("thoughtSignature"), nullptr);

  auto hidden = with_thoughts();
  hidden.include_thoughts = false;
  const auto with_text =
      chunks(streamed(hidden, {delta(Type::Thought, "hm"), delta(Type::Text, "Hi")}));
  ASSERT_EQ(with_text.size(), 2u);
  EXPECT_EQ(to_json_text(parts_of(with_text[0])[0]), R"({"text":"Hi"})");
  EXPECT_EQ(sealer().open_sealed(parts_of(with_text[1])[0].find("thoughtSignature")->text), "hm");

  const auto without = chunks(streamed(hidden, {delta(Type::Text, "Hi")}));
  EXPECT_EQ(to_json_text(parts_of(without[1])[0]), R"({"text":""})");
}

TEST(GeminiStream, AnEmptyAnswerIsOneEmptyText) {
  const auto all = chunks(streamed({}, {}));
  ASSERT_EQ(all.size(), 1u);
  EXPECT_EQ(to_json_text(parts_of(all[0])[0]), R"({"text":""})");
}

struct FinishRow {
  std::vector<ChatDelta> deltas;
  ChatFinish finish;
  std::string reason;
};

class GeminiFinish : public testing::TestWithParam<FinishRow> {};

TEST_P(GeminiFinish, IsTheSameWholeAndStreamed) {
  const auto& row = GetParam();
  EXPECT_EQ(finish_of(chunks(streamed(with_thoughts(), row.deltas, ended(row.finish))).back()),
            row.reason);
  Candidate candidate;
  for (const auto& one : row.deltas) candidate.add(one);
  candidate.end = ended(row.finish);
  GeminiFormatter formatter(with_thoughts());
  const auto whole = *parse_json_value(formatter.whole(facts(), {candidate}));
  EXPECT_EQ(finish_of(whole), row.reason);
  EXPECT_FALSE(parts_of(whole).empty());
}

INSTANTIATE_TEST_SUITE_P(
    Rows, GeminiFinish,
    testing::Values(
        FinishRow{{delta(Type::Text, "Hi")}, ChatFinish::Stop, "STOP"},
        FinishRow{{call("f")}, ChatFinish::ToolCalls, "STOP"},
        FinishRow{{call("x")}, ChatFinish::ToolCalls, "UNEXPECTED_TOOL_CALL"},
        FinishRow{{delta(Type::Malformed, "call:f{")}, ChatFinish::Stop, "MALFORMED_FUNCTION_CALL"},
        FinishRow{{delta(Type::Malformed, "call:f{")}, ChatFinish::Length, "MAX_TOKENS"},
        FinishRow{{call("f"), delta(Type::Malformed, "x")}, ChatFinish::ToolCalls, "STOP"},
        FinishRow{{}, ChatFinish::Length, "MAX_TOKENS"}, FinishRow{{}, ChatFinish::Loop, "OTHER"}));

TEST(GeminiStream, CandidatesHaveTheirIndexAndOneFinishEach) {
  GeminiFormatter formatter({});
  std::string stream = formatter.begin(facts(2));
  stream += formatter.event(delta(Type::Text, "a", 0));
  stream += formatter.event(delta(Type::Text, "b", 1));
  stream += formatter.end(1, ended(), {});
  stream += formatter.end(0, ended(ChatFinish::Length), {});
  stream += formatter.finish(facts(2));
  const auto all = chunks(stream);
  ASSERT_EQ(all.size(), 4u);
  std::vector<std::string> said;
  for (const auto& chunk : all) {
    said.push_back(candidate_of(chunk).find("index")->text + finish_of(chunk));
  }
  EXPECT_THAT(said, ElementsAre("0", "1", "1STOP", "0MAX_TOKENS"));
  EXPECT_EQ(all[3].find("usageMetadata")->find("totalTokenCount")->text, "34");  // 12 + 2 · 11
}

TEST(GeminiStream, AnArrayIsOneWhenItEnds) {
  GeminiFormatOptions array;
  array.is_sse = false;
  const auto stream = streamed(array, {delta(Type::Text, "a"), delta(Type::Text, "b")});
  const auto json = parse_json_value(stream);
  ASSERT_TRUE(json.ok()) << stream;
  EXPECT_EQ(json->items.size(), 3u);
  EXPECT_EQ(finish_of(json->items[2]), "STOP");
  EXPECT_THAT(stream, HasSubstr("},\n{"));
  EXPECT_EQ(GeminiFormatter(array).stream_type(), "application/json; charset=UTF-8");
  EXPECT_EQ(GeminiFormatter({}).stream_type(), "text/event-stream");
}

TEST(GeminiStream, AnErrorEndsIt) {
  const Error error{Code::Unavailable, "gone"};
  GeminiFormatter events({});
  events.begin(facts());
  EXPECT_EQ(events.error(error),
            "data: {\"error\":{\"code\":503,\"message\":\"gone\",\"status\":\"UNAVAILABLE\","
            "\"details\":[{\"@type\":\"type.googleapis.com/google.rpc.RetryInfo\","
            "\"retryDelay\":\"1s\"}]}}\r\n\r\n");
  GeminiFormatOptions array;
  array.is_sse = false;
  GeminiFormatter items(array);
  std::string stream = items.begin(facts());
  stream += items.event(delta(Type::Text, "a"));
  stream += items.error(error);
  const auto json = parse_json_value(stream);
  ASSERT_TRUE(json.ok()) << stream;
  EXPECT_EQ(json->items[1].find("error")->find("code")->text, "503");
  GeminiFormatter silent(array);
  silent.begin(facts());
  EXPECT_TRUE(parse_json_value(silent.error(error)).ok());
}

TEST(GeminiStream, SilenceIsFilledWithAnEmptyThought) {
  GeminiFormatter formatter({});
  formatter.begin(facts());
  const auto all = chunks(formatter.keep_alive());
  ASSERT_EQ(all.size(), 1u);
  EXPECT_EQ(to_json_text(parts_of(all[0])[0]), R"({"text":"","thought":true})");
  EXPECT_EQ(formatter.keep_alive_after_s(), 20);
}

TEST(GeminiStream, HasOneIdThoughItsClientWaitedBeforeItBegan) {
  GeminiFormatter formatter({});
  AnswerFacts early = facts();
  early.prompt_tokens = 0;
  std::string stream = formatter.waiting(early, "window 1 of 2");
  stream += formatter.waiting(early, "window 2 of 2");
  stream += formatter.begin(facts());
  stream += formatter.event(delta(Type::Text, "a"));
  const auto all = chunks(stream);
  ASSERT_EQ(all.size(), 3u);
  EXPECT_EQ(to_json_text(parts_of(all[1])[0]), R"({"text":"","thought":true})");
  for (const auto& chunk : all) EXPECT_EQ(*chunk.find("responseId"), *all[0].find("responseId"));
  EXPECT_EQ(all[2].find("usageMetadata")->find("promptTokenCount")->text,
            std::to_string(facts().prompt_tokens));
}

TEST(GeminiWhole, HasItsPartsInOrder) {
  Candidate candidate;
  for (const auto& one :
       {delta(Type::Thought, "h"), delta(Type::Thought, "m"), delta(Type::Text, "Hello"), call("f"),
        delta(Type::Text, "and"), call("g", R"({"a":1})", "")}) {
    candidate.add(one);
  }
  candidate.end = ended(ChatFinish::ToolCalls);
  GeminiFormatter formatter(with_thoughts());
  auto cached = facts();
  cached.cached_tokens = 8;
  const auto whole = *parse_json_value(formatter.whole(cached, {candidate}));
  const auto& parts = parts_of(whole);
  ASSERT_EQ(parts.size(), 5u);
  EXPECT_EQ(to_json_text(parts[0]), R"({"text":"hm","thought":true})");
  EXPECT_EQ(to_json_text(parts[1]), R"({"text":"Hello"})");
  EXPECT_EQ(sealer().open_sealed(parts[2].find("thoughtSignature")->text), "hm");
  EXPECT_EQ(to_json_text(parts[3]), R"({"text":"and"})");
  EXPECT_THAT(parts[4].find("functionCall")->find("id")->text, testing::MatchesRegex("[a-z0-9]+"));
  EXPECT_EQ(parts[4].find("thoughtSignature"), nullptr);
  EXPECT_EQ(finish_of(whole), "STOP");
  EXPECT_EQ(whole.find("usageMetadata")->find("cachedContentTokenCount")->text, "8");
  EXPECT_EQ(formatter.whole_type(), "application/json; charset=UTF-8");
}

TEST(GeminiWhole, AHiddenThoughtLeavesOnlyItsSeal) {
  Candidate candidate;
  candidate.add(delta(Type::Thought, "hm"));
  candidate.end = ended();
  GeminiFormatOptions options;
  options.sealer = &sealer();
  GeminiFormatter formatter(options);
  const auto whole = *parse_json_value(formatter.whole(facts(), {candidate, {}}));
  ASSERT_EQ(parts_of(whole).size(), 1u);
  EXPECT_EQ(parts_of(whole)[0].find("text")->text, "");
  EXPECT_EQ(sealer().open_sealed(parts_of(whole)[0].find("thoughtSignature")->text), "hm");
  EXPECT_EQ(candidate_of(whole, 1).find("index")->text, "1");
  EXPECT_EQ(to_json_text(candidate_of(whole, 1).find("content")->find("parts")->items[0]),
            R"({"text":""})");
}

TEST(GeminiLogprobs, TellOfTheTokensOfTheirChunk) {
  const auto vocabulary = TestVocabulary::gemma4();
  const auto tokenizer = Tokenizer::from_json(vocabulary.json());
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.error().message;
  const TokenId a = vocabulary.id("a"), b = vocabulary.id("b");
  const auto drawn = [&](TokenId id, float logprob, Channel channel) {
    DrawnToken token;
    token.token.id = id;
    token.token.logprob = logprob;
    token.token.top_logprobs = {{id, logprob}, {b, -2.0f}};
    token.channel = channel;
    return token;
  };
  auto with_tokenizer = facts();
  with_tokenizer.tokenizer = &*tokenizer;
  GeminiFormatOptions options;
  options.has_logprobs = true;
  GeminiFormatter formatter(options);
  std::string stream = formatter.begin(with_tokenizer);
  auto thought = delta(Type::Thought, "x");
  thought.tokens = {drawn(b, -9.0f, Channel::Thought)};
  auto said = delta(Type::Text, "a");
  said.tokens = {drawn(a, -0.5f, Channel::Answer)};
  stream += formatter.event(thought);
  stream += formatter.event(said);
  stream += formatter.end(0, ended(), {drawn(a, -1.5f, Channel::Answer)});
  const auto all = chunks(stream);
  ASSERT_EQ(all.size(), 2u);
  EXPECT_EQ(to_json_text(*candidate_of(all[0]).find("logprobsResult")),
            fmt::format(R"({{"chosenCandidates":[{{"token":"a","tokenId":{0},"logProbability":)"
                        R"(-0.5}}],"topCandidates":[{{"candidates":[{{"token":"a","tokenId":{0},)"
                        R"("logProbability":-0.5}},{{"token":"b","tokenId":{1},"logProbability":)"
                        R"(-2}}]}}],"logProbabilitySum":-0.5}})",
                        a, b));
  EXPECT_EQ(candidate_of(all[1]).find("avgLogprobs")->text, "-1");
}

}  // namespace
}  // namespace fourfold
