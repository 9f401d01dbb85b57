#include "api/responses_format.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace fourfold {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using Type = ChatEvent::Type;

AnswerFacts facts() {
  AnswerFacts facts;
  facts.requested_model = "gemma-4-e4b-it";
  facts.created_s = 1790000000;
  facts.prompt_tokens = 12;
  facts.cached_tokens = 4;
  facts.thinks = true;
  return facts;
}

ChatDelta say(Type type, std::string text) {
  ChatDelta delta;
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
  return {.finish = finish, .usage = {.thought_tokens = 20, .answer_tokens = 3, .call_tokens = 2}};
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

// Every event has its name in front, and numbers that rise by one.
std::vector<JsonValue> events_of(const std::string& stream) {
  std::vector<JsonValue> events;
  std::string_view rest = stream;
  while (!rest.empty()) {
    const auto end = rest.find("\n\n");
    EXPECT_NE(end, rest.npos);
    const std::string_view event = rest.substr(0, end);
    rest.remove_prefix(end + 2);
    const auto line = event.find('\n');
    EXPECT_TRUE(event.starts_with("event: ")) << event;
    const std::string_view data = event.substr(line + 1);
    EXPECT_TRUE(data.starts_with("data: ")) << event;
    auto value = parse_json_value(data.substr(6));
    EXPECT_TRUE(value.ok()) << event;
    EXPECT_EQ(value->find("type")->text, event.substr(7, line - 7));
    events.push_back(std::move(*value));
  }
  for (std::size_t i = 0; i < events.size(); ++i) {
    EXPECT_EQ(at(events[i], {"sequence_number"}).text, std::to_string(i));
  }
  return events;
}

std::vector<std::string> types_of(const std::vector<JsonValue>& events) {
  std::vector<std::string> types;
  for (const auto& event : events) types.push_back(event.find("type")->text.substr(9));
  return types;
}

std::string stream_of(ResponsesFormatter& formatter, const std::vector<ChatDelta>& deltas,
                      ChatFinish finish = ChatFinish::Stop) {
  std::string out = formatter.begin(facts());
  for (const auto& delta : deltas) out += formatter.event(delta);
  out += formatter.end(0, ended(finish), {});
  return out + formatter.finish(facts());
}

JsonValue whole_of(ResponsesFormat format, const std::vector<ChatDelta>& deltas,
                   ChatFinish finish = ChatFinish::Stop) {
  ResponsesFormatter formatter("resp_1", std::move(format));
  Candidate candidate;
  for (const auto& delta : deltas) candidate.add(delta);
  candidate.end = ended(finish);
  return parse_json_value(formatter.whole(facts(), {candidate})).value();
}

// What is random, made the same.
JsonValue without_ids(JsonValue output) {
  for (auto& item : output.items) {
    for (const auto* key : {"id", "call_id"}) {
      if (item.find(key)) item.set(key, JsonValue::of(item.find(key)->text.substr(0, 3)));
    }
  }
  return output;
}

const std::vector<ChatDelta> kEverything = {say(Type::Thought, "h"), say(Type::Thought, "m"),
                                            say(Type::Text, "H"), say(Type::Text, "i"),
                                            call("f", R"({"a":1.0})")};

ResponsesFormat plain() {
  ResponsesFormat format;
  format.style.echo = JsonValue::object({{"tools", JsonValue::array()}});
  return format;
}

TEST(ResponsesStream, KeepsTheOrderThatClientsRead) {
  ResponsesFormatter formatter("resp_1", plain());
  const auto events = events_of(stream_of(formatter, kEverything));
  EXPECT_THAT(types_of(events),
              ElementsAre("created", "in_progress", "output_item.added", "content_part.added",
                          "reasoning_text.delta", "reasoning_text.delta", "reasoning_text.done",
                          "content_part.done", "output_item.done", "output_item.added",
                          "content_part.added", "output_text.delta", "output_text.delta",
                          "output_text.done", "content_part.done", "output_item.done",
                          "output_item.added", "function_call_arguments.delta",
                          "function_call_arguments.done", "output_item.done", "completed"));
  EXPECT_EQ(at(events[0], {"response", "status"}).text, "in_progress");
  EXPECT_EQ(to_json_text(at(events[0], {"response", "output"})), "[]");
  EXPECT_TRUE(at(events[0], {"response", "usage"}).is_null());
  EXPECT_EQ(to_json_text(at(events[3], {"part"})), R"({"type":"reasoning_text","text":""})");
  EXPECT_EQ(to_json_text(at(events[10], {"part"})),
            R"({"type":"output_text","text":"","annotations":[],"logprobs":[]})");
  EXPECT_EQ(at(events[11], {"delta"}).text, "H");
  EXPECT_EQ(to_json_text(at(events[11], {"logprobs"})), "[]");
  EXPECT_EQ(at(events[13], {"text"}).text, "Hi");
  EXPECT_EQ(at(events[16], {"item", "arguments"}), JsonValue::of(""));
  EXPECT_EQ(at(events[18], {"name"}).text, "f");
  EXPECT_EQ(at(events[18], {"arguments"}).text, R"({"a":1.0})");
  // Items are counted from 0, and every event of an item names it.
  EXPECT_EQ(at(events[4], {"output_index"}).text, "0");
  EXPECT_EQ(at(events[11], {"output_index"}).text, "1");
  EXPECT_EQ(at(events[17], {"output_index"}).text, "2");
  EXPECT_EQ(at(events[11], {"item_id"}), at(events[9], {"item", "id"}));
  EXPECT_EQ(at(events[17], {"item_id"}), at(events[16], {"item", "id"}));
  // The end repeats what was said, item by item.
  for (const auto& [event, item] : {std::pair{8, "0"}, {15, "1"}, {19, "2"}}) {
    EXPECT_EQ(at(events.back(), {"response", "output", item}),
              at(events[static_cast<std::size_t>(event)], {"item"}));
  }
}

TEST(ResponsesStream, EndsAsTheWholeReplyIs) {
  ResponsesFormatter formatter("resp_1", plain());
  const auto events = events_of(stream_of(formatter, kEverything));
  const JsonValue& last = at(events.back(), {"response"});
  const JsonValue whole = whole_of(plain(), kEverything);
  EXPECT_EQ(without_ids(at(last, {"output"})), without_ids(at(whole, {"output"})));
  EXPECT_EQ(at(last, {"usage"}), at(whole, {"usage"}));
}

TEST(ResponsesStream, SaysThoughtsAsSummaries) {
  ResponsesFormat format = plain();
  format.style.summarizes = true;
  ResponsesFormatter formatter("resp_1", format);
  const auto events = events_of(stream_of(formatter, {say(Type::Thought, "hm")}));
  EXPECT_THAT(
      types_of(events),
      ElementsAre("created", "in_progress", "output_item.added", "reasoning_summary_part.added",
                  "reasoning_summary_text.delta", "reasoning_summary_text.done",
                  "reasoning_summary_part.done", "output_item.done", "completed"));
  EXPECT_EQ(at(events[3], {"summary_index"}).text, "0");
  EXPECT_EQ(to_json_text(at(events[7], {"item", "summary"})),
            R"([{"type":"summary_text","text":"hm"}])");
}

TEST(ResponsesReply, HasAllKeys) {
  const auto body = whole_of(plain(), kEverything);
  EXPECT_EQ(at(body, {"id"}).text, "resp_1");
  EXPECT_EQ(at(body, {"object"}).text, "response");
  EXPECT_EQ(at(body, {"status"}).text, "completed");
  for (const auto* key : {"error", "incomplete_details"}) {
    ASSERT_TRUE(body.find(key)) << key;
    EXPECT_TRUE(body.find(key)->is_null()) << key;
  }
  EXPECT_TRUE(at(body, {"tools"}).is_array());
  EXPECT_EQ(to_json_text(at(body, {"usage"})),
            R"({"input_tokens":12,"input_tokens_details":{"cached_tokens":4},"output_tokens":25,)"
            R"("output_tokens_details":{"reasoning_tokens":20},"total_tokens":37})");
  EXPECT_EQ(
      to_json_text(without_ids(at(body, {"output"}))),
      R"([{"id":"rs_","type":"reasoning","summary":[],"content":[{"type":"reasoning_text",)"
      R"("text":"hm"}],"status":"completed"},{"id":"msg","type":"message","role":"assistant",)"
      R"("status":"completed","content":[{"type":"output_text","text":"Hi","annotations":[],)"
      R"("logprobs":[]}]},{"id":"fc_","type":"function_call","status":"completed",)"
      R"("call_id":"cal","name":"f","arguments":"{\"a\":1.0}"}])");
}

