#include "chat/output_machine.h"

#include <gtest/gtest.h>

#include <string>

#include "base/json_value.h"
#include "tokenizer/golden_tokenizers.h"

namespace fourfold {
namespace {

bool allows(const OutputMachine& machine, std::string_view piece) {
  return is_allowed(machine.allowed(), small_tokenizer().find_piece(piece));
}

// The control pieces that may come next, separated by spaces.
std::string allowed_controls(const OutputMachine& machine) {
  std::string pieces;
  for (const auto& piece : control_pieces(Family::Gemma4)) {
    if (!allows(machine, piece.text)) continue;
    if (!pieces.empty()) pieces += ' ';
    pieces += piece.text;
  }
  return pieces;
}

// Whether ids other than control pieces may come next.
bool allows_text(const OutputMachine& machine) { return allows(machine, "a"); }

// The model says this, each id of which must be allowed.
void say(OutputMachine& machine, std::string_view text) {
  for (const TokenId id : small_tokenizer().encode(text, Trust::Trusted)) {
    EXPECT_TRUE(is_allowed(machine.allowed(), id)) << small_tokenizer().piece(id) << " in " << text;
    const auto committed = machine.commit(id);
    EXPECT_TRUE(committed.ok()) << committed.error().message;
  }
}

ChatOutput output_of(OutputMachine& machine) {
  ChatOutput output;
  for (const auto& event : machine.take_events()) output.add(event);
  return output;
}

TEST(FreeAnswer, AllowsTextThoughtsAndTheEnd) {
  OutputMachine machine(small_tokenizer(), {});
  EXPECT_TRUE(allows_text(machine));
  EXPECT_EQ(allowed_controls(machine), "<eos> <|tool_response> <|\"|> <|channel> <turn|>");
}

TEST(FreeAnswer, ForbidsReservedPieces) {
  OutputMachine machine(small_tokenizer(), {});
  ASSERT_FALSE(small_tokenizer().never_sampled().empty());
  for (const TokenId id : small_tokenizer().never_sampled()) {
    EXPECT_FALSE(is_allowed(machine.allowed(), id)) << small_tokenizer().piece(id);
  }
}

TEST(FreeAnswer, ForbidsThoughtsWhenToldSo) {
  OutputMachine machine(small_tokenizer(), {.may_think = false});
  EXPECT_FALSE(allows(machine, "<|channel>"));
}

TEST(FreeAnswer, AllowsCallsOnlyWithTools) {
  OutputMachine without(small_tokenizer(), {}), with(small_tokenizer(), {.may_call = true});
  EXPECT_FALSE(allows(without, "<|tool_call>"));
  EXPECT_TRUE(allows(with, "<|tool_call>"));
  say(with, "<|channel>thought\n");
  EXPECT_TRUE(allows(with, "<|tool_call>"));
}

TEST(FreeCall, EndsByItsOwnCloser) {
  OutputMachine machine(small_tokenizer(), {.may_call = true});
  say(machine, "Well <|tool_call>call:f{a:");
  EXPECT_EQ(allowed_controls(machine), "<tool_call|> <|\"|>");
  EXPECT_TRUE(allows_text(machine));
}

TEST(FreeCall, MayBeFollowedByAnotherOrNot) {
  OutputMachine parallel(small_tokenizer(), {.may_call = true});
  OutputMachine single(small_tokenizer(), {.may_call = true, .parallel_calls = false});
  for (auto* machine : {&parallel, &single}) say(*machine, "<|tool_call>call:f{}<tool_call|>");
  EXPECT_TRUE(allows(parallel, "<|tool_call>"));
  EXPECT_EQ(allowed_controls(single), "<|tool_response>");
  EXPECT_FALSE(allows_text(single));
}

TEST(FreeCall, PenalisesOnlyInsideStrings) {
  OutputMachine machine(small_tokenizer(), {.may_call = true});
  const TokenId a = small_tokenizer().find_piece("a");
  EXPECT_TRUE(machine.may_penalise(a));
  say(machine, "<|tool_call>call:f{a:");
  EXPECT_FALSE(machine.may_penalise(a));
  say(machine, "<|\"|>");
  EXPECT_TRUE(machine.may_penalise(a));
  say(machine, "x<|\"|>");
  EXPECT_FALSE(machine.may_penalise(a));
}

TEST(RequiredCall, IsTheFirstThingSaid) {
  OutputMachine machine(small_tokenizer(), {.may_think = false, .must_call = true});
  EXPECT_EQ(allowed_controls(machine), "<|tool_call>");
  EXPECT_FALSE(allows_text(machine));
  say(machine, "<|tool_call>call:f{}<tool_call|>");
  EXPECT_EQ(allowed_controls(machine), "<eos> <|tool_call> <|tool_response> <turn|>");
  EXPECT_FALSE(allows_text(machine));
}

TEST(RequiredCall, ComesAfterOneThoughtThatCannotEndTheTurn) {
  OutputMachine machine(small_tokenizer(), {.must_call = true});
  EXPECT_EQ(allowed_controls(machine), "<|tool_call> <|channel>");
  say(machine, "<|channel>thought\na");
  EXPECT_EQ(allowed_controls(machine), "<|tool_call> <|\"|> <channel|>");
  say(machine, "<channel|>");
  EXPECT_EQ(allowed_controls(machine), "<|tool_call>");
}

TEST(Thought, MayEndTheTurnWhenNothingIsOwed) {
  OutputMachine machine(small_tokenizer(), {.thought_is_open = true});
  EXPECT_TRUE(allows_text(machine));
  EXPECT_EQ(allowed_controls(machine), "<eos> <|tool_response> <|\"|> <channel|> <turn|>");
}

TEST(Thought, IsClosedWhenItsBudgetIsSpent) {
  OutputMachine machine(small_tokenizer(), {.thought_budget = 2});
  say(machine, "<|channel>thought\na");
  EXPECT_TRUE(allows_text(machine));
  say(machine, "b");
  EXPECT_EQ(allowed_controls(machine), "<channel|>");
  EXPECT_FALSE(allows_text(machine));
  say(machine, "<channel|>Hi");
  EXPECT_FALSE(allows(machine, "<|channel>"));
}

TEST(Thought, SpendsItsBudgetFromTheBeginningWhenThePromptOpenedIt) {
  OutputMachine machine(small_tokenizer(), {.thought_is_open = true, .thought_budget = 1});
  say(machine, "a");
  EXPECT_EQ(allowed_controls(machine), "<channel|>");
}

TEST(Machine, ReportsWhatItAllowed) {
  OutputMachine machine(small_tokenizer(), {.may_call = true});
  say(machine, "<|channel>thought\nHm<channel|>Hi <|tool_call>call:f{a:1}<tool_call|>");
  machine.finish(small_tokenizer().control().tool_response_open, ChatFinish::Length);
  const auto output = output_of(machine);
  EXPECT_EQ(output.thinking, "Hm");
  EXPECT_EQ(output.content, "Hi");
  ASSERT_EQ(output.calls.size(), 1);
  EXPECT_EQ(output.finish, ChatFinish::ToolCalls);
  EXPECT_TRUE(machine.take_events().empty());
}

TEST(Machine, EndsWhenTheTextLoops) {
  OutputMachine machine(small_tokenizer(), {.loop_limits = {.min_repeats = 4, .min_tokens = 8}});
  say(machine, "aaaaaaa");
  EXPECT_FALSE(machine.is_over());
  say(machine, "a");
  EXPECT_TRUE(machine.is_over());
  machine.finish(kNoToken, ChatFinish::Cancelled);
  EXPECT_EQ(output_of(machine).finish, ChatFinish::Loop);
}

TEST(Machine, EndsWhereAStopTextBeginsInTheAnswer) {
  OutputMachine machine(small_tokenizer(), {.stop = {"END"}});
  say(machine, "<|channel>thought\nThe END<channel|>Now EN");
  EXPECT_FALSE(machine.is_over());
  say(machine, "Done");
  EXPECT_TRUE(machine.is_over());
  machine.finish(kNoToken, ChatFinish::Cancelled);
  const auto output = output_of(machine);
  EXPECT_EQ(output.thinking, "The END");
  EXPECT_EQ(output.content, "Now ");
  EXPECT_EQ(output.finish, ChatFinish::Stop);
}

class ConstrainedMachine : public testing::Test {
 protected:
  void SetUp() override {
    if (!ConstraintFactory::is_available()) GTEST_SKIP() << "built without constraints";
  }

