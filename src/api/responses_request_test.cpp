#include "api/responses_request.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace fourfold {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

JsonValue json(std::string_view text) {
  auto value = parse_json_value(text);
  EXPECT_TRUE(value.ok()) << text;
  return value.ok() ? *value : JsonValue::null();
}

Result<ResponsesRequest> request_of(const std::string& members,
                                    const ResponsesOptions& options = {}) {
  return parse_responses(json(R"({"model":"m",)" + members + "}"), options);
}

// A request with these items as input.
Result<ResponsesRequest> with_items(const std::string& items,
                                    const ResponsesOptions& options = {}) {
  return request_of(R"("input":[)" + items + "]", options);
}

std::string text_of(const Message& message) {
  std::string text;
  for (const auto& part : message.parts) text += part.text;
  return text;
}

const std::vector<Message>& messages_of(const Result<ResponsesRequest>& request) {
  return request->chat.conversation.messages;
}

template <class T>
void expect_refused(const Result<T>& result, std::string_view field) {
  ASSERT_FALSE(result.ok()) << field;
  ASSERT_TRUE(result.error().detail) << result.error().message;
  EXPECT_EQ(result.error().detail->field, field) << result.error().message;
}

const Sealer& sealer() {
  static const Sealer sealer(Sealer::Key{});
  return sealer;
}

ResponsesOptions with_sealer() { return {.common = {.help = {.sealer = &sealer()}}}; }

TEST(ResponsesRequest, TakesAString) {
  const auto request = request_of(R"("input":"Hi","instructions":"Be short.","stream":true)");
  ASSERT_TRUE(request.ok()) << request.error().message;
  ASSERT_EQ(messages_of(request).size(), 2u);
  EXPECT_EQ(messages_of(request)[0].role, Role::System);
  EXPECT_EQ(text_of(messages_of(request)[0]), "Be short.");
  EXPECT_EQ(text_of(messages_of(request)[1]), "Hi");
  EXPECT_TRUE(request->stream);
  EXPECT_TRUE(request->store);
  EXPECT_EQ(request->list.items.size(), 1u);
}

TEST(ResponsesRequest, TakesMessagesWithAndWithoutType) {
  const auto request = with_items(
      R"({"role":"developer","content":"D"},{"type":"message","role":"user","content":[)"
      R"({"type":"input_text","text":"U"}]},{"type":"message","role":"assistant","content":[)"
      R"({"type":"output_text","text":"A"}]},{"role":"user","content":"V"})");
  ASSERT_TRUE(request.ok()) << request.error().message;
  const auto& messages = messages_of(request);
  ASSERT_EQ(messages.size(), 4u);
  EXPECT_EQ(messages[0].role, Role::System);
  EXPECT_EQ(messages[2].role, Role::Model);
  EXPECT_EQ(text_of(messages[2]), "A");
  EXPECT_FALSE(messages[1].is_part_list);
}

TEST(ResponsesRequest, PutsATurnOfTheModelTogether) {
  const auto request = with_items(
      R"({"role":"user","content":"U"},)"
      R"({"type":"reasoning","id":"rs_1","summary":[],"content":[{"type":"reasoning_text","text":"hm"}]},)"
      R"({"type":"message","role":"assistant","content":[{"type":"output_text","text":"A"}]},)"
      R"({"type":"function_call","call_id":"c1","name":"f","arguments":"{\"a\":1}"},)"
      R"({"type":"function_call","call_id":"c2","name":"f","arguments":""},)"
      R"({"type":"function_call_output","call_id":"c1","output":"r"},)"
      R"({"type":"function_call_output","call_id":"c2","output":[{"type":"input_text","text":"s"}]},)"
      R"({"type":"reasoning","id":"rs_2","summary":[{"type":"summary_text","text":"so"}]},)"
      R"({"type":"message","role":"assistant","content":[{"type":"output_text","text":"B"}]})");
  ASSERT_TRUE(request.ok()) << request.error().message;
  const auto& messages = messages_of(request);
  ASSERT_EQ(messages.size(), 5u);
  EXPECT_EQ(messages[1].thought, "hm");
  EXPECT_EQ(text_of(messages[1]), "A");
  ASSERT_EQ(messages[1].calls.size(), 2u);
  EXPECT_EQ(messages[1].calls[0].id, "c1");
  EXPECT_EQ(messages[1].calls[1].arguments, JsonValue::object());
  EXPECT_EQ(messages[2].results[0].value, JsonValue::of("r"));
  EXPECT_EQ(messages[3].results[0].value, JsonValue::of("s"));
  EXPECT_EQ(messages[4].thought, "so");
  EXPECT_EQ(text_of(messages[4]), "B");
}

