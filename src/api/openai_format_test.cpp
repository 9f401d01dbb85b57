#include "api/openai_format.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "api/openai_completion_format.h"
#include "tokenizer/test_vocabulary.h"

namespace fourfold {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using Type = ChatEvent::Type;

AnswerFacts facts(int n_candidates = 1) {
  AnswerFacts facts;
  facts.requested_model = "gemma-4-e4b-it";
  facts.created_s = 1790000000;
  facts.prompt_tokens = 12;
  facts.cached_tokens = 4;
  facts.thinks = true;
  facts.n_candidates = n_candidates;
  return facts;
}

ChatDelta say(Type type, std::string text, int candidate = 0) {
  ChatDelta delta{.candidate = candidate};
  delta.event.type = type;
  delta.event.text = std::move(text);
  return delta;
}

ChatDelta call(std::string name, std::string_view arguments) {
  ChatDelta delta;
  delta.event.type = Type::Call;
  delta.event.call.name = std::move(name);
  delta.event.call.arguments = parse_json_value(arguments).value();
  return delta;
}

CandidateEnd ended(ChatFinish finish) {
  return {.finish = finish,
          .usage = {.thought_tokens = 20, .answer_tokens = 3, .call_tokens = 2},
          .prefill_ms = 4.0,
          .decode_ms = 100.0};
}

Candidate candidate_of(const std::vector<ChatDelta>& deltas, ChatFinish finish) {
  Candidate candidate;
  for (const auto& delta : deltas) candidate.add(delta);
  candidate.end = ended(finish);
  return candidate;
}

// The JSON of every event of a stream; the framing is checked on the way.
std::vector<JsonValue> events_of(const std::string& stream) {
  std::vector<JsonValue> events;
  std::string_view rest = stream;
  while (!rest.empty()) {
    const auto end = rest.find("\n\n");
    EXPECT_NE(end, rest.npos);
    const std::string_view event = rest.substr(0, end);
    EXPECT_TRUE(event.starts_with("data: ")) << event;
    EXPECT_EQ(event.find('\n'), event.npos) << event;
    rest.remove_prefix(end + 2);
    if (event == "data: [DONE]") {
      EXPECT_TRUE(rest.empty());
      break;
    }
    auto value = parse_json_value(event.substr(6));
    EXPECT_TRUE(value.ok()) << event;
    events.push_back(std::move(*value));
  }
  return events;
}

const JsonValue& at(const JsonValue& value, std::initializer_list<std::string_view> path) {
  static const JsonValue kNone;
  const JsonValue* here = &value;
  for (const auto key : path) {
    if (here->is_array()) {
      const auto index = static_cast<std::size_t>(key.front() - '0');
      here = index < here->items.size() ? &here->items[index] : nullptr;
    } else {
      here = here->find(key);
    }
    if (!here) return kNone;
  }
  return *here;
}

std::string stream_of(OpenAiChatFormatter& formatter, const std::vector<ChatDelta>& deltas,
                      ChatFinish finish) {
  std::string out = formatter.begin(facts());
  for (const auto& delta : deltas) out += formatter.event(delta);
  out += formatter.end(0, ended(finish), {});
  return out + formatter.finish(facts());
}

std::vector<std::string> deltas_of(const std::vector<JsonValue>& events) {
  std::vector<std::string> out;
  for (const auto& event : events) {
    if (!at(event, {"choices"}).items.empty()) {
      out.push_back(to_json_text(at(event, {"choices", "0", "delta"})));
    }
  }
  return out;
}

TEST(OpenAiChatStream, SaysWhatTheTableAsksFor) {
  OpenAiChatFormatter formatter({.style = {.include_usage = true}});
  const auto events = events_of(stream_of(
      formatter, {say(Type::Thought, "hm"), say(Type::Text, "Hi"), call("f", R"({"a":1.0})")},
      ChatFinish::ToolCalls));
  ASSERT_EQ(events.size(), 7u);

  // One id, one head, one choice list in every chunk.
  for (const auto& event : events) {
    EXPECT_THAT(at(event, {"id"}).text, testing::MatchesRegex("chatcmpl-[0-9A-Za-z]{24}"));
    EXPECT_EQ(at(event, {"id"}), at(events[0], {"id"}));
    EXPECT_EQ(at(event, {"object"}).text, "chat.completion.chunk");
    EXPECT_EQ(at(event, {"created"}).text, "1790000000");
    EXPECT_EQ(at(event, {"model"}).text, "gemma-4-e4b-it");
    EXPECT_TRUE(at(event, {"choices"}).is_array());
  }
  const std::string id = at(events[3], {"choices", "0", "delta", "tool_calls", "0", "id"}).text;
  EXPECT_THAT(id, testing::MatchesRegex("call_[0-9A-Za-z]{24}"));
  EXPECT_THAT(
      deltas_of(events),
      ElementsAre(R"({"role":"assistant","content":""})", R"({"reasoning_content":"hm"})",
                  R"({"content":"Hi"})",
                  R"({"tool_calls":[{"index":0,"id":")" + id +
                      R"(","type":"function","function":{"name":"f","arguments":""}}]})",
                  R"({"tool_calls":[{"index":0,"function":{"arguments":"{\"a\":1.0}"}}]})", "{}"));
  for (std::size_t i = 0; i < 5; ++i) {
    EXPECT_TRUE(at(events[i], {"choices", "0", "finish_reason"}).is_null());
  }
  EXPECT_EQ(at(events[5], {"choices", "0", "finish_reason"}).text, "tool_calls");
  EXPECT_EQ(to_json_text(at(events[6], {"choices"})), "[]");
  EXPECT_EQ(to_json_text(at(events[6], {"usage"})),
            R"({"prompt_tokens":12,"completion_tokens":25,"total_tokens":37,)"
            R"("prompt_tokens_details":{"cached_tokens":4,"audio_tokens":0},)"
            R"("completion_tokens_details":{"reasoning_tokens":20,"audio_tokens":0,)"
            R"("accepted_prediction_tokens":0,"rejected_prediction_tokens":0}})");
}

