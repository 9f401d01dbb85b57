#include "base/utf8.h"

#include <gtest/gtest.h>

#include <string>

namespace fourfold {
namespace {

TEST(Utf8, MeasuresWellFormedSequences) {
  EXPECT_EQ(utf8_sequence_length("a"), 1u);
  EXPECT_EQ(utf8_sequence_length("ü."), 2u);
  EXPECT_EQ(utf8_sequence_length("▁the"), 3u);
  EXPECT_EQ(utf8_sequence_length("😀"), 4u);
  EXPECT_EQ(utf8_sequence_length("\xF4\x8F\xBF\xBF"), 4u);  // U+10FFFF
}

class IllFormedUtf8 : public testing::TestWithParam<const char*> {};

TEST_P(IllFormedUtf8, IsRefused) {
  EXPECT_EQ(utf8_sequence_length(GetParam()), 0u);
  EXPECT_FALSE(is_utf8(std::string("a") + GetParam()));
}

INSTANTIATE_TEST_SUITE_P(Bytes, IllFormedUtf8,
                         testing::Values("\x80", "\xC0\x80", "\xC1\xBF", "\xC3", "\xE0\x9F\xBF",
                                         "\xED\xA0\x80", "\xE2\x96", "\xF0\x8F\xBF\xBF",
                                         "\xF4\x90\x80\x80", "\xF5\x80\x80\x80", "\xFF"));

TEST(Printable, EscapesWhatATerminalMayObey) {
  EXPECT_EQ(printable("plain ▁ü"), "\"plain ▁ü\"");
  EXPECT_EQ(printable("a\"b\\c"), R"("a\"b\\c")");
  EXPECT_EQ(printable("\x1b[2J\n"), R"("\x1b[2J\x0a")");
  EXPECT_EQ(printable("\xC2\x9B\x7F"), R"("\xc2\x9b\x7f")");  // U+009B is CSI
  EXPECT_EQ(printable("\xFF"), R"("\xff")");
}

TEST(Printable, CutsBetweenCharacters) {
  EXPECT_EQ(printable("abcdef", 3), "\"abc…\"");
  EXPECT_EQ(printable("aüb", 2), "\"a…\"");
  EXPECT_EQ(printable("abc", 3), "\"abc\"");
}

}  // namespace
}  // namespace fourfold
