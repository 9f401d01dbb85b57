#include "api/interactions.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace fourfold {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

Result<InteractionRequest> parsed(const std::string& json, const JsonValue* history = nullptr) {
  InteractionOptions options;
  options.history = history;
  return parse_interaction(TRY(parse_json_value(json)), options);
}

std::vector<std::string> shown(const InteractionRequest& request) {
  constexpr const char* kNames[] = {"system", "developer", "user", "model", "tool", "other"};
  std::vector<std::string> out;
  for (const auto& message : request.chat.conversation.messages) {
    std::string line = kNames[static_cast<int>(message.role)];
    line += ":" + message.thought;
    for (const auto& part : message.parts) line.append("|") += part.text;
    for (const auto& call : message.calls)
      line.append("!").append(call.name) += to_json_text(call.arguments);
    for (const auto& result : message.results) line.append("=") += to_json_text(result.value);
    out.push_back(std::move(line));
  }
  return out;
}

TEST(Interaction, InputIsATextContentsOrSteps) {
  const auto plain = parsed(R"({"model":"m","input":"Hi","system_instruction":"Be brief."})");
  ASSERT_TRUE(plain.ok()) << plain.error().message;
  EXPECT_THAT(shown(*plain), ElementsAre("system:|Be brief.", "user:|Hi"));
  const auto contents = parsed(R"({"model":"m","input":[{"type":"text","text":"a"}]})");
  EXPECT_THAT(shown(*contents), ElementsAre("user:|a"));
  const auto steps = parsed(
      R"({"model":"m","input":[{"type":"user_input","content":[{"type":"text","text":"Hi"}]},
          {"type":"thought","summary":[{"type":"text","text":"hm"}]},
          {"type":"model_output","content":[{"type":"text","text":"So."}]},
          {"type":"function_call","id":"1","name":"f","arguments":{"a":1}},
          {"type":"function_result","call_id":"1","name":"f","result":{"r":2}}]})");
  ASSERT_TRUE(steps.ok()) << steps.error().message;
  EXPECT_THAT(shown(*steps),
              ElementsAre("user:|Hi", R"(model:hm|So.!f{"a":1})", R"(tool:={"r":2})"));
}

TEST(Interaction, MediaStandInContentsAndResults) {
  const auto request = parsed(
      R"({"model":"m","input":[
          {"type":"user_input","content":[
            {"type":"image","data":"iVBORw0KGgo=","resolution":"ultra_high"}]},
          {"type":"function_call","id":"1","name":"f","arguments":{}},
          {"type":"function_result","call_id":"1","name":"f","result":[
            {"type":"text","text":"a"},{"type":"text","text":"b"},
            {"type":"image","data":"iVBORw0KGgo=","resolution":"low"}]},
          {"type":"function_result","call_id":"1","name":"f","result":[{"type":"other"}]}]})");
  ASSERT_TRUE(request.ok()) << request.error().message;
  const auto& messages = request->chat.conversation.messages;
  EXPECT_EQ(messages[0].parts[0].settings.budget, 1120);
  const auto& result = messages[2].results[0];
  EXPECT_EQ(result.value.text, "ab");
  ASSERT_EQ(result.media.size(), 1u);
  EXPECT_EQ(result.media[0].settings.budget, 70);
  EXPECT_EQ(to_json_text(messages[3].results[0].value), R"([{"type":"other"}])");
}

TEST(Interaction, GoesOnFromTheOneBefore) {
  const auto first = parsed(R"({"model":"m","input":"Hi"})");
  auto history = first->steps;
  history.items.push_back(
      *parse_json_value(R"({"type":"model_output","content":[{"type":"text","text":"Hello"}]})"));
  const auto second = parsed(R"({"model":"m","input":"Again"})", &history);
  ASSERT_TRUE(second.ok()) << second.error().message;
  EXPECT_THAT(shown(*second), ElementsAre("user:|Hi", "model:|Hello", "user:|Again"));
  EXPECT_EQ(second->steps.items.size(), 3u);
}

TEST(Interaction, ReadsItsSettings) {
  const auto request = parsed(
      R"({"model":"m","input":"Hi","stream":true,"store":false,
          "generation_config":{"max_output_tokens":9,"temperature":0,"thinking_level":"low",
            "thinking_summaries":"none","tool_choice":"any"},
          "tools":[{"type":"function","name":"f","parameters":{"type":"object"}}],
          "response_format":{"type":"text","mime_type":"application/json",
            "schema":{"type":"STRING"}}})");
  ASSERT_TRUE(request.ok()) << request.error().message;
  EXPECT_TRUE(request->stream);
  EXPECT_FALSE(request->store || request->include_thoughts);
  EXPECT_EQ(request->chat.sampling.max_tokens, 9);
  const auto& conversation = request->chat.conversation;
  EXPECT_EQ(conversation.thinking.level, Thinking::Level::Low);
  EXPECT_EQ(conversation.tool_choice.mode, ToolChoice::Mode::Required);
  EXPECT_EQ(to_json_text(conversation.response_format.schema), R"({"type":"string"})");
}

