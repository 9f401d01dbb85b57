#include "grammar/constraint.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <fstream>
#include <set>
#include <sstream>
#include <thread>

#include "grammar/token_mask.h"
#include "tokenizer/golden_tokenizers.h"

namespace fourfold {
namespace {

using testing::HasSubstr;

ConstraintFactory& factory() {
  static ConstraintFactory factory(small_tokenizer());
  return factory;
}

JsonValue json(std::string_view text) {
  auto value = parse_json_value(text);
  EXPECT_TRUE(value.ok()) << text;
  return std::move(value).value();
}

Constraint schema(std::string_view text) {
  auto constraint = factory().json_schema(json(text));
  EXPECT_TRUE(constraint.ok()) << constraint.error().message;
  return std::move(constraint).value();
}

// Commits a text in the tokenizer's own spelling; control strings are control tokens. The number of
// tokens that were allowed.
std::size_t n_accepted(Constraint& constraint, std::string_view text) {
  const auto ids = small_tokenizer().encode(text, Trust::Trusted);
  for (std::size_t i = 0; i < ids.size(); ++i) {
    if (!constraint.commit(ids[i]).ok()) return i;
  }
  return ids.size();
}

bool accepts(Constraint constraint, std::string_view text) {
  const auto n = small_tokenizer().encode(text, Trust::Trusted).size();
  return n_accepted(constraint, text) == n && constraint.is_accepting();
}

std::set<TokenId> allowed_ids(Constraint& constraint) {
  const auto mask = constraint.allowed();
  EXPECT_TRUE(mask.ok());
  std::set<TokenId> ids;
  for (TokenId id = 0; id < small_tokenizer().vocab_size(); ++id) {
    if (is_allowed(*mask, id)) ids.insert(id);
  }
  return ids;
}

struct Sample {
  const char* constraint;
  const char* text;
  bool accepted;
};

class SchemaText : public testing::TestWithParam<Sample> {};

TEST_P(SchemaText, IsAcceptedIfItSatisfiesTheSchema) {
  EXPECT_EQ(accepts(schema(GetParam().constraint), GetParam().text), GetParam().accepted);
}

INSTANTIATE_TEST_SUITE_P(
    Samples, SchemaText,
    testing::Values(
        Sample{R"({"type":"object","properties":{"a":{"type":"integer"}}})", R"({"a": 1})", true},
        Sample{R"({"type":"object","properties":{"a":{"type":"integer"}}})", R"({"a":1.5})", false},
        Sample{R"({"type":"object","properties":{"a":{"type":"integer"}}})", R"({"b":1})", false},
        Sample{R"({"type":"object","properties":{"a":{"type":"integer"}}})", "{\n  \"a\": 1\n}",
               true},
        Sample{R"({"type":"string","minLength":2,"maxLength":3})", R"("äöü")", true},
        Sample{R"({"type":"string","minLength":2,"maxLength":3})", R"("äöüx")", false},
        Sample{R"({"type":"string","maxLength":2})", R"("\ud83d\ude00x")", true},
        Sample{R"({"type":"string","maxLength":2})", R"("\ud83dx")", false},
        Sample{R"({"type":"string","pattern":"b"})", R"("abc")", true},
        Sample{R"({"type":"string","pattern":"^b"})", R"("abc")", false},
        Sample{R"({"type":"string","pattern":"^\\d+$"})", R"("١٢")", false},
        Sample{R"({"type":"string","pattern":"^a.c$"})", R"("a\nc")", false},
        Sample{R"({"type":"string","pattern":"^a\\sc$"})", R"("a\nc")", true},
        Sample{R"({"type":"string","format":"date"})", R"("2024-02-29")", true},
        Sample{R"({"type":"string","format":"date"})", R"("2023-02-29")", false},
        Sample{R"({"type":"integer","minimum":9007199254740993})", "9007199254740993", true},
        Sample{R"({"type":"integer","minimum":9007199254740993})", "9007199254740992", false},
        Sample{R"({"enum":["a","ab"]})", R"("ab")", true},
        Sample{R"({"enum":["a","ab"]})", R"("abc")", false},
        Sample{R"({"type":"array","items":{"type":"boolean"},"minItems":2})", "[true]", false},
        Sample{R"({"type":"array","items":{"type":"boolean"},"minItems":2})", "[true,false]",
               true}));

TEST(Constraint, EndIdsAreNeverAllowedByTheDocument) {
  auto constraint = schema(R"({"type":"integer"})");
  ASSERT_EQ(n_accepted(constraint, "12"), 2u);
  EXPECT_TRUE(constraint.is_accepting());
  EXPECT_FALSE(constraint.is_complete());
  const auto ids = allowed_ids(constraint);
  EXPECT_FALSE(ids.empty());
  for (const TokenId id : small_tokenizer().stop_ids()) {
    EXPECT_FALSE(ids.contains(id));
    EXPECT_FALSE(constraint.commit(id).ok());
  }
}

TEST(Constraint, ACompleteDocumentAllowsNothing) {
  auto constraint = schema(R"({"const":true})");
  ASSERT_EQ(n_accepted(constraint, "true"), 1u);
  EXPECT_TRUE(constraint.is_complete());
  EXPECT_TRUE(constraint.is_accepting());
  EXPECT_TRUE(allowed_ids(constraint).empty());
  EXPECT_FALSE(constraint.commit(small_tokenizer().encode("x", Trust::Untrusted)[0]).ok());
  EXPECT_TRUE(constraint.is_complete());
}

TEST(Constraint, ARefusedTokenChangesNothing) {
  auto constraint = schema(R"({"type":"object","properties":{"a":{"type":"integer"}}})");
  ASSERT_GT(n_accepted(constraint, "{\"a\""), 0u);
  const auto before = allowed_ids(constraint);
  EXPECT_EQ(constraint.commit(small_tokenizer().encode("x", Trust::Untrusted)[0]).error().code,
            Code::InvalidArgument);
  EXPECT_EQ(constraint.commit(-1).error().code, Code::InvalidArgument);
  EXPECT_EQ(constraint.commit(small_tokenizer().vocab_size()).error().code, Code::InvalidArgument);
  EXPECT_EQ(allowed_ids(constraint), before);
}

TEST(Constraint, GoesBackOverItsEnd) {
  auto constraint = schema(R"({"enum":[true,false]})");
  const auto at_start = allowed_ids(constraint);
  const auto n = static_cast<int>(n_accepted(constraint, "true"));
  ASSERT_TRUE(constraint.is_complete());
  ASSERT_TRUE(constraint.rollback(n).ok());
  EXPECT_EQ(allowed_ids(constraint), at_start);
  EXPECT_FALSE(constraint.rollback(1).ok());
  EXPECT_TRUE(accepts(std::move(constraint), "false"));
}

TEST(Constraint, CopiesGoTheirOwnWay) {
  auto constraint = schema(R"({"enum":[true,false]})");
  auto copy = constraint.copy();
  n_accepted(copy, "true");
  EXPECT_TRUE(copy.is_complete());
  EXPECT_FALSE(constraint.is_complete());
}

TEST(Constraint, ForcesWhatHasNoAlternative) {
  ToolSet set;
  set.tools.push_back({"get_weather", json(R"({"type":"object","properties":{"city":
      {"type":"string"}},"required":["city"]})")});
  auto constraint = factory().tools(set);
  ASSERT_TRUE(constraint.ok());
  const auto forced = constraint->forced();
  ASSERT_TRUE(forced.ok());
  std::string text;
  for (const TokenId id : *forced) text += small_tokenizer().bytes(id);
  EXPECT_EQ(text, "<|tool_call>call:get_weather{city:<|\"|>");
  EXPECT_EQ(*forced, small_tokenizer().encode(text, Trust::Trusted));
}

TEST(Constraint, BeginsInTheMiddleOfAToken) {
  const char* const text = R"({"type":"object","properties":{"name":{"type":"string"}}})";
  auto constraint = schema(text);
  ASSERT_TRUE(constraint.begin_with("{\"na").ok());
  EXPECT_TRUE(accepts(std::move(constraint), "me\": \"x\"}"));

  auto other = schema(text);
  const auto status = other.begin_with("{\"nu");
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error().code, Code::InvalidArgument);
  EXPECT_THAT(status.error().message, HasSubstr("byte 3"));
}

TEST(Constraint, PenaltiesActInFreeStringValuesOnly) {
  auto constraint = schema(R"({"type":"object","properties":{
      "key":{"type":"string"},"kind":{"enum":["aa","ab"]}},"required":["key","kind"]})");
  const TokenId letter = small_tokenizer().encode("a", Trust::Untrusted)[0];
  const TokenId quote = small_tokenizer().encode("\"", Trust::Untrusted)[0];
  const auto may_penalise_after = [&](std::string_view text, TokenId id) {
    EXPECT_GT(n_accepted(constraint, text), 0u) << text;
    allowed_ids(constraint);
    return constraint.may_penalise(id);
  };
  EXPECT_FALSE(may_penalise_after("{\"", letter));          // a key
  EXPECT_TRUE(may_penalise_after("key\":\"x", letter));     // a free string
  EXPECT_FALSE(constraint.may_penalise(quote));             // its end
  EXPECT_FALSE(may_penalise_after("\",", letter));          // syntax
  EXPECT_FALSE(may_penalise_after("\"kind\":\"", letter));  // an enum
}