TEST(OpenAiChatStream, HasNoUsageUnlessAsked) {
  OpenAiChatFormatter formatter({});
  const auto stream = stream_of(formatter, {say(Type::Text, "a")}, ChatFinish::Stop);
  EXPECT_THAT(stream, Not(HasSubstr("usage")));
  EXPECT_THAT(stream, testing::EndsWith("data: [DONE]\n\n"));
}

TEST(OpenAiChatStream, CountsCalls) {
  OpenAiChatFormatter formatter({});
  const auto events =
      events_of(stream_of(formatter, {call("f", "{}"), call("g", "{}")}, ChatFinish::ToolCalls));
  EXPECT_EQ(at(events[3], {"choices", "0", "delta", "tool_calls", "0", "index"}).text, "1");
  EXPECT_EQ(at(events[2], {"choices", "0", "delta", "tool_calls", "0", "function", "arguments"}),
            JsonValue::of("{}"));
}

TEST(OpenAiChatStream, InterleavesCandidates) {
  OpenAiChatFormatter formatter({.style = {.include_usage = true}});
  std::string stream = formatter.begin(facts(2));
  stream += formatter.event(say(Type::Text, "a", 1));
  stream += formatter.event(say(Type::Text, "b", 0));
  stream += formatter.end(1, ended(ChatFinish::Stop), {});
  stream += formatter.end(0, ended(ChatFinish::Length), {});
  stream += formatter.finish(facts(2));
  const auto events = events_of(stream);
  ASSERT_EQ(events.size(), 7u);
  std::string order;
  for (std::size_t i = 0; i < 6; ++i) order += at(events[i], {"choices", "0", "index"}).text;
  EXPECT_EQ(order, "011010");
  EXPECT_EQ(at(events[5], {"choices", "0", "finish_reason"}).text, "length");
  EXPECT_EQ(at(events[6], {"usage", "completion_tokens"}).text, "50");
  EXPECT_EQ(at(events[6], {"usage", "prompt_tokens"}).text, "12");
}

TEST(OpenAiChatStream, ErrorsAndKeepAlivesAreNoChunks) {
  OpenAiChatFormatter formatter({.request_id = "req_1"});
  formatter.begin(facts());
  const auto events = events_of(formatter.error(Error{Code::DeadlineExceeded, "too late"}));
  ASSERT_EQ(events.size(), 1u);
  EXPECT_EQ(at(events[0], {"error", "message"}).text, "too late");
  EXPECT_EQ(at(events[0], {"error", "code"}).text, "timeout");
  EXPECT_EQ(formatter.keep_alive(), ": keep-alive\n\n");
}

TEST(OpenAiChatStream, SaysHowFarItIsBeforeItBegins) {
  OpenAiChatFormatter formatter({.request_id = "req_1"});
  EXPECT_EQ(formatter.waiting(facts(), "window 1 of 2"), ": window 1 of 2\n\n");
  EXPECT_EQ(events_of(formatter.begin(facts())).size(), 1u);
}

struct FieldCase {
  const char* field;
  const char* delta;
};