TEST(ResponsesRequest, PrefersTheSealedThought) {
  const std::string item = R"({"role":"user","content":"U"},{"type":"reasoning","summary":[)"
                           R"({"type":"summary_text","text":"short"}],"encrypted_content":")" +
                           *sealer().seal("long") +
                           R"("},{"type":"message","role":"assistant",)"
                           R"("content":"A"})";
  EXPECT_EQ(messages_of(with_items(item, with_sealer()))[1].thought, "long");
  EXPECT_EQ(messages_of(with_items(item))[1].thought, "short");
}

// R4: what came back under two names renders to the call that was made.
TEST(ResponsesRequest, JoinsNamesOfTheHistory) {
  const std::string tools =
      R"("tools":[{"type":"namespace","name":"a","tools":[{"type":"function","name":"get"}]},)"
      R"({"type":"namespace","name":"b","tools":[{"type":"function","name":"get"},)"
      R"({"type":"custom","name":"raw"}]},{"type":"web_search"}],)";
  const auto request = request_of(
      tools +
      R"("input":[{"role":"user","content":"U"},)"
      R"({"type":"function_call","call_id":"1","namespace":"b","name":"get","arguments":"{}"},)"
      R"({"type":"custom_tool_call","call_id":"2","namespace":"b","name":"raw","input":"x"},)"
      R"({"type":"function_call_output","call_id":"1","output":"r"},)"
      R"({"type":"custom_tool_call_output","call_id":"2","output":"s"}])");
  ASSERT_TRUE(request.ok()) << request.error().message;
  const auto& calls = messages_of(request)[1].calls;
  ASSERT_EQ(calls.size(), 2u);
  EXPECT_EQ(calls[0].name, "b__get");
  EXPECT_EQ(calls[1].name, "b__raw");
  EXPECT_EQ(to_json_text(calls[1].arguments), R"({"input":"x"})");
  EXPECT_THAT(request->warnings, ElementsAre(HasSubstr("web_search")));
}

TEST(ResponsesRequest, LeavesOutWhatItDoesNotKnow) {
  const auto request =
      with_items(R"({"role":"user","content":"U"},{"type":"web_search_call","id":"ws_1"},)"
                 R"({"type":"local_shell_call","call_id":"c"},)"
                 R"({"type":"function_call_output","call_id":"c","output":"gone with its call"})");
  ASSERT_TRUE(request.ok()) << request.error().message;
  EXPECT_EQ(messages_of(request).size(), 1u);
  EXPECT_THAT(request->warnings,
              ElementsAre(HasSubstr("web_search_call"), HasSubstr("local_shell_call")));
}

