#include "base/base64.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace fourfold {
namespace {

using testing::HasSubstr;

std::string some_bytes(std::size_t n) {
  std::string bytes;
  for (std::size_t i = 0; i < n; ++i) bytes += static_cast<char>(i * 89 + 250);
  return bytes;
}

TEST(Base64, MatchesTheVectorsOfRfc4648) {
  const std::pair<const char*, const char*> rows[] = {{"", ""},
                                                      {"f", "Zg=="},
                                                      {"fo", "Zm8="},
                                                      {"foo", "Zm9v"},
                                                      {"foob", "Zm9vYg=="},
                                                      {"fooba", "Zm9vYmE="},
                                                      {"foobar", "Zm9vYmFy"}};
  for (const auto& [bytes, text] : rows) {
    EXPECT_EQ(to_base64(bytes), text);
    EXPECT_EQ(*from_base64(text), bytes);
  }
}

TEST(Base64, ReadsBothAlphabetsWithAndWithoutPaddingAndBlanks) {
  for (std::size_t n = 0; n < 70; ++n) {
    const std::string bytes = some_bytes(n);
    std::string text = to_base64(bytes);
    EXPECT_EQ(*from_base64(text), bytes);
    while (text.ends_with('=')) text.pop_back();
    EXPECT_EQ(*from_base64(text), bytes);
    for (char& c : text) c = c == '+' ? '-' : c == '/' ? '_' : c;
    EXPECT_EQ(*from_base64(text), bytes);
    for (std::size_t at = 5; at < text.size(); at += 7) text.insert(at, "\r\n");
    EXPECT_EQ(*from_base64(text), bytes);
  }
}

TEST(Base64, RefusesWhatIsInNeitherAlphabet) {
  const std::pair<const char*, const char*> rows[] = {
      {"Zm9v.g==", "character 4"},
      {"https://example.com/a.png", "character 5"},
      {"Zg==Zg==", "character 4"},
      {"Zm9vZ", "character 5: one character is missing"},
      {"Z", "one character is missing"},
      {"Zg=", "padding"},
      {"Zm9v=", "padding"},
      {"Zg===", "padding"},
      {"====", "padding"}};
  for (const auto& [text, message] : rows) {
    const auto bytes = from_base64(text);
    ASSERT_FALSE(bytes.ok()) << text;
    EXPECT_EQ(bytes.error().code, Code::InvalidArgument);
    EXPECT_THAT(bytes.error().message, HasSubstr(message)) << text;
  }
}

}  // namespace
}  // namespace fourfold
