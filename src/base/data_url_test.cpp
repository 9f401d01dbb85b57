#include "base/data_url.h"

#include <gtest/gtest.h>

namespace fourfold {
namespace {

TEST(DataUrl, ReadsEveryForm) {
  const std::pair<std::string, DataUrl> rows[] = {
      {"data:image/png;base64,aGk=", {"image/png", "hi"}},
      {"DATA:Image/PNG;name=a;BASE64,aGk", {"image/png", "hi"}},
      {"data:;base64,aGk%3D", {"", "hi"}},
      {"data:,a%20b", {"", "a b"}},
      {"data:text/plain;charset=utf-8,h%C3%A9", {"text/plain", "h\xc3\xa9"}}};
  for (const auto& [url, expected] : rows) {
    const auto data = parse_data_url(url);
    ASSERT_TRUE(data.ok()) << url << data.error().message;
    EXPECT_EQ(data->mime, expected.mime);
    EXPECT_EQ(data->bytes, expected.bytes);
  }
  for (const auto* url :
       {"data:image/png;base64", "data:,%4", "data:,%zz", "data:;base64,a", "x"}) {
    EXPECT_FALSE(parse_data_url(url).ok()) << url;
  }
}

TEST(DataUrl, EscapesAreWhole) {
  EXPECT_EQ(percent_decoded("a%20b%C3%A4").value(), "a b\xc3\xa4");
  EXPECT_EQ(percent_decoded("").value(), "");
  for (const auto* text : {"%", "%2", "%zz", "a%"})
    EXPECT_FALSE(percent_decoded(text).ok()) << text;
}

}  // namespace
}  // namespace fourfold
