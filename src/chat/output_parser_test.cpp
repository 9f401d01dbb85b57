#include "chat/output_parser.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <fstream>

#include "chat/output_json.h"
#include "chat/white_space.h"
#include "tokenizer/golden_tokenizers.h"

namespace fourfold {
namespace {

using Type = ChatEvent::Type;

// Python's writer spells an overflown double in a way of its own.
std::string without_infinity(std::string line) {
  const std::string_view infinity = ": Infinity";
  for (auto at = line.find(infinity); at != line.npos; at = line.find(infinity)) {
    line.replace(at, infinity.size(), ": 1e400");
  }
  return line;
}

std::vector<JsonValue> read_rows(const std::string& file) {
  std::vector<JsonValue> rows;
  std::ifstream in(FOURFOLD_SOURCE_DIR "/tests/golden/chat/" + file);
  for (std::string line; std::getline(in, line);) {
    auto row = parse_json_value(without_infinity(line));
    if (row.ok()) rows.push_back(std::move(*row));
  }
  return rows;
}

std::vector<TokenId> ids_of(const JsonValue& row) {
  std::vector<TokenId> ids;
  for (const auto& item : row.find("ids")->items) ids.push_back(std::stoi(item.text));
  return ids;
}

bool is_nothing(const JsonValue& value) {
  return value.is_null() || (value.is_bool() && !value.boolean) ||
         (value.is_string() && value.text.empty()) || (value.is_array() && value.items.empty());
}

// The goldens leave out what is empty and compare numbers by value.
JsonValue comparable(const JsonValue& value, bool is_frame = true) {
  JsonValue same = value;
  if (same.is_number() && same.is_integer() && same.text == "-0") same.text = "0";
  if (same.is_number() && !same.is_integer()) {
    const double number = std::strtod(same.text.c_str(), nullptr);
    const bool is_whole = std::isfinite(number) && number == std::floor(number);
    same.text = fmt::format("{:.{}f}", number, is_whole ? 0 : 30);
  }
  for (auto& item : same.items) item = comparable(item, is_frame);
  for (auto& member : same.members) {
    member.value = comparable(member.value, is_frame && member.key != "arguments");
  }
  if (is_frame) {
    std::erase_if(same.members, [](const JsonMember& member) { return is_nothing(member.value); });
  }
  std::sort(same.members.begin(), same.members.end(),
            [](const JsonMember& a, const JsonMember& b) { return a.key < b.key; });
  return same;
}

std::string comparable_text(const JsonValue& value) { return to_json_text(comparable(value)); }

std::vector<ChatEvent> parse(const Tokenizer& tokenizer, const std::vector<TokenId>& ids,
                             OutputParser::Options options = {}) {
  OutputParser parser(tokenizer, options);
  std::vector<ChatEvent> events;
  const auto add = [&](std::vector<ChatEvent> more) {
    events.insert(events.end(), more.begin(), more.end());
  };
  for (const TokenId id : ids) add(parser.push(id));
  add(parser.finish(ChatFinish::Length));
  return events;
}

ChatOutput put_together(const std::vector<ChatEvent>& events) {
  ChatOutput output;
  for (const auto& event : events) output.add(event);
  return output;
}

class GoldenRows : public testing::TestWithParam<std::string> {};

TEST_P(GoldenRows, AreParsedIdByIdIntoTheSameEventsAndWhole) {
  const auto rows = read_rows(GetParam());
  ASSERT_EQ(rows.size(), GetParam() == "parse.jsonl" ? 409 : 38);
  for (const auto& row : rows) {
    SCOPED_TRACE(row.find("id")->text + " " + row.find("text")->text);
    const auto events =
        parse(full_tokenizer(), ids_of(row), {.thought_is_open = row.find("open")->boolean});
    EXPECT_EQ(comparable_text(events_json(events)), comparable_text(*row.find("events")));
    EXPECT_EQ(comparable_text(output_json(put_together(events))),
              comparable_text(*row.find("out")));
  }
}

TEST_P(GoldenRows, ReportCallsWhoseArgumentPiecesMakeTheWhole) {
  for (const auto& row : read_rows(GetParam())) {
    SCOPED_TRACE(row.find("id")->text + " " + row.find("text")->text);
    std::string name, arguments;
    for (const auto& event : parse(full_tokenizer(), ids_of(row))) {
      if (event.type == Type::CallStarted) {
        name = event.call.name;
        arguments.clear();
      }
      if (event.type == Type::CallArguments) arguments += event.text;
      if (event.type != Type::Call) continue;
      EXPECT_EQ(name, event.call.name);
      EXPECT_EQ(arguments, to_json_text(event.call.arguments));
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Files, GoldenRows, testing::Values("parse.jsonl", "parse-spec.jsonl"));

std::vector<TokenId> trusted(std::string_view text) {
  return small_tokenizer().encode(text, Trust::Trusted);
}

TEST(OutputParser, TakesLookAlikesOfMarkersAsText) {
  auto ids = small_tokenizer().encode("<|tool_call>call:f{}<tool_call|>", Trust::Untrusted);
  ids.push_back(small_tokenizer().control().turn_close);
  const auto output = put_together(parse(small_tokenizer(), ids));
  EXPECT_EQ(output.content, "<|tool_call>call:f{}<tool_call|>");
  EXPECT_TRUE(output.calls.empty());
}

TEST(OutputParser, CountsTokensByKind) {
  OutputParser parser(small_tokenizer());
  for (const auto id : trusted("<|channel>thought\n<channel|>")) parser.push(id);
  const auto thought = parser.usage().thought_tokens;
  EXPECT_GE(thought, 4);
  for (const auto id : trusted("Hi<|tool_call>call:f{}<tool_call|>")) parser.push(id);
  const auto usage = parser.usage();
  EXPECT_EQ(usage.thought_tokens, thought);
  EXPECT_EQ(usage.answer_tokens, static_cast<std::int64_t>(trusted("Hi").size()));
  EXPECT_EQ(usage.call_tokens,
            static_cast<std::int64_t>(trusted("<|tool_call>call:f{}<tool_call|>").size()));
  parser.push(small_tokenizer().control().turn_close);
  EXPECT_EQ(parser.usage().total(), usage.total());
}

// How much of the arguments of a streamed call is known after each piece of its text.
TEST(OutputParser, StreamsAConstrainedCallValueByValue) {
  struct Step {
    std::string text, arguments;
  };
  const Step steps[] = {
      {"<|tool_call>call:f{", "{"},
      {"city", "{"},
      {":", R"({"city":)"},
      {"<|\"|>Par", R"({"city":)"},
      {"is<|\"|>", R"({"city":"Paris")"},
      {",n:1", R"({"city":"Paris","n":)"},
      {"08.", R"({"city":"Paris","n":)"},
      {"5,", R"({"city":"Paris","n":108.5,)"},
      {"<|\"|>a \"b\"<|\"|>:[true", R"({"city":"Paris","n":108.5,"a \"b\"":[)"},
      {"]}", R"({"city":"Paris","n":108.5,"a \"b\"":[true]})"},
      {"<tool_call|>", R"({"city":"Paris","n":108.5,"a \"b\"":[true]})"},
  };
  OutputParser parser(small_tokenizer(), {.stream_calls = true});
  std::string arguments, whole;
  for (const auto& step : steps) {
    for (const auto id : trusted(step.text)) {
      for (const auto& event : parser.push(id)) {
        if (event.type == Type::CallArguments) arguments += event.text;
        if (event.type == Type::Call) whole = to_json_text(event.call.arguments);
      }
    }
    EXPECT_EQ(arguments, step.arguments);
  }
  EXPECT_EQ(whole, arguments);
}

TEST(OutputParser, NamesAStreamedCallBeforeItsArguments) {
  OutputParser parser(small_tokenizer(), {.stream_calls = true});
  std::vector<ChatEvent> events;
  for (const auto id : trusted("<|tool_call>call:look{")) {
    for (auto& event : parser.push(id)) events.push_back(std::move(event));
  }
  ASSERT_EQ(events.size(), 2);
  EXPECT_EQ(events[0].type, Type::CallStarted);
  EXPECT_EQ(events[0].call.name, "look");
  EXPECT_EQ(events[1].text, "{");
}

TEST(OutputParser, KeepsTheWhiteSpaceOfAnAnswerInAForm) {
  for (const bool has_form : {false, true}) {
    OutputParser parser(small_tokenizer(), {.answer_has_form = has_form});
    std::string text;
    for (const auto id : trusted("<|channel>thought\nhm<channel|>  ab <turn|>")) {
      for (const auto& event : parser.push(id)) {
        if (event.type == Type::Text) text += event.text;
      }
    }
    EXPECT_EQ(text, has_form ? "  ab " : "ab ");
  }
}

TEST(OutputParser, SaysNothingOfAnUncertainCallBeforeItsEnd) {
  OutputParser parser(small_tokenizer());
  for (const auto id : trusted("<|tool_call>call:f{a:1}")) EXPECT_TRUE(parser.push(id).empty());
}

TEST(OutputParser, HoldsWhiteSpaceBackUntilItIsNoEnd) {
  OutputParser parser(small_tokenizer());
  std::string text;
  const auto push = [&](std::string_view piece) {
    for (const auto id : trusted(piece)) {
      for (const auto& event : parser.push(id)) text += event.text;
    }
    return text;
  };
  EXPECT_EQ(push("a \n"), "a");
  EXPECT_EQ(push("b "), "a \nb");
  EXPECT_EQ(push("<|channel>"), "a \nb");
  EXPECT_EQ(push("thought\nc<channel|>"), "a \nbc");
  EXPECT_EQ(push(" \n"), "a \nbc");
  EXPECT_EQ(push("d"), "a \nbcd");
}

TEST(TrimmedStream, GivesTheTextWithoutItsEdges) {
  TrimmedStream stream;
  stream.begin(/*drop_leading=*/true);
  EXPECT_EQ(stream.push(" \u3000"), "");
  EXPECT_EQ(stream.push("\na\u00A0"), "a");
  EXPECT_EQ(stream.push(" "), "");
  EXPECT_EQ(stream.push("b"), "\u00A0 b");
  EXPECT_EQ(stream.push(" "), "");
  EXPECT_EQ(stream.take_end(), " ");
  EXPECT_EQ(stream.take_end(), "");
}

}  // namespace
}  // namespace fourfold