TEST(Constraint, PenaltiesActBetweenTheDelimitersOfACall) {
  ToolSet set;
  set.tools.push_back({"f", json(R"({"type":"object","properties":{"s":{"type":"string"}}})")});
  auto constraint = factory().tools(set);
  ASSERT_TRUE(constraint.ok());
  const TokenId letter = small_tokenizer().encode("a", Trust::Untrusted)[0];
  ASSERT_GT(n_accepted(*constraint, "<|tool_call>call:f{s:"), 0u);
  allowed_ids(*constraint);
  EXPECT_FALSE(constraint->may_penalise(letter));
  ASSERT_TRUE(constraint->commit(small_tokenizer().control().quote).ok());
  allowed_ids(*constraint);
  EXPECT_TRUE(constraint->may_penalise(letter));
  EXPECT_FALSE(constraint->may_penalise(small_tokenizer().control().quote));
}

TEST(Constraint, EverySchemaThatItCannotHoldIsRefusedByName) {
  std::ifstream in(std::string(FOURFOLD_SOURCE_DIR) + "/tests/cases/grammar/refused.json");
  std::stringstream text;
  text << in.rdbuf();
  const auto rows = json(text.str());
  ASSERT_GT(rows.items.size(), 20u);
  for (const auto& row : rows.items) {
    const auto constraint = factory().json_schema(*row.find("schema"));
    ASSERT_FALSE(constraint.ok()) << to_json_text(row);
    EXPECT_EQ(constraint.error().message, row.find("error")->text);
  }
}

