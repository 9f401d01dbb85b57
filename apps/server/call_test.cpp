#include "server/call.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "server/test_server.h"

namespace fourfold {
namespace {

using testing::HasSubstr;

class CallTest : public testing::Test {
 protected:
  // A call of this path that was let in.
  Call& call(std::string target, std::string body = {}, HeaderList headers = {}) {
    const auto found = find_route("POST", target, "");
    EXPECT_TRUE(std::holds_alternative<RouteMatch>(found));
    match_ = std::get<RouteMatch>(found);
    Request request;
    request.head = {.method = "POST",
                    .target = std::move(target),
                    .headers = std::move(headers),
                    .remote_address = "10.0.0.7"};
    request.body = std::move(body);
    exchange = std::make_unique<FakeExchange>(std::move(request));
    call_ = std::make_unique<Call>(*exchange, match_, key_, server.state, "req_1");
    return *call_;
  }

  TestServer server;
  std::unique_ptr<FakeExchange> exchange;
  const Key* key_ = nullptr;

 private:
  RouteMatch match_;
  std::unique_ptr<Call> call_;
};

TEST_F(CallTest, KnowsItsParametersAndItsUser) {
  Call& asked = call("/v1beta/models/a/b:c:countTokens?alt=sse&key=1");
  EXPECT_EQ(asked.parameter("model"), "a/b:c");
  EXPECT_EQ(asked.parameter("nothing"), "");
  EXPECT_EQ(asked.query("alt"), "sse");
  EXPECT_EQ(asked.query("nothing"), "");
  EXPECT_EQ(asked.user(), "10.0.0.7");

  const Key ann{.name = "ann"};
  key_ = &ann;
  EXPECT_EQ(call("/api/chat").user(), "ann");
}

TEST_F(CallTest, ReadsJsonWhateverItsContentTypeSays) {
  Call& asked = call("/v1/chat/completions", "\xef\xbb\xbf{\"a\":1}",
                     {{"content-type", "application/x-www-form-urlencoded"}});
  const auto body = asked.json_body();
  ASSERT_TRUE(body.ok());
  EXPECT_EQ(body->find("a")->text, "1");
}

TEST_F(CallTest, SaysWhereJsonIsBroken) {
  const auto body = call("/api/chat", "{\"a\": tru}").json_body();
  ASSERT_FALSE(body.ok());
  EXPECT_EQ(body.error().code, Code::InvalidArgument);
  EXPECT_THAT(body.error().message, HasSubstr("request body: offset "));
}

TEST_F(CallTest, RefusesWhatIsNestedTooDeeply) {
  const auto nested = [](int depth) {
    return std::string(static_cast<std::size_t>(depth), '[') +
           std::string(static_cast<std::size_t>(depth), ']');
  };
  EXPECT_TRUE(call("/api/chat", nested(100)).json_body().ok());
  EXPECT_FALSE(call("/api/chat", nested(101)).json_body().ok());
}

TEST_F(CallTest, TakesAnEmptyBodyOnlyWhereThatIsMeant) {
  EXPECT_FALSE(call("/api/chat", " \n").json_body().ok());
  const auto body = call("/api/chat", "").json_body(/*may_be_empty=*/true);
  ASSERT_TRUE(body.ok());
  EXPECT_TRUE(body->is_object());
}

TEST_F(CallTest, GivesEveryReplyItsRequestId) {
  call("/api/chat").reply(200, JsonValue::object());
  EXPECT_EQ(exchange->header("x-request-id"), "req_1");
  EXPECT_EQ(exchange->header("request-id"), "req_1");
  EXPECT_EQ(exchange->header("Content-Type"), "application/json; charset=utf-8");
  EXPECT_EQ(exchange->answer.body, "{}");
}

TEST_F(CallTest, TellsAllowedPagesThatTheyMayRead) {
  call("/api/chat", "", {{"origin", "http://localhost:3000"}, {"host", "localhost:8080"}})
      .reply(200, JsonValue::object());
  EXPECT_EQ(exchange->header("Access-Control-Allow-Origin"), "http://localhost:3000");
}

TEST_F(CallTest, NamesItsWarningsOnceInOneShortHeader) {
  Call& asked = call("/api/chat");
  asked.warn("mirostat is ignored");
  asked.warn("mirostat is ignored");
  asked.warn("a\r\nforged: header \xc3\xa9");
  asked.warn(std::string(2000, 'x'));
  asked.reply(200, JsonValue::object());

  const std::string header = exchange->header("x-warning");
  EXPECT_THAT(header, testing::StartsWith("mirostat is ignored; a??forged: header ??; xxx"));
  EXPECT_LE(header.size(), 1024u);
  EXPECT_EQ(asked.warnings().size(), 3u);
}

TEST_F(CallTest, StreamsWithoutBuffersInBetween) {
  Call& asked = call("/v1/chat/completions");
  asked.begin("text/event-stream");
  asked.write("data: 1\n\n");
  asked.end();

  EXPECT_EQ(exchange->answer.status, 200);
  EXPECT_EQ(exchange->header("Content-Type"), "text/event-stream");
  EXPECT_EQ(exchange->header("Cache-Control"), "no-cache");
  EXPECT_EQ(exchange->header("X-Accel-Buffering"), "no");
  EXPECT_EQ(exchange->header("x-request-id"), "req_1");
  EXPECT_EQ(exchange->answer.body, "data: 1\n\n");
  EXPECT_TRUE(exchange->has_ended);
  EXPECT_EQ(asked.record.status, 200);
}

TEST_F(CallTest, FailsInTheDialectOfItsRoute) {
  Call& asked = call("/api/chat");
  asked.fail(not_found("model 'm' not found").with({.reason = "model_not_found"}));
  EXPECT_EQ(exchange->answer.status, 404);
  EXPECT_EQ(exchange->answer.body, R"({"error":"model 'm' not found"})");
  EXPECT_EQ(asked.record.error, "model 'm' not found");

  call("/v1/messages").fail(invalid_argument("max_tokens: missing"));
  EXPECT_EQ(exchange->answer.status, 400);
  EXPECT_THAT(exchange->answer.body, HasSubstr(R"("request_id":"req_1")"));
}

TEST_F(CallTest, EndsAStreamThatFails) {
  Call& asked = call("/api/chat");
  asked.begin("application/x-ndjson");
  asked.fail(internal_error("broken"));
  EXPECT_EQ(exchange->n_answers, 1);
  EXPECT_TRUE(exchange->has_ended);
}

TEST_F(CallTest, QuotesNoKeyInAnError) {
  server.redactor.remember("sk-very-secret-key");
  call("/api/chat").fail(not_found("model 'sk-very-secret-key' not found"));
  EXPECT_THAT(exchange->answer.body, testing::Not(HasSubstr("sk-very-secret-key")));
}

}  // namespace
}  // namespace fourfold