class OpenAiReasoningField : public testing::TestWithParam<FieldCase> {};

TEST_P(OpenAiReasoningField, IsASetting) {
  OpenAiChatFormatter formatter({.reasoning_field = GetParam().field});
  formatter.begin(facts());
  const auto stream = formatter.event(say(Type::Thought, "a"));
  if (!*GetParam().delta) {
    EXPECT_EQ(stream, "");
    return;
  }
  EXPECT_THAT(deltas_of(events_of(stream)), ElementsAre(GetParam().delta));
}

INSTANTIATE_TEST_SUITE_P(
    Settings, OpenAiReasoningField,
    testing::Values(FieldCase{"reasoning_content", R"({"reasoning_content":"a"})"},
                    FieldCase{"reasoning", R"({"reasoning":"a"})"},
                    FieldCase{"both", R"({"reasoning_content":"a","reasoning":"a"})"},
                    FieldCase{"none", ""}));

TEST(OpenAiChatStream, HidesThoughtsOnDemandAndThoseUnasked) {
  OpenAiChatFormatter formatter({.style = {.shows_thoughts = false}});
  formatter.begin(facts());
  EXPECT_EQ(formatter.event(say(Type::Thought, "a")), "");
  OpenAiChatFormatter unasked({});
  AnswerFacts answer = facts();
  answer.thinks = false;
  unasked.begin(answer);
  EXPECT_EQ(unasked.event(say(Type::Thought, "a")), "");
}