TEST(Constraint, LoosensInsteadOfRefusingWhenAsked) {
  const auto constraint = factory().json_schema(
      json(R"({"type":"object","properties":{"a":{"type":"string","pattern":"(?<=x)y"},
                "b":{"type":"array","uniqueItems":true,"items":{"type":"integer"}}},
                "required":["a","b"]})"),
      Unsupported::Loosen);
  ASSERT_TRUE(constraint.ok()) << constraint.error().message;
  EXPECT_THAT(constraint->loosened(),
              testing::ElementsAre("$.properties.a.pattern: offset 1: look-behind is not supported",
                                   "$.properties.b: \"uniqueItems\""));
  EXPECT_TRUE(accepts(constraint->copy(), R"({"a":"z","b":[1,1]})"));
  EXPECT_FALSE(accepts(constraint->copy(), R"({"a":1,"b":[1,1]})"));
  EXPECT_FALSE(accepts(constraint->copy(), R"({"a":"z","b":["1"]})"));
}

TEST(Constraint, ANodeThatNothingSatisfiesKeepsItsTypeWhenLoosened) {
  const auto constraint = factory().json_schema(
      json(R"({"type":"object","properties":{"a":{"type":"integer","minimum":3,"maximum":1}}})"),
      Unsupported::Loosen);
  ASSERT_TRUE(constraint.ok());
  EXPECT_EQ(constraint->loosened().size(), 1u);
  EXPECT_TRUE(accepts(constraint->copy(), R"({"a":7})"));
  EXPECT_FALSE(accepts(constraint->copy(), R"({"a":"7"})"));
}

class RegexText : public testing::TestWithParam<Sample> {};

TEST_P(RegexText, MatchesFromItsFirstToItsLastCharacter) {
  auto constraint = factory().regex(GetParam().constraint);
  ASSERT_TRUE(constraint.ok()) << constraint.error().message;
  EXPECT_EQ(accepts(std::move(*constraint), GetParam().text), GetParam().accepted);
}