TEST(ResponsesRequest, ReplaysBrokenCallsThatWereAnswered) {
  const std::string call = R"({"role":"user","content":"U"},)"
                           R"({"type":"function_call","call_id":"c","name":"f","arguments":"[1"})";
  const auto answered =
      with_items(call + R"(,{"type":"function_call_output","call_id":"c","output":"r"})");
  ASSERT_TRUE(answered.ok()) << answered.error().message;
  EXPECT_EQ(to_json_text(messages_of(answered)[1].calls[0].arguments), R"({"arguments":"[1"})");
  expect_refused(with_items(call), "input[1].arguments");
}

struct Refusal {
  const char* members;
  const char* field;
};

class ResponsesRefuses : public testing::TestWithParam<Refusal> {};

TEST_P(ResponsesRefuses, NamingTheField) {
  expect_refused(request_of(GetParam().members), GetParam().field);
}

INSTANTIATE_TEST_SUITE_P(
    Fields, ResponsesRefuses,
    testing::Values(Refusal{R"("input":[])", "input"}, Refusal{R"("input":" ")", "input"},
                    Refusal{R"("instructions":"I")", "input"}, Refusal{R"("input":7)", "input"},
                    Refusal{R"("input":"a","background":true)", "background"},
                    Refusal{R"("input":"a","conversation":"conv_1")", "conversation"},
                    Refusal{R"("input":"a","prompt":{"id":"p"})", "prompt"},
                    Refusal{R"("input":[{"role":"robot","content":"a"}])", "input[0].role"},
                    Refusal{R"("input":[3])", "input[0]"},
                    Refusal{R"("input":[{"role":"user","content":[{"type":"input_image",)"
                            R"("image_url":"http://a/b.png"}]}])",
                            "input[0].content[0].image_url"},
                    Refusal{R"("input":[{"role":"user","content":[{"type":"input_file",)"
                            R"("file_url":"http://a/b.txt"}]}])",
                            "input[0].content[0].file_url"},
                    Refusal{R"("input":"a","previous_response_id":"resp_x")",
                            "previous_response_id"},
                    Refusal{R"("input":[{"type":"item_reference","id":"msg_x"}])", "input[0].id"},
                    Refusal{R"("input":"a","max_output_tokens":0)", "max_output_tokens"},
                    Refusal{R"("input":"a","reasoning":{"effort":"huge"})", "reasoning.effort"},
                    Refusal{R"("input":"a","context_management":[{"type":"compaction"}])",
                            "context_management[0].compact_threshold"},
                    Refusal{R"("input":"a","tool_choice":"required")", "tool_choice"}));

TEST(ResponsesRequest, GoesOnFromAStoredResponse) {
  ResponsesOptions options;
  options.find_response = [](const std::string& id) -> std::optional<std::vector<JsonValue>> {
    if (id != "resp_1") return std::nullopt;
    return std::vector{json(R"({"role":"user","content":"U"})"),
                       json(R"({"type":"message","role":"assistant","content":"A"})")};
  };
  options.find_item = [](const std::string&) { return json(R"({"role":"user","content":"R"})"); };
  const auto request = request_of(
      R"("previous_response_id":"resp_1","input":[{"type":"item_reference","id":"x"}])", options);
  ASSERT_TRUE(request.ok()) << request.error().message;
  ASSERT_EQ(messages_of(request).size(), 3u);
  EXPECT_EQ(text_of(messages_of(request)[2]), "R");
  EXPECT_EQ(request->list.n_previous, 2u);
  const auto unknown = request_of(R"("previous_response_id":"resp_2","input":"a")", options);
  ASSERT_FALSE(unknown.ok());
  EXPECT_EQ(unknown.error().code, Code::NotFound);
  EXPECT_EQ(unknown.error().reason(), "previous_response_not_found");
}

TEST(ResponsesRequest, RepeatsItselfInTheReply) {
  const auto request = request_of(
      R"("input":"a","temperature":0.5,"metadata":{"k":"v"},"max_output_tokens":9,"store":false,)"
      R"("text":{"format":{"type":"json_object"}},"reasoning":{"effort":"low","summary":"auto"})");
  ASSERT_TRUE(request.ok()) << request.error().message;
  EXPECT_EQ(to_json_text(request->style.echo),
            R"({"instructions":null,"max_output_tokens":9,"metadata":{"k":"v"},)"
            R"("parallel_tool_calls":true,"previous_response_id":null,)"
            R"("reasoning":{"effort":"low","summary":"auto"},"store":false,"temperature":0.5,)"
            R"("text":{"format":{"type":"json_object"}},"tool_choice":"auto","tools":[],)"
            R"("top_p":0.95,"truncation":"disabled"})");
  EXPECT_TRUE(request->style.summarizes);
  EXPECT_FALSE(request->store);
  EXPECT_EQ(request->chat.sampling.max_tokens, 9);
  EXPECT_EQ(request->chat.conversation.response_format.kind, ResponseFormat::Kind::Json);
}

TEST(ResponsesRequest, ReadsIncludesFormatsAndTruncation) {
  const auto request = request_of(
      R"("input":"a","include":["reasoning.encrypted_content","message.output_text.logprobs"],)"
      R"("top_logprobs":3,"truncation":"auto","text":{"format":{"type":"json_schema","name":"n",)"
      R"("schema":{"type":"object"},"strict":true}})");
  ASSERT_TRUE(request.ok()) << request.error().message;
  EXPECT_TRUE(request->style.has_encrypted);
  EXPECT_TRUE(request->style.has_logprobs);
  EXPECT_EQ(request->chat.sampling.n_logprobs, 3);
  EXPECT_TRUE(request->chat.forget_oldest);
  EXPECT_EQ(to_json_text(request->chat.conversation.response_format.schema),
            R"({"type":"object"})");
}

// ---- compaction ----

std::string summary_item(const std::string& text, const char* type = "compaction") {
  return std::string(R"({"type":")") + type + R"(","id":"cmp_1","encrypted_content":")" +
         *sealer().seal(text, 0) + R"("})";
}

const char* const kHistory =
    R"({"role":"developer","content":"D"},{"role":"user","content":"U"},)"
    R"({"type":"reasoning","summary":[],"content":[{"type":"reasoning_text","text":"hm"}]},)"
    R"({"type":"function_call","call_id":"c","name":"f","arguments":"{}"},)"
    R"({"type":"function_call_output","call_id":"c","output":"r"},)"
    R"({"role":"assistant","content":"A"},)";

TEST(Compaction, StandsForWhatWasSaidBefore) {
  for (const auto* type : {"compaction", "compaction_summary", "context_compaction"}) {
    const auto request = with_items(
        kHistory + summary_item("Done so far.", type) + R"(,{"role":"user","content":"V"})",
        with_sealer());
    ASSERT_TRUE(request.ok()) << request.error().message;
    const auto& messages = messages_of(request);
    ASSERT_EQ(messages.size(), 4u);
    EXPECT_EQ(text_of(messages[0]), "D");
    EXPECT_EQ(text_of(messages[1]), "U");
    EXPECT_EQ(messages[2].role, Role::System);
    EXPECT_THAT(text_of(messages[2]), testing::EndsWith("Done so far."));
    EXPECT_EQ(text_of(messages[3]), "V");
    EXPECT_THAT(request->warnings, IsEmpty());
  }
}

