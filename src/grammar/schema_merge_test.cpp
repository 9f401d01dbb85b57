#include "grammar/schema_merge.h"

#include <gtest/gtest.h>

namespace fourfold {
namespace {

JsonValue json(std::string_view text) {
  auto value = parse_json_value(text);
  EXPECT_TRUE(value.ok()) << text;
  return std::move(value).value();
}

struct Merge {
  const char *a, *b, *both;
};

class SchemaMerge : public testing::TestWithParam<Merge> {};

TEST_P(SchemaMerge, SaysWhatBothSay) {
  const auto merged = merged_schema(json(GetParam().a), json(GetParam().b));
  ASSERT_TRUE(merged.ok()) << merged.error().message;
  EXPECT_EQ(to_json_text(*merged), GetParam().both);
}

INSTANTIATE_TEST_SUITE_P(
    Schemas, SchemaMerge,
    testing::Values(
        Merge{R"({"type":"number"})", R"({"type":["integer","null"]})", R"({"type":["integer"]})"},
        Merge{R"({"minimum":2,"maxLength":9})", R"({"minimum":3,"maxLength":10})",
              R"({"minimum":3,"maxLength":9})"},
        Merge{R"({"enum":[1,2,3]})", R"({"enum":[3,2]})", R"({"enum":[2,3]})"},
        Merge{R"({"required":["a"]})", R"({"required":["b","a"]})", R"({"required":["a","b"]})"},
        Merge{R"({"pattern":"a"})", R"({"pattern":"b"})", R"({"pattern":["a","b"]})"},
        Merge{R"({"properties":{"a":{"x":1}}})", R"({"properties":{"a":{"y":2},"b":{}}})",
              R"({"properties":{"a":{"allOf":[{"x":1},{"y":2}]},"b":{}}})"},
        Merge{R"({"properties":{"a":{}},"additionalProperties":false})",
              R"({"properties":{"b":{}}})",
              R"({"properties":{"a":{},"b":false},"additionalProperties":false})"}));

TEST(SchemaMerge, ContradictionsAndWhatCannotBeJoinedAreToldApart) {
  EXPECT_EQ(merged_schema(json(R"({"type":"string"})"), json(R"({"type":"null"})")).error().code,
            Code::FailedPrecondition);
  EXPECT_EQ(merged_schema(json(R"({"const":1})"), json(R"({"const":2})")).error().code,
            Code::FailedPrecondition);
  const auto other = merged_schema(json(R"({"format":"date"})"), json(R"({"format":"time"})"));
  EXPECT_EQ(other.error().code, Code::InvalidArgument);
  EXPECT_EQ(other.error().message, "\"format\" of two schemas cannot be joined");
}

}  // namespace
}  // namespace fourfold