INSTANTIATE_TEST_SUITE_P(
    Samples, RegexText,
    testing::Values(Sample{"a|b", "a", true}, Sample{"a|b", "ab", false},
                    Sample{"[0-9]{2}-\\w+", "12-x_1", true}, Sample{"(?=.*x).{3}", "axb", true},
                    Sample{"(?=.*x).{3}", "abc", false}, Sample{"^a$", "a", true},
                    Sample{"[^\\n]*", "<b>/x</b>", true}, Sample{"<[a-z]+>/", "<b>/", true}));

class GrammarText : public testing::TestWithParam<Sample> {};

TEST_P(GrammarText, IsAcceptedIfTheGrammarDerivesIt) {
  auto constraint = factory().grammar(GetParam().constraint);
  ASSERT_TRUE(constraint.ok()) << constraint.error().message;
  EXPECT_EQ(accepts(std::move(*constraint), GetParam().text), GetParam().accepted);
}

INSTANTIATE_TEST_SUITE_P(
    Samples, GrammarText,
    testing::Values(Sample{"start: \"(\" start \")\" | /[0-9]+/", "((12))", true},
                    Sample{"start: \"(\" start \")\" | /[0-9]+/", "((12)", false},
                    Sample{"root ::= \"ab\" | [a-z]+ \"!\"", "abc!", true},
                    Sample{"root ::= \"ab\" | [a-z]+ \"!\"", "ab", true},
                    Sample{"root ::= \"ab\" | [a-z]+ \"!\"", "abc", false},
                    Sample{"root ::= item (\", \" item){1,2}\nitem ::= [^,]+  # a comment\n",
                           "x, y z", true},
                    Sample{"root ::= item (\", \" item){1,2}\nitem ::= [^,]+\n", "x", false},
                    Sample{"root ::= a-b\n  | \"z\"\na-b ::= \"\\x41\\u00e4\"?", "Aä", true},
                    Sample{"root ::= \"\\\"\" [^\"\\\\]* \"\\\"\"", "\"x<y\"", true}));

TEST(Constraint, GrammarsOfClientsCannotNameControlTokens) {
  for (const char* const text : {"start: <[48]>", "start: \"a\" <|turn>"}) {
    const auto constraint = factory().grammar(text);
    ASSERT_FALSE(constraint.ok());
    EXPECT_THAT(constraint.error().message, HasSubstr("control tokens"));
  }
  EXPECT_TRUE(factory().grammar("start: \"<[48]>\" /<x>/  // <y>").ok());
}

TEST(Constraint, MistakesInGrammarsAreTold) {
  struct Mistake {
    const char *text, *message;
  };
  for (const auto& [text, message] :
       {Mistake{"start: foo", "unknown name: \"foo\""}, Mistake{"start: /[/", "invalid regex"},
        Mistake{"root ::= foo", "line 1: no rule is named foo"},
        Mistake{"a ::= \"x\"", "no rule named root"},
        Mistake{"root ::= \"x", "line 1: the string does not end"}}) {
    const auto constraint = factory().grammar(text);
    ASSERT_FALSE(constraint.ok()) << text;
    EXPECT_EQ(constraint.error().code, Code::InvalidArgument);
    EXPECT_THAT(constraint.error().message, HasSubstr(message));
  }
  EXPECT_FALSE(factory().regex("a(").ok());
}

TEST(Constraint, ToolChoiceIsWhatTheSetSays) {
  ToolSet set;
  set.tools = {{"a", {}}, {"b", {}}};
  set.names = {"b"};
  set.parallel = false;
  const auto one = [&] {
    auto constraint = factory().tools(set);
    EXPECT_TRUE(constraint.ok()) << constraint.error().message;
    return std::move(constraint).value();
  };
  EXPECT_TRUE(accepts(one(), "<|tool_call>call:b{}<tool_call|>"));
  EXPECT_FALSE(accepts(one(), "<|tool_call>call:a{}<tool_call|>"));
  EXPECT_FALSE(accepts(one(), "<|tool_call>call:b{}<tool_call|><|tool_call>call:b{}<tool_call|>"));
  set.parallel = true;
  EXPECT_TRUE(accepts(one(), "<|tool_call>call:b{}<tool_call|><|tool_call>call:b{}<tool_call|>"));
  EXPECT_FALSE(accepts(one(), "call:b{}"));

  set.names = {"c"};
  EXPECT_EQ(factory().tools(set).error().message, "no tool is named c");
  set.names = {};
  set.tools = {{"a", json(R"({"type":"array"})")}};
  EXPECT_EQ(factory().tools(set).error().message,
            "tool a: $.type: the parameters must be of type object");
  set.tools = {};
  EXPECT_FALSE(factory().tools(set).ok());
}

