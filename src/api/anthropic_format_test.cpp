#include "api/anthropic_format.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <regex>

namespace fourfold {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using Type = ChatEvent::Type;

AnswerFacts facts() {
  AnswerFacts facts;
  facts.requested_model = "m";
  facts.prompt_tokens = 12;
  facts.cached_tokens = 5;
  return facts;
}

ChatDelta said(Type type, std::string text) {
  ChatDelta delta;
  delta.event.type = type;
  delta.event.text = std::move(text);
  return delta;
}

ChatDelta call(std::string id) {
  ChatDelta delta;
  delta.event.type = Type::Call;
  delta.event.call.id = std::move(id);
  delta.event.call.name = "f";
  delta.event.call.arguments = parse_json_value(R"({"a":1.0})").value();
  return delta;
}

CandidateEnd ended(ChatFinish finish) {
  CandidateEnd end;
  end.finish = finish;
  end.usage = {.thought_tokens = 4, .answer_tokens = 5, .call_tokens = 6};
  return end;
}

// The names of the events, which must all have the form that clients read.
std::vector<std::string> event_names(const std::string& stream) {
  static const std::regex kEvent("event: ([a-z_]+)\ndata: (\\{[^\n]*\\})\n\n");
  std::vector<std::string> names;
  std::size_t n_bytes = 0;
  for (std::sregex_iterator at(stream.begin(), stream.end(), kEvent), end; at != end; ++at) {
    const auto data = parse_json_value(at->str(2));
    EXPECT_TRUE(data.ok()) << at->str(2);
    EXPECT_EQ(data->find("type")->text, at->str(1));
    names.push_back(at->str(1));
    n_bytes += at->str().size();
  }
  EXPECT_EQ(n_bytes, stream.size()) << "nothing between the events";
  return names;
}

TEST(AnthropicStream, BeginsWithTheMessageAndItsUsage) {
  AnthropicFormatter formatter({});
  EXPECT_EQ(formatter.stream_type(), "text/event-stream");
  const auto begin = formatter.begin(facts());
  EXPECT_THAT(event_names(begin), ElementsAre("message_start"));
  EXPECT_THAT(begin, HasSubstr(R"("message":{"id":"msg_)"));
  EXPECT_THAT(begin, HasSubstr(R"("type":"message","role":"assistant","model":"m","content":[],)"
                               R"("stop_reason":null,"stop_sequence":null,"usage":{)"
                               R"("input_tokens":7,"cache_creation_input_tokens":0,)"
                               R"("cache_read_input_tokens":5,"output_tokens":0}}})"));
}

TEST(AnthropicStream, GivesEveryKindItsBlock) {
  const Sealer sealer{Sealer::Key{}};
  AnthropicFormatter formatter({.sealer = &sealer, .request_id = {}});
  formatter.begin(facts());
  EXPECT_EQ(formatter.event(said(Type::Thought, "hm")),
            "event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,"
            "\"content_block\":{\"type\":\"thinking\",\"thinking\":\"\",\"signature\":\"\"}}\n\n"
            "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,"
            "\"delta\":{\"type\":\"thinking_delta\",\"thinking\":\"hm\"}}\n\n");
  const auto text = formatter.event(said(Type::Text, "Hi"));
  EXPECT_THAT(event_names(text), ElementsAre("content_block_delta", "content_block_stop",
                                             "content_block_start", "content_block_delta"));
  EXPECT_THAT(text, HasSubstr(R"({"type":"content_block_delta","index":0,"delta":{"type":)"
                              R"("signature_delta","signature":")" +
                              *sealer.seal("hm") + "\"}}"));
  EXPECT_THAT(text, HasSubstr(R"({"type":"content_block_start","index":1,"content_block":)"
                              R"({"type":"text","text":"","citations":null}})"));
  EXPECT_EQ(formatter.event(said(Type::Text, "!")),
            "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":1,"
            "\"delta\":{\"type\":\"text_delta\",\"text\":\"!\"}}\n\n");
  EXPECT_EQ(formatter.event(call("toolu_1")),
            "event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":1}\n\n"
            "event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":2,"
            "\"content_block\":{\"type\":\"tool_use\",\"id\":\"toolu_1\",\"name\":\"f\","
            "\"input\":{}}}\n\n"
            "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":2,"
            "\"delta\":{\"type\":\"input_json_delta\",\"partial_json\":\"{\\\"a\\\":1.0}\"}}\n\n"
            "event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":2}\n\n");
  EXPECT_EQ(formatter.end(0, ended(ChatFinish::ToolCalls), {}), "") << "no block is open";
  EXPECT_EQ(formatter.finish(facts()),
            "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":"
            "\"tool_use\",\"stop_sequence\":null},\"usage\":{\"input_tokens\":7,"
            "\"cache_creation_input_tokens\":0,\"cache_read_input_tokens\":5,"
            "\"output_tokens\":15}}\n\n"
            "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n");
}

TEST(AnthropicStream, ClosesTheLastBlock) {
  AnthropicFormatter formatter({});
  formatter.begin(facts());
  formatter.event(said(Type::Text, "Hi"));
  EXPECT_THAT(event_names(formatter.end(0, ended(ChatFinish::Stop), {})),
              ElementsAre("content_block_stop"));
}