  static Constraint yes_or_no() {
    auto made = factory().json_schema(*parse_json_value(R"({"enum": ["yes", "no"]})"));
    return std::move(*made);
  }
  static Constraint one_tool() {
    const auto parameters = parse_json_value(
        R"({"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]})");
    auto made = factory().tools({.tools = {{.name = "f", .parameters = *parameters}}});
    return std::move(*made);
  }
  static ConstraintFactory& factory() {
    static ConstraintFactory factory(small_tokenizer());
    return factory;
  }
};

TEST_F(ConstrainedMachine, BeginsWithTheAnswerOrWithAThought) {
  OutputMachine machine(small_tokenizer(), {.answer = yes_or_no()});
  EXPECT_EQ(allowed_controls(machine), "<|channel>");
  EXPECT_TRUE(allows(machine, "\""));
  EXPECT_FALSE(allows_text(machine));
  say(machine, "\"");
  EXPECT_EQ(allowed_controls(machine), "");
}

TEST_F(ConstrainedMachine, OwesTheAnswerAfterAThought) {
  OutputMachine machine(small_tokenizer(), {.answer = yes_or_no()});
  say(machine, "<|channel>thought\n{}");
  EXPECT_EQ(allowed_controls(machine), "<|\"|> <channel|>");
  say(machine, "<channel|>");
  EXPECT_EQ(allowed_controls(machine), "");
  EXPECT_FALSE(allows_text(machine));
}