TEST(Constraint, TheDelimiterIsATokenAndNeverItsCharacters) {
  ToolSet set;
  set.tools = {{"f", json(R"({"type":"object","properties":{"s":{"type":"string"}},
                             "required":["s"]})")}};
  auto constraint = factory().tools(set);
  ASSERT_TRUE(constraint.ok());
  ASSERT_GT(n_accepted(*constraint, "<|tool_call>call:f{s:"), 0u);
  const auto spelled = small_tokenizer().encode("<|\"|>", Trust::Untrusted);
  EXPECT_FALSE(constraint->commit(spelled[0]).ok());
  ASSERT_TRUE(constraint->commit(small_tokenizer().control().quote).ok());
  for (const TokenId id : spelled) ASSERT_TRUE(constraint->commit(id).ok());
  EXPECT_FALSE(constraint->is_accepting());
  EXPECT_EQ(allowed_ids(*constraint).contains(small_tokenizer().control().quote), true);
}

TEST(Constraint, MembersOfACallComeInTheOrderOfTheDeclaration) {
  ToolSet set;
  set.tools = {{"f", json(R"({"type":"object","properties":{"b":{"type":"integer"},
                             "A":{"type":"integer"}},"required":["b"]})")}};
  const auto accepts_call = [&](const std::string& arguments) {
    auto constraint = factory().tools(set);
    EXPECT_TRUE(constraint.ok());
    return accepts(std::move(*constraint), "<|tool_call>call:f{" + arguments + "}<tool_call|>");
  };
  EXPECT_TRUE(accepts_call("A:2,b:1"));
  EXPECT_TRUE(accepts_call("b:1"));
  EXPECT_FALSE(accepts_call("b:1,A:2"));
  EXPECT_FALSE(accepts_call("A:2"));
  EXPECT_FALSE(accepts_call("b:1,b:1"));
}

// The library itself would look for the next byte behind such a string, and stop.
TEST(Constraint, PatternsOfACallWithALengthEnd) {
  ToolSet set;
  set.tools = {{"f", json(R"({"type":"object","required":["r"],"properties":{
      "r":{"type":"string","pattern":"^/?x?(?:ab|cd){3,}$","maxLength":8}}})")}};
  const auto constraint = factory().tools(set);
  ASSERT_TRUE(constraint.ok()) << constraint.error().message;
  for (const auto* text : {"xabcdab", "/ababab", "/xcdcdcd", "abababab"}) {
    EXPECT_TRUE(accepts(constraint->copy(), fmt::format("<|tool_call>call:f{{r:<|\"|>{}<|\"|>}}"
                                                        "<tool_call|>",
                                                        text)))
        << text;
  }
  EXPECT_FALSE(
      accepts(constraint->copy(), "<|tool_call>call:f{r:<|\"|>xababababab<|\"|>}<tool_call|>"));
}

TEST(Constraint, AtMostOneIsALimit) {
  const auto list =
      factory().json_schema(json(R"({"type":"array","items":{"type":"boolean"},"maxItems":1})"));
  ASSERT_TRUE(list.ok()) << list.error().message;
  for (const auto* text : {"[]", "[true]"}) EXPECT_TRUE(accepts(list->copy(), text)) << text;
  EXPECT_FALSE(accepts(list->copy(), "[true,true]"));
  const auto map = factory().json_schema(
      json(R"({"type":"object","additionalProperties":{"type":"null"},"maxProperties":1})"));
  ASSERT_TRUE(map.ok()) << map.error().message;
  for (const auto* text : {"{}", R"({"a":null})"}) EXPECT_TRUE(accepts(map->copy(), text)) << text;
  EXPECT_FALSE(accepts(map->copy(), R"({"a":null,"b":null})"));
}

TEST(Constraint, ReferencesMayBePercentEncoded) {
  const auto constraint = factory().json_schema(json(
      R"({"$defs":{"a b":{"type":"null"},"c/d":{"const":"%"}},"anyOf":[{"$ref":"#/$defs/a%20b"},
          {"$ref":"#/%24defs/c~1d"}]})"));
  ASSERT_TRUE(constraint.ok()) << constraint.error().message;
  EXPECT_TRUE(accepts(constraint->copy(), "null"));
  EXPECT_TRUE(accepts(constraint->copy(), R"("%")"));
}

