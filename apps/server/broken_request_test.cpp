#include "server/broken_request.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace fourfold {
namespace {

using testing::Contains;
using testing::HasSubstr;
using testing::Pair;

struct Row {
  int status;
  const char* target;
  const char* body;
};

class BrokenRequest : public testing::TestWithParam<Row> {};

TEST_P(BrokenRequest, IsToldInTheDialectOfItsPath) {
  const Dialect dialect = dialect_of(GetParam().target, {});
  const Reply reply = broken_request_reply(GetParam().status, "too slow", dialect, "req_1");
  EXPECT_EQ(reply.status, GetParam().status);
  EXPECT_THAT(reply.body, HasSubstr(GetParam().body));
  EXPECT_THAT(reply.headers,
              Contains(Pair("Content-Type", testing::StartsWith("application/json"))));
  EXPECT_THAT(reply.headers, Contains(Pair("x-request-id", "req_1")));
}

INSTANTIATE_TEST_SUITE_P(
    Dialects, BrokenRequest,
    testing::Values(Row{408, "/v1beta/models/m:generateContent", "\"status\":\"INVALID_ARGUMENT\""},
                    Row{431, "/v1/chat/completions",
                        "\"type\":\"invalid_request_error\",\"param\""},
                    Row{417, "/api/chat", "{\"error\":\"too slow\"}"},
                    Row{400, "/v1/messages", "{\"type\":\"error\""}, Row{400, "", "too slow"},
                    Row{500, "/api/chat", "{\"error\":\"too slow\"}"},
                    Row{503, "/v1/chat/completions", "unavailable_error"},
                    Row{501, "/v1/chat/completions", "not_supported_error"}));

}  // namespace
}  // namespace fourfold