TEST(Compaction, OfSeveralTheLastOneCounts) {
  const auto request = with_items(kHistory + summary_item("one") + "," + summary_item("two") +
                                      R"(,{"role":"user","content":"V"})",
                                  with_sealer());
  ASSERT_TRUE(request.ok());
  ASSERT_EQ(messages_of(request).size(), 4u);
  EXPECT_THAT(text_of(messages_of(request)[2]), testing::EndsWith("two"));
}

TEST(Compaction, ForeignSummariesAreLeftOutAndReported) {
  const auto request = with_items(
      std::string(kHistory) + R"({"type":"compaction","encrypted_content":"Zm9yZWlnbg=="},)" +
          R"({"role":"user","content":"V"})",
      with_sealer());
  ASSERT_TRUE(request.ok()) << request.error().message;
  EXPECT_EQ(messages_of(request).size(), 6u);  // the history as it was
  EXPECT_THAT(request->warnings, ElementsAre(HasSubstr("not ours")));
}

TEST(Compaction, ResultsOfCallsBeforeItGoWithThem) {
  const auto request = with_items(
      R"({"role":"user","content":"U"},{"type":"function_call","call_id":"c","name":"f","arguments":"{}"},)" +
          summary_item("s") + R"(,{"type":"function_call_output","call_id":"c","output":"r"})",
      with_sealer());
  ASSERT_TRUE(request.ok()) << request.error().message;
  EXPECT_EQ(messages_of(request).size(), 2u);
}

TEST(Compaction, TheTriggerIsNoPartOfTheConversation) {
  const auto request =
      with_items(std::string(kHistory) + R"({"type":"compaction_trigger"})", with_sealer());
  ASSERT_TRUE(request.ok()) << request.error().message;
  EXPECT_TRUE(request->is_compaction);
  EXPECT_EQ(request->list.items.size(), 6u);
  const auto early =
      with_items(R"({"type":"compaction_trigger"},{"role":"user","content":"U"})", with_sealer());
  ASSERT_TRUE(early.ok());
  EXPECT_FALSE(early->is_compaction);
  EXPECT_EQ(early->warnings.size(), 1u);
}

TEST(Compaction, ReadsTheThreshold) {
  const auto request = request_of(
      R"("input":"a","context_management":[{"type":"compaction","compact_threshold":1000}])");
  ASSERT_TRUE(request.ok());
  EXPECT_EQ(request->compact_threshold, 1000);
}

TEST(Compaction, KnowsWhatItKeepsAndReplaces) {
  const auto request =
      with_items(std::string(kHistory) + R"({"role":"user","content":"V"})", with_sealer());
  ASSERT_TRUE(request.ok());
  std::string kept;
  for (const auto& item : kept_items(request->list)) kept += item.find("content")->text;
  EXPECT_EQ(kept, "DUV");
  EXPECT_EQ(replaced_text(request->list, with_sealer().common.help), "hm\nf{}\nr\nA\n");
}

TEST(Compaction, DropsTheOldestPairThenTheOldestTurns) {
  ItemList list = with_items(std::string(kHistory) + R"({"role":"user","content":"V"})")->list;
  ASSERT_TRUE(drop_oldest(list));
  EXPECT_EQ(list.items.size(), 5u);  // the call and its result
  ASSERT_TRUE(drop_oldest(list));
  ASSERT_TRUE(drop_oldest(list));
  ASSERT_TRUE(drop_oldest(list));
  EXPECT_EQ(list.items.size(), 2u);  // the developer's text and the newest message
  EXPECT_FALSE(drop_oldest(list));
}

TEST(ResponsesRequest, ReadsHowMediaAreSeen) {
  const auto request = request_of(
      R"("mm_processor_kwargs":{"max_soft_tokens":140},"input":[{"role":"user","content":[)"
      R"({"type":"input_image","image_url":"data:;base64,iVBORw0KGgo","detail":"original"},)"
      R"({"type":"input_image","image_url":"data:;base64,iVBORw0KGgo","detail":"auto"}]}])");
  ASSERT_TRUE(request.ok()) << request.error().message;
  const auto& parts = messages_of(request)[0].parts;
  ASSERT_EQ(parts.size(), 2u);
  EXPECT_EQ(parts[0].settings.budget, 1120);
  EXPECT_EQ(parts[1].settings.budget, 140);
  expect_refused(request_of(R"("input":"Hi","mm_processor_kwargs":{"fps":-1})"),
                 "mm_processor_kwargs.fps");
}

}  // namespace
}  // namespace fourfold