TEST(ResponsesReply, HidesThoughtsThatNobodyAskedFor) {
  AnswerFacts answer = facts();
  answer.thinks = false;
  Candidate candidate;
  for (const auto& delta : kEverything) candidate.add(delta);
  candidate.end = ended(ChatFinish::ToolCalls);
  ResponsesFormatter formatter("resp_1", plain());
  const auto body = parse_json_value(formatter.whole(answer, {candidate})).value();
  EXPECT_EQ(at(body, {"output", "0", "type"}).text, "message");
}

TEST(ResponsesReply, IsIncompleteAtALimit) {
  for (const auto finish : {ChatFinish::Length, ChatFinish::Loop}) {
    const auto body = whole_of(plain(), {say(Type::Text, "a")}, finish);
    EXPECT_EQ(at(body, {"status"}).text, "incomplete");
    EXPECT_EQ(at(body, {"incomplete_details", "reason"}).text, "max_output_tokens");
    EXPECT_EQ(at(body, {"output", "0", "status"}).text, "incomplete");
  }
  ResponsesFormatter formatter("resp_1", plain());
  const auto events = events_of(stream_of(formatter, {say(Type::Text, "a")}, ChatFinish::Length));
  EXPECT_EQ(types_of(events).back(), "incomplete");
}

TEST(ResponsesReply, ShowsACutCallAsIncomplete) {
  const auto body =
      whole_of(plain(), {say(Type::Text, "a"), say(Type::Malformed, R"(call:get{city:)")},
               ChatFinish::Length);
  EXPECT_EQ(to_json_text(without_ids(JsonValue::array({at(body, {"output", "1"})}))),
            R"([{"id":"fc_","type":"function_call","status":"incomplete","call_id":"cal",)"
            R"("name":"get","arguments":""}])");
}

