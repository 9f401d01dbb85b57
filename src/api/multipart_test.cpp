#include "api/multipart.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace fourfold {
namespace {

using testing::HasSubstr;

TEST(Multipart, GivesFieldsAndFilesAsViews) {
  // The bytes hold a zero and almost a boundary.
  const std::string sound("RIFF\r\n--xy\r\n\0-", 15);
  const std::string form =
      "--xyz\r\n"
      "Content-Disposition: form-data; name=\"model\"\r\n"
      "\r\n"
      "gemma\r\n"
      "--xyz\r\n"
      "content-disposition: FORM-DATA; filename=\"a \\\"b\\\"; c.wav\"; name=file\r\n"
      "Content-Type: application/octet-stream\r\n"
      "\r\n" +
      sound + "\r\n--xyz--\r\nwhat follows does not count";
  const auto parts = parse_multipart(form, "xyz");
  ASSERT_TRUE(parts.ok()) << parts.error().message;
  ASSERT_EQ(parts->size(), 2u);
  EXPECT_EQ((*parts)[0].name, "model");
  EXPECT_EQ((*parts)[0].body, "gemma");
  EXPECT_EQ((*parts)[0].filename, "");
  EXPECT_EQ((*parts)[1].name, "file");
  EXPECT_EQ((*parts)[1].filename, "a \"b\"; c.wav");
  EXPECT_EQ((*parts)[1].body, sound);
  EXPECT_EQ(form.substr((*parts)[1].offset, 4), "RIFF");
}

TEST(Multipart, AnEmptyFormAndEmptyFieldsAreFine) {
  EXPECT_TRUE(parse_multipart("--b--", "b").value().empty());
  const auto parts =
      parse_multipart("--b \t\r\nContent-Disposition: form-data; name=\"\"\r\n\r\n\r\n--b--", "b");
  ASSERT_TRUE(parts.ok()) << parts.error().message;
  EXPECT_EQ(parts->at(0).body, "");
}

TEST(Multipart, DamageIsNamedWithItsOffset) {
  struct Row {
    std::string bytes, message;
  };
  const std::string name = "Content-Disposition: form-data; name=\"n\"\r\n";
  std::string many;
  for (int i = 0; i < 101; ++i) many += "--b\r\n" + name + "\r\n1\r\n";
  const Row rows[] = {
      {"", "offset 0: expected --b from the Content-Type"},
      {"{\"model\": 1}", "offset 0: expected --b"},
      {"--b", "offset 3: expected a line break or --"},
      {"--bx\r\n", "offset 3: expected a line break or --"},
      {"--b\r\n" + name, "the headers of a part do not end"},
      {"--b\r\n" + name + "\r\nabc", "offset 49: the last part \"n\" does not end"},
      {"--b\r\n\r\nabc\r\n--b--", "a part without Content-Disposition"},
      {"--b\r\nno header\r\n\r\n", "expected a header"},
      {"--b\r\nContent-Disposition: form-data\r\n\r\n", "a part without a name"},
      {"--b\r\nContent-Disposition: attachment; name=\"n\"\r\n\r\n", "expected form-data"},
      {"--b\r\nContent-Disposition: form-data; name=\"n\r\n\r\n", "expected name=\"value\""},
      {"--b\r\nContent-Disposition: form-data; name\r\n\r\n", "expected name=\"value\""},
      {"--b\r\nContent-Transfer-Encoding: base64\r\n" + name + "\r\n", "expected binary"},
      {"--b\r\nx: " + std::string(9000, 'x') + "\r\n" + name + "\r\n", "beyond 8192 bytes"},
      {many + "--b--", "more than 100 parts"},
  };
  for (const auto& row : rows) {
    const auto parts = parse_multipart(row.bytes, "b");
    ASSERT_FALSE(parts.ok()) << row.message;
    EXPECT_EQ(parts.error().code, Code::InvalidArgument);
    EXPECT_THAT(parts.error().message, HasSubstr(row.message));
  }
}

TEST(Boundary, IsReadFromTheContentType) {
  EXPECT_EQ(read_boundary("multipart/form-data; boundary=abc").value(), "abc");
  EXPECT_EQ(read_boundary("Multipart/Form-Data;charset=utf-8; Boundary=\"a b;c\"").value(),
            "a b;c");
  EXPECT_THAT(read_boundary("application/json").error().message,
              HasSubstr("expected multipart/form-data"));
  EXPECT_THAT(read_boundary("").error().message, HasSubstr("expected multipart/form-data"));
  EXPECT_THAT(read_boundary("multipart/form-data").error().message, HasSubstr("no boundary"));
  EXPECT_THAT(read_boundary("multipart/form-data; boundary=").error().message,
              HasSubstr("boundary of 0 bytes"));
  const auto long_one = "multipart/form-data; boundary=" + std::string(71, 'x');
  EXPECT_THAT(read_boundary(long_one).error().message, HasSubstr("boundary of 71 bytes"));
}

}  // namespace
}  // namespace fourfold