TEST(Interaction, RefusesWithThePath) {
  const std::pair<const char*, const char*> rows[] = {
      {R"({"input":"Hi"})", "model: missing"},
      {R"({"model":"m"})", "input[0] has no text or media"},
      {R"({"model":"m","input":"Hi","background":true})", "background: interactions are answered"},
      {R"({"model":"m","input":[{"type":"function_result","call_id":"1"}]})",
       "input[0]: a result without a function_call"},
      {R"({"model":"m","input":"Hi","tools":[{"type":"google_search"}]})",
       "tools[0].type: \"google_search\""},
      {R"({"model":"m","input":[{"type":"image","uri":"http://x"}]})", "input[0].uri: URLs and"},
      {R"({"model":"m","input":"Hi","generation_config":{"thinking_level":"deep"}})",
       "thinking_level: expected"}};
  for (const auto& [json, message] : rows) {
    const auto request = parsed(json);
    ASSERT_FALSE(request.ok()) << json;
    EXPECT_THAT(request.error().message, HasSubstr(message));
  }
}

ChatDelta delta(ChatEvent::Type type, std::string text) {
  ChatDelta delta;
  delta.event.type = type;
  delta.event.text = std::move(text);
  return delta;
}

ChatDelta call() {
  ChatDelta delta;
  delta.event.type = ChatEvent::Type::Call;
  delta.event.call = {.id = "c1", .name = "f", .arguments = *parse_json_value(R"({"a":1})")};
  return delta;
}

AnswerFacts facts() {
  AnswerFacts facts;
  facts.requested_model = "m";
  facts.prompt_tokens = 5;
  return facts;
}

TEST(InteractionStream, SaysStepsOneAfterTheOther) {
  JsonValue kept;
  InteractionFormatter formatter(
      {.id = "v1_x", .on_end = [&](const JsonValue& interaction) { kept = interaction; }});
  std::string stream = formatter.begin(facts());
  for (const auto& one : {delta(ChatEvent::Type::Thought, "hm"), delta(ChatEvent::Type::Text, "a"),
                          delta(ChatEvent::Type::Text, "b"), call()}) {
    stream += formatter.event(one);
  }
  CandidateEnd end;
  end.usage = {.thought_tokens = 1, .answer_tokens = 2, .call_tokens = 3};
  stream += formatter.end(0, end, {});
  stream += formatter.finish(facts());

  std::vector<std::string> types;
  JsonValue last;
  for (std::size_t at = 0; at < stream.size();) {
    const auto stop = stream.find("\n\n", at);
    ASSERT_EQ(stream.compare(at, 6, "data: "), 0);
    last = *parse_json_value(stream.substr(at + 6, stop - at - 6));
    types.push_back(last.find("event_type")->text);
    at = stop + 2;
  }
  EXPECT_THAT(types, ElementsAre("interaction.created", "step.start", "step.delta", "step.stop",
                                 "step.start", "step.delta", "step.delta", "step.stop",
                                 "step.start", "step.delta", "step.stop", "interaction.completed"));
  const JsonValue& interaction = *last.find("interaction");
  EXPECT_EQ(kept, interaction);
  EXPECT_EQ(interaction.find("status")->text, "requires_action");
  EXPECT_EQ(to_json_text(*interaction.find("steps")),
            R"([{"type":"thought","summary":[{"type":"text","text":"hm"}]},)"
            R"({"type":"model_output","content":[{"type":"text","text":"ab"}]},)"
            R"({"type":"function_call","id":"c1","name":"f","arguments":{"a":1}}])");
  EXPECT_EQ(
      to_json_text(*interaction.find("usage")),
      R"({"total_input_tokens":5,"input_tokens_by_modality":[{"modality":"text","tokens":5}],)"
      R"("total_output_tokens":5,"total_thought_tokens":1,)"
      R"("total_cached_tokens":0,"total_tokens":11})");
}

TEST(InteractionWhole, IsWhatTheStreamEndsWith) {
  InteractionFormatter formatter({.id = "v1_x"});
  Candidate candidate;
  candidate.add(delta(ChatEvent::Type::Text, "Hi"));
  const auto whole = *parse_json_value(formatter.whole(facts(), {candidate}));
  EXPECT_EQ(whole.find("id")->text, "v1_x");
  EXPECT_EQ(whole.find("status")->text, "completed");
  EXPECT_EQ(to_json_text(*whole.find("steps")),
            R"([{"type":"model_output","content":[{"type":"text","text":"Hi"}]}])");
}

TEST(InteractionStream, AnErrorEndsIt) {
  InteractionFormatter formatter({.id = "v1_x"});
  EXPECT_EQ(formatter.error(Error{Code::Unavailable, "gone"}),
            "data: {\"event_type\":\"error\",\"error\":{\"code\":\"unavailable\",\"message\":"
            "\"gone\"}}\n\n");
}

}  // namespace
}  // namespace fourfold