TEST(ResponsesReply, ShowsAMalformedCallAsTextIfThereIsNothingElse) {
  const auto alone = whole_of(plain(), {say(Type::Malformed, "call:f{")});
  EXPECT_EQ(at(alone, {"output", "0", "content", "0", "text"}).text, "call:f{");
  const auto beside = whole_of(plain(), {say(Type::Text, "a"), say(Type::Malformed, "call:f{")});
  EXPECT_EQ(at(beside, {"output"}).items.size(), 1u);
}

// R4: both names in every event and in the response.
TEST(ResponsesStream, SplitsNamesByTheTable) {
  ResponsesFormat format = plain();
  format.style.tool_names.add_plain("a__plain", false);
  format.style.tool_names.add("a", "get", false);
  format.style.tool_names.add("b__c", "get", false);
  ResponsesFormatter formatter("resp_1", format);
  const auto events = events_of(stream_of(
      formatter, {call("b__c__get", "{}"), call("a__plain", "{}"), call("a__get", "{}")}));
  for (const std::size_t i : {std::size_t{2}, std::size_t{5}}) {
    EXPECT_EQ(at(events[i], {"item", "namespace"}).text, "b__c");
    EXPECT_EQ(at(events[i], {"item", "name"}).text, "get");
  }
  const JsonValue& output = at(events.back(), {"response", "output"});
  EXPECT_EQ(at(output, {"0", "namespace"}).text, "b__c");
  EXPECT_EQ(output.items[1].find("namespace"), nullptr);
  EXPECT_EQ(at(output, {"1", "name"}).text, "a__plain");
  EXPECT_EQ(at(output, {"2", "namespace"}).text, "a");
  EXPECT_EQ(at(output, {"2", "arguments"}).text, "{}");
}

TEST(ResponsesStream, CustomToolsHaveTheirOwnEvents) {
  ResponsesFormat format = plain();
  format.style.tool_names.add_plain("patch", true);
  ResponsesFormatter formatter("resp_1", format);
  const auto events = events_of(stream_of(formatter, {call("patch", R"({"input":"x"})")}));
  EXPECT_THAT(
      types_of(events),
      ElementsAre("created", "in_progress", "output_item.added", "custom_tool_call_input.delta",
                  "custom_tool_call_input.done", "output_item.done", "completed"));
  EXPECT_EQ(at(events[4], {"input"}).text, "x");
  EXPECT_EQ(at(events[5], {"item", "type"}).text, "custom_tool_call");
  EXPECT_THAT(at(events[5], {"item", "id"}).text, testing::StartsWith("ctc_"));
  EXPECT_EQ(at(events[5], {"item", "input"}).text, "x");
}