TEST_F(ConstrainedMachine, EndsTheTurnWhenTheAnswerIsComplete) {
  OutputMachine machine(small_tokenizer(), {.may_think = false, .answer = yes_or_no()});
  say(machine, "\"yes\"");
  EXPECT_EQ(allowed_controls(machine), "<eos> <turn|>");
  EXPECT_FALSE(allows_text(machine));
}

TEST_F(ConstrainedMachine, RefusesWhatTheAnswerCannotBe) {
  OutputMachine machine(small_tokenizer(), {.answer = yes_or_no()});
  EXPECT_FALSE(machine.commit(small_tokenizer().find_piece("a")).ok());
}

TEST_F(ConstrainedMachine, KeepsACallWithinItsTool) {
  OutputMachine machine(small_tokenizer(), {.may_call = true, .calls = one_tool()});
  EXPECT_TRUE(allows_text(machine));
  say(machine, "Well <|tool_call>call:f{a:");
  EXPECT_EQ(allowed_controls(machine), "<|\"|>");
  EXPECT_FALSE(allows_text(machine));
  say(machine, "<|\"|>x<|\"|>}<tool_call|>");
  EXPECT_FALSE(allows_text(machine));
  EXPECT_TRUE(allows(machine, "<|tool_call>"));
  EXPECT_TRUE(allows(machine, "<|tool_response>"));
}

TEST_F(ConstrainedMachine, ReportsACallWhileItIsWritten) {
  OutputMachine machine(small_tokenizer(), {.may_call = true, .calls = one_tool()});
  say(machine, "<|tool_call>call:f{a:<|\"|>x<|\"|>");
  const auto events = machine.take_events();
  ASSERT_FALSE(events.empty());
  EXPECT_EQ(events.front().type, ChatEvent::Type::CallStarted);
}

TEST_F(ConstrainedMachine, LetsAToolBeCalledInsteadOfTheAnswer) {
  OutputMachine machine(
      small_tokenizer(),
      {.may_think = false, .may_call = true, .calls = one_tool(), .answer = yes_or_no()});
  EXPECT_EQ(allowed_controls(machine), "<|tool_call>");
  say(machine, "<|tool_call>call:f{a:<|\"|>x<|\"|>}<tool_call|>");
  EXPECT_EQ(allowed_controls(machine), std::string("<eos> <|tool_call> <|tool_response> <turn|>"));
}

}  // namespace
}  // namespace fourfold
