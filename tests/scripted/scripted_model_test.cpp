#include "scripted/scripted_model.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "chat/render.h"
#include "runtime/sampler.h"
#include "tokenizer/detokenizer.h"
#include "tokenizer/id_bits.h"

namespace fourfold::scripted {
namespace {

using testing::HasSubstr;

const std::string kSource = FOURFOLD_SOURCE_DIR;

class ScriptedModelTest : public testing::Test {
 protected:
  ScriptedModelTest()
      : tokenizer_(Tokenizer::open(kSource + "/models/keeper/keeper.gguf").value()) {}

  std::vector<TokenId> prompt(const std::string& text) const {
    return tokenizer_.with_bos(tokenizer_.encode(text, Trust::Trusted));
  }
  static std::string ask(const std::string& text) {
    return "<|turn>user\n" + text + "<turn|>\n<|turn>model\n";
  }

  // What a sampler makes of the script; at most 600 tokens.
  std::string answer(const Script& script, const std::vector<TokenId>& prompt_ids) {
    ScriptedModel model(tokenizer_, script);
    auto ids = prompt_ids;
    while (ids.size() < prompt_ids.size() + 600) {
      const TokenId id = draw(model, ids, prompt_ids.size());
      if (id == tokenizer_.control().turn_close) break;
      ids.push_back(id);
    }
    return decode(tokenizer_, std::span(ids).subspan(prompt_ids.size()));
  }

  TokenId draw(ScriptedModel& model, const std::vector<TokenId>& ids, std::size_t n_prompt) {
    std::vector<float> logits(static_cast<std::size_t>(model.vocab_size()));
    model.write_logits(ids, static_cast<std::int64_t>(n_prompt), logits);
    Sampler sampler({.seed = 7, .n_logprobs = 5});
    const auto token = sampler.sample(logits, ids, static_cast<std::int64_t>(ids.size()), nullptr);
    if (!token.ok()) return tokenizer_.control().turn_close;
    EXPECT_TRUE(std::isfinite(token->logprob));
    for (const auto& top : token->top_logprobs) EXPECT_TRUE(std::isfinite(top.logprob));
    return token->id;
  }

  Tokenizer tokenizer_;
};

TEST_F(ScriptedModelTest, SaysItsAnswer) {
  const Script script = {.otherwise = {.thought = "Hm.", .answer = "The fan is on."}};
  EXPECT_EQ(answer(script, prompt(ask("Hi"))), "The fan is on.");
}

TEST_F(ScriptedModelTest, ThinksWhereThePromptAsksForIt) {
  const Script script = {.otherwise = {.thought = "Hm.", .answer = "On."}};
  const std::string system = "<|turn>system\n<|think|>\n<turn|>\n";
  EXPECT_EQ(answer(script, prompt(system + ask("Hi"))), "<|channel>thought\nHm.<channel|>On.");
  EXPECT_EQ(answer(script, prompt(system + ask("Hi") + "<|channel>thought\n")), "Hm.<channel|>On.");
}

TEST_F(ScriptedModelTest, ChoosesByPromptAndNewestTurn) {
  const Script script = {.otherwise = {.answer = "else"},
                         .when = {{.prompt_has = {"Ada"}, .tail_has = {"Who"}, .answer = "Ada"}}};
  EXPECT_EQ(answer(script, prompt(ask("I am Ada") + "Hello<turn|>\n" + ask("Who am I"))), "Ada");
  EXPECT_EQ(answer(script, prompt(ask("Who? Ada") + "Hello<turn|>\n" + ask("And"))), "else");
}

TEST_F(ScriptedModelTest, EchoesControlSpellingsAsText) {
  const Script script = {.kind = Script::Kind::Echo};
  EXPECT_EQ(answer(script, prompt(ask("a <b> 日本"))), "a <b> 日本");
}

TEST_F(ScriptedModelTest, RepeatsTheNumberOfTheNewestTurnInEveryTenTokens) {
  const Script script = {.kind = Script::Kind::Load};
  const auto ids = prompt(ask("number=11 tokens=5") + ask("number=4711 tokens=40"));
  const std::string text = answer(script, ids);
  EXPECT_EQ(tokenizer_.encode(text, Trust::Untrusted).size(), 40u) << text;
  int n = 0;
  for (auto at = text.find("4711"); at != text.npos; at = text.find("4711", at + 1)) ++n;
  EXPECT_EQ(n, 4) << text;
}

TEST_F(ScriptedModelTest, FailsWhereItIsTold) {
  const Script script = {.otherwise = {.answer = "one two three four"}, .fail_at = 3};
  ScriptedModel model(tokenizer_, script);
  std::vector<float> logits(static_cast<std::size_t>(model.vocab_size()));
  auto ids = prompt(ask("Hi"));
  const auto n_prompt = static_cast<std::int64_t>(ids.size());
  model.write_logits(ids, n_prompt, logits);
  EXPECT_FALSE(std::isnan(logits[0]));
  ids.insert(ids.end(), 2, 600);
  model.write_logits(ids, n_prompt, logits);
  EXPECT_TRUE(std::isnan(logits[0]));
}

// A thought whose end was forced, say.
TEST_F(ScriptedModelTest, AnswersAsWrittenBehindAThoughtThatWentAnotherWay) {
  const Script script = {.otherwise = {.thought = "A long thought.", .answer = "On."}};
  ScriptedModel model(tokenizer_, script);
  auto ids = prompt("<|turn>system\n<|think|>\n<turn|>\n" + ask("Hi"));
  const auto n_prompt = ids.size();
  const auto said = tokenizer_.encode("<|channel>thought\nA<channel|>", Trust::Trusted);
  ids.insert(ids.end(), said.begin(), said.end());
  EXPECT_EQ(draw(model, ids, n_prompt), tokenizer_.encode("On.", Trust::Trusted).front());
}

TEST(Script, SaysWhatIsWrong) {
  EXPECT_THAT(parse_script("x", "[]").error().message, HasSubstr("x: expected an object"));
  EXPECT_THAT(parse_script("x", R"({"answr": "a"})").error().message, HasSubstr("answr"));
  EXPECT_THAT(parse_script("x", R"({"kind": "sings"})").error().message, HasSubstr("sings"));
  EXPECT_THAT(parse_script("x", R"({"step_ms": "1"})").error().message, HasSubstr("step_ms"));
  EXPECT_THAT(parse_script("x", R"({"when": [{"has": "a"}]})").error().message, HasSubstr("has"));
}

TEST(Script, ReadsAllOfTheFolder) {
  const auto scripts = load_scripts(kSource + "/tests/cases/server");
  ASSERT_TRUE(scripts.ok()) << scripts.error().message;
  EXPECT_GT(scripts->size(), 10u);
  EXPECT_FALSE(load_scripts(kSource + "/tests/cases/nowhere").ok());
}

}  // namespace
}  // namespace fourfold::scripted