// A call that cannot be read is shown as text, unless there is something else or a limit cut it.
TEST(OpenAiChatStream, ShowsMalformedCallsOnlyIfNothingElseIsSaid) {
  const auto content = [](const std::vector<ChatDelta>& deltas, ChatFinish finish) {
    OpenAiChatFormatter formatter({});
    return deltas_of(events_of(stream_of(formatter, deltas, finish)));
  };
  const auto broken = say(Type::Malformed, "call:f{");
  EXPECT_THAT(content({broken}, ChatFinish::Stop),
              ElementsAre(testing::_, R"({"content":"call:f{"})", "{}"));
  EXPECT_THAT(content({broken}, ChatFinish::Length), ElementsAre(testing::_, "{}"));
  EXPECT_THAT(content({say(Type::Text, "a"), broken}, ChatFinish::Stop),
              ElementsAre(testing::_, R"({"content":"a"})", "{}"));
}

TEST(OpenAiChatStream, CustomToolsHaveTheirOwnForm) {
  OpenAiChatStyle style;
  style.tool_names.add_plain("patch", true);
  OpenAiChatFormatter formatter({.style = style});
  formatter.begin(facts());
  const auto deltas = deltas_of(events_of(formatter.event(call("patch", R"({"input":"x"})"))));
  ASSERT_EQ(deltas.size(), 2u);
  EXPECT_THAT(deltas[0], HasSubstr(R"("type":"custom","custom":{"name":"patch","input":""})"));
  EXPECT_EQ(deltas[1], R"({"tool_calls":[{"index":0,"custom":{"input":"x"}}]})");
}

TEST(OpenAiChatStream, OldClientsGetOneFunctionCall) {
  OpenAiChatFormatter formatter({.style = {.is_legacy = true}});
  const auto events =
      events_of(stream_of(formatter, {call("f", R"({"a":1})")}, ChatFinish::ToolCalls));
  EXPECT_THAT(
      deltas_of(events),
      ElementsAre(testing::_, R"({"function_call":{"name":"f","arguments":"{\"a\":1}"}})", "{}"));
  EXPECT_EQ(at(events[2], {"choices", "0", "finish_reason"}).text, "function_call");
}

TEST(OpenAiChatStream, SealsTheThoughtIntoTheFirstCall) {
  const Sealer sealer(Sealer::Key{});
  OpenAiChatFormatter formatter({.sealer = &sealer});
  const auto events =
      events_of(stream_of(formatter, {say(Type::Thought, "hm"), call("f", "{}"), call("g", "{}")},
                          ChatFinish::ToolCalls));
  const auto& signature = at(events[2], {"choices", "0", "delta", "tool_calls", "0",
                                         "extra_content", "google", "thought_signature"});
  EXPECT_EQ(sealer.open_sealed(signature.text), "hm");
  EXPECT_TRUE(
      at(events[4], {"choices", "0", "delta", "tool_calls", "0", "extra_content"}).is_null());
}

// ---- whole ----

JsonValue whole_of(OpenAiChatFormat format, const Candidate& candidate) {
  OpenAiChatFormatter formatter(std::move(format));
  return parse_json_value(formatter.whole(facts(), {candidate})).value();
}

TEST(OpenAiChatReply, HasAllThatClientsRead) {
  const auto body = whole_of(
      {}, candidate_of({say(Type::Thought, "hm"), say(Type::Text, "H"), say(Type::Text, "i")},
                       ChatFinish::Stop));
  EXPECT_EQ(at(body, {"object"}).text, "chat.completion");
  EXPECT_THAT(at(body, {"system_fingerprint"}).text, testing::StartsWith("b"));
  EXPECT_EQ(
      to_json_text(at(body, {"choices"})),
      R"([{"index":0,"message":{"role":"assistant","content":"Hi","refusal":null,)"
      R"("annotations":[],"reasoning_content":"hm"},"logprobs":null,"finish_reason":"stop"}])");
  EXPECT_EQ(at(body, {"usage", "total_tokens"}).text, "37");
  EXPECT_EQ(to_json_text(at(body, {"timings"})),
            R"({"cache_n":4,"prompt_n":8,"prompt_ms":4,"prompt_per_second":2000,)"
            R"("predicted_n":25,"predicted_ms":100,"predicted_per_second":250})");
}

TEST(OpenAiChatReply, ContentIsNullOnlyBesideCalls) {
  const auto calls = whole_of({}, candidate_of({call("f", "{}")}, ChatFinish::ToolCalls));
  EXPECT_TRUE(at(calls, {"choices", "0", "message", "content"}).is_null());
  EXPECT_EQ(at(calls, {"choices", "0", "message", "tool_calls", "0", "function", "arguments"}).text,
            "{}");
  const auto empty = whole_of({}, candidate_of({}, ChatFinish::Stop));
  EXPECT_EQ(at(empty, {"choices", "0", "message", "content"}), JsonValue::of(""));
  EXPECT_EQ(empty.find("choices")->items[0].find("message")->find("tool_calls"), nullptr);
}

struct FinishCase {
  ChatFinish finish;
  bool calls;
  const char* reason;
};

class OpenAiFinishReason : public testing::TestWithParam<FinishCase> {};

TEST_P(OpenAiFinishReason, FollowsTheTable) {
  std::vector<ChatDelta> deltas = {say(Type::Text, "a")};
  if (GetParam().calls) deltas.push_back(call("undeclared", "{}"));
  const auto body = whole_of({}, candidate_of(deltas, GetParam().finish));
  EXPECT_EQ(at(body, {"choices", "0", "finish_reason"}).text, GetParam().reason);
}

INSTANTIATE_TEST_SUITE_P(Table, OpenAiFinishReason,
                         testing::Values(FinishCase{ChatFinish::Stop, false, "stop"},
                                         FinishCase{ChatFinish::ToolCalls, true, "tool_calls"},
                                         FinishCase{ChatFinish::Length, false, "length"},
                                         FinishCase{ChatFinish::Length, true, "length"},
                                         FinishCase{ChatFinish::Loop, false, "length"}));

// ---- log probabilities ----

struct WithTokens {
  TestVocabulary vocabulary = TestVocabulary::gemma4();
  Tokenizer tokenizer = Tokenizer::from_json(vocabulary.json()).value();

  DrawnToken token(const std::string& piece, float logprob,
                   Channel channel = Channel::Answer) const {
    DrawnToken drawn;
    drawn.token.id = vocabulary.id(piece);
    drawn.token.logprob = logprob;
    drawn.token.top_logprobs = {{drawn.token.id, logprob}, {vocabulary.id("x"), -2.5f}};
    drawn.channel = channel;
    return drawn;
  }
  AnswerFacts facts_with_tokenizer() const {
    AnswerFacts out = facts();
    out.tokenizer = &tokenizer;
    return out;
  }
};

TEST(OpenAiLogprobs, StandBesideTheirText) {
  const WithTokens with;
  OpenAiChatFormatter formatter({.style = {.has_logprobs = true}});
  formatter.begin(with.facts_with_tokenizer());
  ChatDelta delta = say(Type::Text, "a");
  delta.tokens = {with.token("b", -1.0f, Channel::Call), with.token("a", -0.5f)};
  const auto events = events_of(formatter.event(delta));
  EXPECT_EQ(
      to_json_text(at(events[0], {"choices", "0", "logprobs"})),
      R"({"content":[{"token":"a","bytes":[97],"logprob":-0.5,"top_logprobs":[)"
      R"({"token":"a","bytes":[97],"logprob":-0.5},{"token":"x","bytes":[120],"logprob":-2.5}]}],)"
      R"("refusal":null})");
}

TEST(OpenAiLogprobs, LeaveOutMarkersAndHiddenThoughts) {
  const WithTokens with;
  Candidate candidate = candidate_of({say(Type::Text, "a")}, ChatFinish::Stop);
  candidate.tokens = {with.token("t", -1.0f, Channel::Thought), with.token("a", -1.0f),
                      with.token("<turn|>", -1.0f)};
  const auto count = [&](bool shows) {
    OpenAiChatFormatter formatter({.style = {.shows_thoughts = shows, .has_logprobs = true}});
    const auto body =
        parse_json_value(formatter.whole(with.facts_with_tokenizer(), {candidate})).value();
    return at(body, {"choices", "0", "logprobs", "content"}).items.size();
  };
  EXPECT_EQ(count(false), 1u);
  EXPECT_EQ(count(true), 2u);
}

// ---- completions ----

TEST(CompletionReply, HasAllThatClientsRead) {
  CompletionFormatter formatter({}, 1, "");
  const auto body =
      parse_json_value(
          formatter.whole(facts(), {candidate_of({say(Type::Text, "Hi")}, ChatFinish::Length)}))
          .value();
  EXPECT_THAT(at(body, {"id"}).text, testing::StartsWith("cmpl-"));
  EXPECT_EQ(at(body, {"object"}).text, "text_completion");
  EXPECT_EQ(to_json_text(at(body, {"choices"})),
            R"([{"text":"Hi","index":0,"logprobs":null,"finish_reason":"length"}])");
  EXPECT_EQ(at(body, {"usage", "total_tokens"}).text, "37");
}

TEST(CompletionReply, EchoesThePromptWithOffsets) {
  const WithTokens with;
  AnswerFacts answer = with.facts_with_tokenizer();
  answer.prompt_ids = with.tokenizer.with_bos(with.tokenizer.encode("hello", Trust::Untrusted));
  Candidate candidate = candidate_of({say(Type::Text, "ab")}, ChatFinish::Stop);
  candidate.tokens = {with.token("a", -1.0f), with.token("b", -2.0f)};
  CompletionFormatter formatter({.echo = true, .n_logprobs = 1}, 1, "");
  const auto body = parse_json_value(formatter.whole(answer, {candidate})).value();
  EXPECT_EQ(at(body, {"choices", "0", "text"}).text, "helloab");
  EXPECT_EQ(to_json_text(at(body, {"choices", "0", "logprobs"})),
            R"({"tokens":["hello","a","b"],"token_logprobs":[null,-1,-2],)"
            R"("top_logprobs":[null,{"a":-1,"x":-2.5},{"b":-2,"x":-2.5}],"text_offset":[0,5,6]})");
}

TEST(CompletionReply, ShowsTheLikeliestOfManyCandidates) {
  const auto candidate = [](std::string text, float logprob) {
    Candidate out = candidate_of({say(Type::Text, std::move(text))}, ChatFinish::Stop);
    DrawnToken drawn;
    drawn.token.logprob = logprob;
    out.tokens = {drawn};
    return out;
  };
  CompletionFormatter formatter({.n_shown = 1}, 1, "");
  const auto body = parse_json_value(formatter.whole(facts(), {candidate("worse", -2.0f),
                                                               candidate("better", -1.0f)}))
                        .value();
  ASSERT_EQ(at(body, {"choices"}).items.size(), 1u);
  EXPECT_EQ(at(body, {"choices", "0", "text"}).text, "better");
  EXPECT_EQ(at(body, {"usage", "completion_tokens"}).text, "50");
}

TEST(CompletionStream, NumbersTheChoicesOfAllPrompts) {
  CompletionFormatter formatter({.include_usage = true}, 2, "");
  std::string stream;
  for (const auto* text : {"a", "b"}) {
    stream += formatter.begin(facts());
    stream += formatter.event(say(Type::Text, text));
    stream += formatter.end(0, ended(ChatFinish::Stop), {});
    stream += formatter.finish(facts());
  }
  const auto events = events_of(stream);
  ASSERT_EQ(events.size(), 5u);
  EXPECT_EQ(to_json_text(at(events[2], {"choices"})),
            R"([{"text":"b","index":1,"logprobs":null,"finish_reason":null}])");
  EXPECT_EQ(at(events[3], {"choices", "0", "finish_reason"}).text, "stop");
  EXPECT_EQ(at(events[4], {"usage", "prompt_tokens"}).text, "24");
  EXPECT_THAT(stream, testing::EndsWith("data: [DONE]\n\n"));
}

}  // namespace
}  // namespace fourfold
