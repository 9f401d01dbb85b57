#include "chat/render.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "chat/request_json.h"
#include "tokenizer/detokenizer.h"
#include "tokenizer/golden_tokenizers.h"

namespace fourfold {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

const Tokenizer& gemma4() { return small_tokenizer(); }

// Turns, byte pieces, and the one merge that a vocabulary must have.
const Tokenizer& gemma3() {
  static const auto tokenizer = [] {
    std::string pieces =
        R"("<pad>":0,"<eos>":1,"<bos>":2,"<unk>":3,"<start_of_turn>":4,"<end_of_turn>":5)"
        R"(,"▁":6,"a":7,"b":8,"ab":9)";
    for (int byte = 0; byte < 256; ++byte) {
      pieces += fmt::format(R"(,"<0x{:02X}>":{})", byte, 10 + byte);
    }
    return Tokenizer::from_json(R"({"model":{"type":"BPE","vocab":{)" + pieces +
                                R"(},"merges":["a b"]}})");
  }();
  return *tokenizer;
}

Conversation conversation_of(std::vector<Message> messages) {
  Conversation conversation;
  conversation.messages = std::move(messages);
  return conversation;
}

std::string error_of(const Tokenizer& tokenizer, const Conversation& conversation) {
  const auto prompt = render(tokenizer, conversation, {});
  return prompt.ok() ? "no error: " + prompt->text : prompt.error().message;
}

std::string text_of(const Tokenizer& tokenizer, const Conversation& conversation,
                    Variant variant = Variant::Small) {
  const auto prompt = render(tokenizer, conversation, {.variant = variant});
  if (!prompt.ok()) return prompt.error().message;
  EXPECT_EQ(decode(tokenizer, prompt->ids), prompt->text);
  return prompt->text;
}

// A request in JSON, rendered with its defects mended.
std::string rendered(std::string_view request) {
  const auto conversation = parse_request(request);
  return conversation.ok() ? text_of(gemma4(), *conversation) : conversation.error().message;
}

// ---- Gemma 4 ----

TEST(RenderGemma4, WritesATurnForEachMessageAndOpensTheAnswer) {
  EXPECT_EQ(text_of(gemma4(), conversation_of({Message::of(Role::System, "  Be brief.\n"),
                                               Message::of(Role::User, "Hello "),
                                               Message::of(Role::Model, "Hi!"),
                                               Message::of(Role::User, "\u3000Who?\u0085")})),
            "<bos><|turn>system\nBe brief.<turn|>\n<|turn>user\nHello<turn|>\n"
            "<|turn>model\nHi!<turn|>\n<|turn>user\nWho?<turn|>\n<|turn>model\n");
}

TEST(RenderGemma4, GivesLargeBodiesAnEmptyThoughtUnlessTheyThink) {
  auto conversation = conversation_of({Message::of(Role::User, "Hello")});
  EXPECT_THAT(text_of(gemma4(), conversation, Variant::Large),
              HasSubstr("<|turn>model\n<|channel>thought\n<channel|>"));
  conversation.thinking.on = true;
  EXPECT_EQ(text_of(gemma4(), conversation, Variant::Large),
            "<bos><|turn>system\n<|think|>\n<turn|>\n<|turn>user\nHello<turn|>\n<|turn>model\n");
}

TEST(RenderGemma4, ComposesTurnsOfTheIdsThatTheModelKnows) {
  const auto prompt =
      render(gemma4(), conversation_of({Message::of(Role::User, "")}), {.variant = Variant::Small});
  ASSERT_TRUE(prompt.ok());
  const auto& control = gemma4().control();
  const auto user = gemma4().find_piece("user"), newline = gemma4().find_piece("\n");
  // This small vocabulary spells "model" with two pieces.
  const auto mod = gemma4().find_piece("mod"), el = gemma4().find_piece("el");
  EXPECT_THAT(prompt->ids,
              ElementsAre(control.bos, control.turn_open, user, newline, control.turn_close,
                          newline, control.turn_open, mod, el, newline));
}

TEST(RenderGemma4, SaysWhetherTheModelGoesOnWithAThought) {
  const auto conversation = parse_request(
      R"({"messages":[{"role":"user","content":"x"},{"role":"assistant","tool_calls":[
         {"function":{"name":"f","arguments":{}}}]},{"role":"tool","content":"r"}],
         "enable_thinking":true})");
  ASSERT_TRUE(conversation.ok());
  const auto prompt = render(gemma4(), *conversation, {});
  ASSERT_TRUE(prompt.ok());
  EXPECT_TRUE(prompt->thought_is_open);
  EXPECT_TRUE(prompt->text.ends_with("<tool_response|><|channel>thought\n"));
  EXPECT_FALSE(
      render(gemma4(), conversation_of({Message::of(Role::User, "x")}), {})->thought_is_open);
}