TEST(AnthropicStream, ShowsNoPartOfACall) {
  AnthropicFormatter formatter({});
  formatter.begin(facts());
  EXPECT_EQ(formatter.event(said(Type::CallStarted, "")), "");
  EXPECT_EQ(formatter.event(said(Type::CallArguments, "{\"a\":")), "");
  EXPECT_EQ(formatter.event(said(Type::Text, "")), "");
}

TEST(AnthropicStream, HidesThoughtsButForTheirSignature) {
  const Sealer sealer{Sealer::Key{}};
  AnthropicFormatter formatter({.sealer = &sealer, .hides_thoughts = true, .request_id = {}});
  formatter.begin(facts());
  auto stream = formatter.event(said(Type::Thought, "secret "));
  stream += formatter.event(said(Type::Thought, "thought"));
  stream += formatter.end(0, ended(ChatFinish::Stop), {});
  EXPECT_THAT(event_names(stream),
              ElementsAre("content_block_start", "content_block_delta", "content_block_stop"));
  EXPECT_EQ(stream.find("secret"), std::string::npos);
  EXPECT_THAT(stream, HasSubstr(*sealer.seal("secret thought")));
}

TEST(AnthropicStream, PingsAndFails) {
  AnthropicFormatter formatter({.sealer = nullptr, .request_id = "req_1"});
  EXPECT_EQ(formatter.keep_alive(), "event: ping\ndata: {\"type\":\"ping\"}\n\n");
  EXPECT_EQ(formatter.waiting({}, "window 1 of 2"), formatter.keep_alive());
  const auto error = formatter.error(internal_error("boom"));
  EXPECT_THAT(event_names(error), ElementsAre("error"));
  EXPECT_THAT(error, HasSubstr(R"("error":{"type":"api_error","message":"boom"})"));
}

struct Reason {
  CandidateEnd end;
  std::string reason, sequence;
};
class AnthropicReason : public testing::TestWithParam<Reason> {};

CandidateEnd stopped_by(std::string text) {
  auto end = ended(ChatFinish::Stop);
  end.stop_text = std::move(text);
  return end;
}

CandidateEnd with_full_context() {
  auto end = ended(ChatFinish::Length);
  end.context_is_full = true;
  return end;
}

TEST_P(AnthropicReason, IsTheSameStreamedAndWhole) {
  const auto& [end, reason, sequence] = GetParam();
  const auto expected = fmt::format(R"("stop_reason":"{}","stop_sequence":{})", reason, sequence);
  AnthropicFormatter formatter({});
  formatter.begin(facts());
  formatter.end(0, end, {});
  EXPECT_THAT(formatter.finish(facts()), HasSubstr(expected));
  Candidate candidate;
  candidate.end = end;
  EXPECT_THAT(AnthropicFormatter({}).whole(facts(), {candidate}), HasSubstr(expected));
}

INSTANTIATE_TEST_SUITE_P(Rows, AnthropicReason,
                         testing::Values(Reason{ended(ChatFinish::Stop), "end_turn", "null"},
                                         Reason{stopped_by("END"), "stop_sequence", "\"END\""},
                                         Reason{ended(ChatFinish::ToolCalls), "tool_use", "null"},
                                         Reason{ended(ChatFinish::Length), "max_tokens", "null"},
                                         Reason{with_full_context(),
                                                "model_context_window_exceeded", "null"},
                                         Reason{ended(ChatFinish::Loop), "max_tokens", "null"}));

TEST(AnthropicWhole, IsOneMessage) {
  const Sealer sealer{Sealer::Key{}};
  Candidate candidate;
  for (const auto& delta : {said(Type::Thought, "hm"), said(Type::Text, "Hi"),
                            said(Type::Malformed, "!"), call("toolu_1")}) {
    candidate.add(delta);
  }
  candidate.end = ended(ChatFinish::ToolCalls);
  AnthropicFormatter formatter({.sealer = &sealer, .request_id = {}});
  const auto whole = formatter.whole(facts(), {candidate});
  EXPECT_TRUE(whole.starts_with(R"({"id":"msg_)"));
  EXPECT_THAT(
      whole, HasSubstr(R"("type":"message","role":"assistant","model":"m","content":[)"
                       R"({"type":"thinking","thinking":"hm","signature":")" +
                       *sealer.seal("hm") +
                       R"("},{"type":"text","text":"Hi!","citations":null},)"
                       R"({"type":"tool_use","id":"toolu_1","name":"f","input":{"a":1.0}}],)"
                       R"("stop_reason":"tool_use","stop_sequence":null,"usage":{"input_tokens":7,)"
                       R"("cache_creation_input_tokens":0,"cache_read_input_tokens":5,)"
                       R"("output_tokens":15}})"));
}

TEST(AnthropicWhole, MakesIdsForCalls) {
  Candidate candidate;
  candidate.add(call(""));
  EXPECT_THAT(AnthropicFormatter({}).whole(facts(), {candidate}),
              HasSubstr(R"({"type":"tool_use","id":"toolu_)"));
}

}  // namespace
}  // namespace fourfold