TEST(ResponsesReply, SealsThoughtsOnDemand) {
  const Sealer sealer(Sealer::Key{});
  ResponsesFormat format = plain();
  format.sealer = &sealer;
  EXPECT_TRUE(at(whole_of(format, kEverything), {"output", "0", "encrypted_content"}).is_null());
  format.style.has_encrypted = true;
  const auto body = whole_of(format, kEverything);
  EXPECT_EQ(sealer.open_sealed(at(body, {"output", "0", "encrypted_content"}).text), "hm");
}

TEST(ResponsesStream, TellsOfAnErrorInBothForms) {
  ResponsesFormatter formatter("resp_1", plain());
  std::string stream = formatter.begin(facts());
  stream += formatter.event(say(Type::Text, "a"));
  stream += formatter.error(Error{Code::DeadlineExceeded, "too late"});
  const auto events = events_of(stream);
  ASSERT_GE(events.size(), 2u);
  const JsonValue& error = events[events.size() - 2];
  EXPECT_EQ(at(error, {"type"}).text, "error");
  EXPECT_EQ(at(error, {"code"}).text, "timeout");
  EXPECT_EQ(at(error, {"message"}).text, "too late");
  EXPECT_EQ(at(error, {"error", "message"}).text, "too late");
  EXPECT_EQ(at(error, {"error", "type"}).text, "server_error");
  const JsonValue& failed = events.back();
  EXPECT_EQ(at(failed, {"type"}).text, "response.failed");
  EXPECT_EQ(at(failed, {"response", "status"}).text, "failed");
  EXPECT_EQ(at(failed, {"response", "error", "code"}).text, "timeout");
  EXPECT_TRUE(at(failed, {"response", "output"}).is_array());
}

TEST(ResponsesStream, SaysThatItWasCancelled) {
  std::stop_source source;
  ResponsesFormat format = plain();
  format.cancelled = source.get_token();
  ResponsesFormatter formatter("resp_1", format);
  formatter.begin(facts());
  source.request_stop();
  const std::string stream = formatter.error(Error{Code::Unavailable, "cut off"});
  EXPECT_THAT(stream, HasSubstr(R"("status":"cancelled")"));
  EXPECT_THAT(stream, testing::Not(HasSubstr("event: error")));
}

TEST(ResponsesStream, KnowsItsModelWhenItFailsBeforeItBegins) {
  ResponsesFormatter formatter("resp_1", plain());
  EXPECT_EQ(formatter.waiting(facts(), "window 1 of 2"), ": window 1 of 2\n\n");
  const std::string stream = formatter.error(Error{Code::Unavailable, "cut off"});
  EXPECT_THAT(stream, HasSubstr(R"("status":"failed")"));
  EXPECT_THAT(stream, HasSubstr(R"("model":"gemma-4-e4b-it")"));
}

TEST(ResponsesStream, CompactionIsOneItemAndNothingElse) {
  JsonValue item = compaction_item("c2VhbGVk");
  std::vector<JsonValue> stored;
  ResponsesFormat format = plain();
  format.on_complete = [&](const JsonValue& response) { stored.push_back(response); };
  ResponsesFormatter formatter("resp_1", format);
  std::string stream = formatter.begin(facts());
  stream += formatter.item(item);
  stream += formatter.end(0, ended(ChatFinish::Stop), {});
  stream += formatter.finish(facts());
  const auto events = events_of(stream);
  EXPECT_THAT(types_of(events), ElementsAre("created", "in_progress", "output_item.added",
                                            "output_item.done", "completed"));
  EXPECT_EQ(at(events[2], {"item"}), item);
  EXPECT_EQ(at(events[3], {"item"}), item);
  EXPECT_EQ(at(events[4], {"response", "output"}), JsonValue::array({item}));
  ASSERT_EQ(stored.size(), 1u);
  EXPECT_EQ(stored[0], at(events[4], {"response"}));
}

TEST(ResponsesReply, PutsTheFirstItemsFirst) {
  ResponsesFormat format = plain();
  format.first_items = {compaction_item("c2VhbGVk")};
  const auto body = whole_of(format, {say(Type::Text, "a")});
  EXPECT_EQ(at(body, {"output", "0", "type"}).text, "compaction");
  EXPECT_EQ(at(body, {"output", "1", "type"}).text, "message");
}

}  // namespace
}  // namespace fourfold