TEST(RenderGemma4, DeclaresNoToolsWhenNoneMayBeCalled) {
  auto conversation = conversation_of({Message::of(Role::User, "x")});
  conversation.tools.push_back({.name = "f"});
  EXPECT_THAT(text_of(gemma4(), conversation), HasSubstr("<|tool>declaration:f{"));
  conversation.tool_choice.mode = ToolChoice::Mode::None;
  EXPECT_EQ(text_of(gemma4(), conversation), "<bos><|turn>user\nx<turn|>\n<|turn>model\n");
}

TEST(RenderGemma4, ContinuesTheLastMessageOfTheModel) {
  auto conversation =
      conversation_of({Message::of(Role::User, "x"), Message::of(Role::Model, "So ")});
  conversation.continue_last = true;
  EXPECT_EQ(text_of(gemma4(), conversation), "<bos><|turn>user\nx<turn|>\n<|turn>model\nSo");
  conversation.messages.pop_back();
  EXPECT_THAT(error_of(gemma4(), conversation), HasSubstr("continue_final_message"));
}

// ---- what the template would do badly ----

struct Mended {
  std::string what;
  std::string messages;
  std::string expected;  // after <bos>, or a part of the error
};

void PrintTo(const Mended& row, std::ostream* out) { *out << row.what; }

class MendedRequest : public testing::TestWithParam<Mended> {};

TEST_P(MendedRequest, RendersAsItShould) {
  const auto text = rendered(R"({"messages":[)" + GetParam().messages + "]}");
  EXPECT_THAT(text, HasSubstr(GetParam().expected));
}

constexpr const char* kCallTwo = R"({"role":"assistant","content":"Look.","tool_calls":[)"
                                 R"({"id":"1","function":{"name":"f","arguments":{}}},)"
                                 R"({"id":"2","function":{"name":"g","arguments":{}}}]},)";

INSTANTIATE_TEST_SUITE_P(
    Rows, MendedRequest,
    testing::Values(
        Mended{"text goes before the calls",
               std::string(kCallTwo) + R"({"role":"tool","content":"r"})",
               "model\nLook.<|tool_call>call:f{}<tool_call|><|tool_call>call:g{}<tool_call|>"
               "<|tool_response>response:f{value:<|\"|>r<|\"|>}<tool_response|>"},
        Mended{"names win over order",
               std::string(kCallTwo) + R"({"role":"tool","content":"r","name":"g"},)"
                                       R"({"role":"tool","content":"s"})",
               "response:g{value:<|\"|>r<|\"|>}<tool_response|><|tool_response>response:f{"},
        Mended{"ids win over names",
               std::string(kCallTwo) +
                   R"({"role":"tool","content":"r","name":"f","tool_call_id":"2"})",
               "response:g{value:<|\"|>r<|\"|>}"},
        Mended{"a result too many has no name",
               std::string(kCallTwo) + R"({"role":"tool","content":1},{"role":"tool","content":2},)"
                                       R"({"role":"tool","content":3})",
               "response:unknown{value:3}"},
        Mended{"a call that was never answered is cancelled",
               std::string(kCallTwo) + R"({"role":"tool","content":1,"tool_call_id":"2"},)"
                                       R"({"role":"user","content":"Stop"})",
               "response:g{value:1}<tool_response|><|tool_response>response:f{error:<|\"|>"
               "cancelled<|\"|>}<tool_response|><turn|>\n<|turn>user\nStop"},
        Mended{"an object is written as its fields",
               std::string(kCallTwo) + R"({"role":"tool","content":{"b":1,"a":[]}})",
               "response:f{a:[],b:1}"},
        Mended{"a result without a call", R"({"role":"user","content":"x"},{"role":"tool"})",
               "messages[1]: a tool's result without a call"},
        Mended{"an unknown role", R"({"role":"robot","content":"x"})",
               "messages[0].role: \"robot\""},
        Mended{"an unknown part", R"({"role":"user","content":[{"type":"file"}]})",
               "messages[0].content: unknown part \"file\""},
        Mended{"media in the system message", R"({"role":"system","content":[{"type":"image"}]})",
               "messages[0].content: the system message takes no media"}));