TEST(Constraint, FreeKeysOfACallAreRawWhereTheyReadBack) {
  ToolSet set;
  set.tools = {{"f", json(R"({"type":"object","additionalProperties":{"type":"integer"}})")}};
  auto constraint = factory().tools(set);
  ASSERT_TRUE(constraint.ok()) << constraint.error().message;
  const auto accepts_key = [&](const std::string& key) {
    return accepts(constraint->copy(), "<|tool_call>call:f{" + key + ":1}<tool_call|>");
  };
  for (const auto* key :
       {"b", "b c", "größe", "9a", "a/b", "a.b-c$@", "it's", "<|\"|>'a:b <|\"|>"}) {
    EXPECT_TRUE(accepts_key(key)) << key;
  }
  for (const auto* key : {"", "'b", " b", "b ", "b\n", "b,c", "b(c", "[b]", "b=c", "b\"c"}) {
    EXPECT_FALSE(accepts_key(key)) << key;
  }
}

TEST(Constraint, OrdinarySchemasCompileInLessThanFiftyMilliseconds) {
  ConstraintFactory fresh(small_tokenizer());
  ASSERT_TRUE(fresh.regex("a").ok());  // makes the tables of the vocabulary
  std::vector<double> times_ms;
  for (const std::string name : {"schemas.json", "real-schemas.json"}) {
    std::ifstream in(std::string(FOURFOLD_SOURCE_DIR) + "/tests/cases/grammar/" + name);
    std::stringstream text;
    text << in.rdbuf();
    for (const auto& row : json(text.str()).items) {
      const auto start = std::chrono::steady_clock::now();
      ASSERT_TRUE(fresh.json_schema(*row.find("schema")).ok()) << row.find("name")->text;
      const std::chrono::duration<double, std::milli> taken =
          std::chrono::steady_clock::now() - start;
      times_ms.push_back(taken.count());
    }
  }
  // A machine with other work interrupts one or the other.
  std::sort(times_ms.begin(), times_ms.end());
  EXPECT_LT(times_ms[times_ms.size() * 9 / 10], 50.0);
}

TEST(Constraint, LimitsAreCounters) {
  for (const char* const text :
       {R"({"type":"string","maxLength":2147483647})", R"({"type":"string","minLength":100000})",
        R"({"type":"array","items":{"type":"integer"},"maxItems":2147483647})",
        R"({"type":"array","items":{"type":"array","items":{"type":"string","maxLength":5000},
            "maxItems":5000},"minItems":5000})",
        R"({"type":"string","pattern":"^(a{1,2000}b?){1,2000}$"})"}) {
    auto constraint = factory().json_schema(json(text));
    ASSERT_TRUE(constraint.ok()) << text << constraint.error().message;
    EXPECT_FALSE(allowed_ids(*constraint).empty());
  }
}

TEST(Constraint, LongStringsWithALimitDoNotWearItOut) {
  // The automaton grows with every mask inside such a string.
  auto constraint = schema(R"({"type":"string","maxLength":200000})");
  ASSERT_EQ(n_accepted(constraint, "\""), 1u);
  const auto words = small_tokenizer().encode(" lorem ipsum, dolor (sit) amet.", Trust::Untrusted);
  for (int i = 0; i < 6000; ++i) {
    const TokenId id = words[static_cast<std::size_t>(i * 7) % words.size()];
    const auto mask = constraint.allowed();
    ASSERT_TRUE(mask.ok()) << i << ": " << mask.error().message;
    ASSERT_TRUE(is_allowed(*mask, id)) << i;
    ASSERT_TRUE(constraint.commit(id).ok()) << i;
  }
}

TEST(ConstraintFactory, ServesSeveralThreads) {
  ConstraintFactory shared(small_tokenizer());
  const auto text = json(R"({"type":"object","properties":{"a":{"type":"integer"}}})");
  std::vector<std::thread> threads;
  std::atomic<int> n_good = 0;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 20; ++i) {
        auto constraint = shared.json_schema(text);
        if (constraint.ok() && accepts(std::move(*constraint), R"({"a":1})")) ++n_good;
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(n_good, 80);
}

}  // namespace
}  // namespace fourfold
