#include "chat/call_syntax.h"

#include <gtest/gtest.h>

#include "base/json_value.h"
#include "base/random.h"

namespace fourfold {
namespace {

std::string read(std::string_view text, CallEnd end = CallEnd::Closed) {
  const auto call = read_call(text, end);
  if (!call.ok()) return "";
  return call->name + to_json_text(call->arguments) + (call->repaired ? " repaired" : "");
}

// "<" stands for the quote mark.
std::string marked(std::string text) {
  for (char& c : text) {
    if (c == '<') c = kQuoteMark;
  }
  return text;
}

struct Case {
  std::string text, closed, cut;  // empty: malformed
};

void PrintTo(const Case& row, std::ostream* out) { *out << row.text; }

class Calls : public testing::TestWithParam<Case> {};

TEST_P(Calls, AreReadOrRepairedOrRefused) {
  EXPECT_EQ(read(marked(GetParam().text), CallEnd::Closed), GetParam().closed);
  EXPECT_EQ(read(marked(GetParam().text), CallEnd::Cut), GetParam().cut);
}

INSTANTIATE_TEST_SUITE_P(
    Texts, Calls,
    testing::Values(Case{"call:f{}", "f{}", "f{}"},
                    Case{"call:f{a:<x<}", R"(f{"a":"x"})", R"(f{"a":"x"})"},
                    Case{"call:f{a:-007.50e+3}", R"(f{"a":-7.50e+3})", R"(f{"a":-7.50e+3})"},
                    Case{"call:f{a:00}", R"(f{"a":0})", R"(f{"a":0})"},
                    Case{"call:f{a:x}", R"(f{"a":"x"} repaired)", R"(f{"a":"x"} repaired)"},
                    Case{"call:f{a:x", R"(f{"a":"x"} repaired)", ""}, Case{"call:f{a:1", "", ""},
                    Case{"call:f{a:<x", R"(f{"a":"x"} repaired)", ""},
                    Case{"call:f{a:'x',", R"(f{"a":"x"} repaired)", ""},
                    Case{"call:f{a:1,,b:2}", "", ""},
                    Case{"call:f{a:[1,],}", R"(f{"a":[1]} repaired)", R"(f{"a":[1]} repaired)"},
                    Case{"call:f{a:<x<<}", "", ""}, Case{"call:f{a:<x<:1}", "", ""},
                    Case{"f", "", ""}, Case{"call:f{a:1}.", "", ""}));

TEST(Calls, MayNestAsDeeplyAsClientsMaySendThemBack) {
  const auto nested = [](std::size_t depth) {
    return "call:f{a:" + std::string(depth, '[') + std::string(depth, ']') + "}";
  };
  EXPECT_NE(read(nested(127)), "");
  EXPECT_EQ(read(nested(128)), "");
  EXPECT_EQ(read(nested(1'000'000)), "");
}

TEST(Calls, OfAnyCharactersGiveValidJsonOrNothing) {
  constexpr std::string_view kAlphabet = "call:f{}[]()<,\"'\\=-.019aeu \n";
  int n_read = 0;
  for (int i = 0; i < 100'000; ++i) {
    std::string text = "call:f{";
    for (int at = 0; at < i % 24; ++at) {
      const double draw = uniform(1, static_cast<std::uint64_t>(i), static_cast<std::uint64_t>(at));
      text += kAlphabet[static_cast<std::size_t>(draw * kAlphabet.size())];
    }
    const auto call = read_call(marked(text + "}"), CallEnd::Closed);
    if (!call.ok()) continue;
    ++n_read;
    const auto json = parse_json_value(to_json_text(call->arguments));
    ASSERT_TRUE(json.ok()) << text;
    ASSERT_EQ(*json, call->arguments) << text;
  }
  EXPECT_GT(n_read, 1000);
}

}  // namespace
}  // namespace fourfold