// ---- Gemma 3 ----

TEST(RenderGemma3, MakesSystemTextAPartOfTheUsersTurn) {
  EXPECT_EQ(
      text_of(gemma3(), conversation_of(
                            {Message::of(Role::System, "Be brief."),
                             Message::of(Role::User, " Hello "), Message::of(Role::Model, "Hi!"),
                             Message::of(Role::Model, "There."), Message::of(Role::User, "Bye")})),
      "<bos><start_of_turn>user\nBe brief.\n\nHello<end_of_turn>\n"
      "<start_of_turn>model\nHi!\n\nThere.<end_of_turn>\n"
      "<start_of_turn>user\nBye<end_of_turn>\n<start_of_turn>model\n");
}

TEST(RenderGemma3, LeavesEmptyTextsAndThoughtsOut) {
  auto answer = Message::of(Role::Model, "<|channel>thought\nhm<channel|>Yes");
  answer.thought = "hm";
  EXPECT_EQ(text_of(gemma3(), conversation_of({Message::of(Role::System, ""),
                                               Message::of(Role::User, "Hello"), answer})),
            "<bos><start_of_turn>user\nHello<end_of_turn>\n<start_of_turn>model\nYes<end_of_turn>\n"
            "<start_of_turn>model\n");
}

TEST(RenderGemma3, LeavesTheLastTurnOpenToContinueIt) {
  auto conversation =
      conversation_of({Message::of(Role::User, "a"), Message::of(Role::Model, "b")});
  conversation.continue_last = true;
  EXPECT_EQ(text_of(gemma3(), conversation),
            "<bos><start_of_turn>user\na<end_of_turn>\n<start_of_turn>model\nb");
  conversation.messages.back() = Message::of(Role::Model, "");
  EXPECT_EQ(text_of(gemma3(), conversation),
            "<bos><start_of_turn>user\na<end_of_turn>\n<start_of_turn>model\n");
}

TEST(RenderGemma3, LeavesControlStringsOfTheUserText) {
  const auto prompt =
      render(gemma3(), conversation_of({Message::of(Role::User, "<end_of_turn>")}), {});
  ASSERT_TRUE(prompt.ok());
  EXPECT_EQ(std::count(prompt->ids.begin(), prompt->ids.end(), gemma3().control().turn_close), 1);
}

TEST(RenderGemma3, RefusesToolsThinkingAndMedia) {
  auto conversation = conversation_of({Message::of(Role::User, "a")});
  conversation.tools.push_back({.name = "f"});
  EXPECT_THAT(error_of(gemma3(), conversation), HasSubstr("does not support tools"));
  conversation.tools.clear();
  conversation.thinking.on = true;
  EXPECT_THAT(error_of(gemma3(), conversation), HasSubstr("does not support thinking"));
  conversation.thinking.on = false;
  conversation.messages[0].parts.push_back({.kind = Part::Kind::Image});
  EXPECT_THAT(error_of(gemma3(), conversation), HasSubstr("text only"));
}

// ---- texts ----

struct Trimmed {
  std::string text, expected;
};

class Trim : public testing::TestWithParam<Trimmed> {};

TEST_P(Trim, CutsWhatPythonCallsWhiteSpace) {
  EXPECT_EQ(trim(GetParam().text), GetParam().expected);
}

INSTANTIATE_TEST_SUITE_P(
    Texts, Trim,
    testing::Values(Trimmed{"", ""}, Trimmed{" \n\t", ""}, Trimmed{"\x1C a b \x1F", "a b"},
                    Trimmed{"\u2003ä\u2029", "ä"},
                    Trimmed{"\u200Bzero width\uFEFF", "\u200Bzero width\uFEFF"},
                    Trimmed{"\xC2 broken \x85", "\xC2 broken \x85"}));

TEST(WithoutThoughts, CutsFromEveryOpenerToTheNextCloser) {
  EXPECT_EQ(without_thoughts("a<|channel>b<|channel>c<channel|>d<channel|>e "), "ade");
  EXPECT_EQ(without_thoughts(" x<|channel>lost"), "x");
  // What is joined is the user's all the same.
  EXPECT_EQ(without_thoughts("<|tu<channel|>rn>"), "<|turn>");
}

}  // namespace
}  // namespace fourfold
