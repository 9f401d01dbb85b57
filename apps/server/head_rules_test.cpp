#include "server/head_rules.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "server/test_server.h"

namespace fourfold {
namespace {

using testing::HasSubstr;
using testing::Not;

RequestHead head(std::string method, std::string target, HeaderList headers = {}) {
  headers.emplace_back("host", "127.0.0.1:8080");
  return {.method = std::move(method),
          .target = std::move(target),
          .headers = std::move(headers),
          .remote_address = "127.0.0.1"};
}

HeadDecision decide(const TestServer& server, const RequestHead& asked) {
  return decide_head(asked, server.state, "req_1");
}

int status_of(const HeadDecision& decision) {
  const auto* refusal = std::get_if<Refusal>(&decision);
  return refusal ? refusal->reply.status : 0;
}

std::string route_of(const HeadDecision& decision) {
  const auto* admission = std::get_if<Admission>(&decision);
  return admission ? std::string(admission->match.route->name) : "";
}

std::string header(const HeadDecision& decision, std::string_view name) {
  for (const auto& [key, value] : std::get<Refusal>(decision).reply.headers) {
    if (key == name) return value;
  }
  return "";
}

TEST(HeadRules, LetInWhatHasARoute) {
  const TestServer server;
  EXPECT_EQ(route_of(decide(server, head("POST", "/v1/chat/completions"))), "openai.chat");
}

TEST(HeadRules, AnswerUnknownPathsInTheirDialect) {
  const TestServer server;
  const auto gemini = decide(server, head("GET", "/v1beta/nothing?key=hush"));
  EXPECT_EQ(status_of(gemini), 404);
  const std::string& body = std::get<Refusal>(gemini).reply.body;
  EXPECT_THAT(body, HasSubstr(R"("status":"NOT_FOUND")"));
  EXPECT_THAT(body, Not(HasSubstr("hush")));
  EXPECT_EQ(header(gemini, "x-request-id"), "req_1");

  const auto ollama = decide(server, head("GET", "/api/nothing"));
  EXPECT_THAT(std::get<Refusal>(ollama).reply.body, HasSubstr(R"({"error":")"));
}

TEST(HeadRules, NameTheMethodsThatAreAllowed) {
  const TestServer server;
  const auto probe = decide(server, head("GET", "/v1/chat/completions"));
  EXPECT_EQ(status_of(probe), 405);
  EXPECT_EQ(header(probe, "Allow"), "POST");
}

TEST(HeadRules, RefuseForeignPagesBeforeAnythingElse) {
  const TestServer server;
  const RequestHead foreign = head("POST", "/v1/nothing", {{"origin", "https://evil.example"}});
  const auto refused = decide(server, foreign);
  EXPECT_EQ(status_of(refused), 403);
  EXPECT_EQ(header(refused, "Access-Control-Allow-Origin"), "");
  EXPECT_EQ(header(refused, "x-request-id"), "req_1");
  EXPECT_THAT(std::get<Refusal>(refused).reply.body, HasSubstr("origin_not_allowed"));
}

TEST(HeadRules, AnswerPreflightsOfAllowedPages) {
  TestServer server;
  ASSERT_TRUE(server.keys.add("ann", "a-key-of-ann").ok());
  const auto preflight = decide(server, head("OPTIONS", "/v1/chat/completions",
                                             {{"origin", "http://localhost:3000"},
                                              {"access-control-request-method", "POST"}}));
  EXPECT_EQ(status_of(preflight), 204);
  EXPECT_EQ(header(preflight, "Access-Control-Allow-Origin"), "http://localhost:3000");
}

TEST(HeadRules, GiveBrowsersThePage) {
  const TestServer server;
  EXPECT_EQ(route_of(decide(server, head("GET", "/"))), "ollama.root");
  EXPECT_EQ(route_of(decide(server, head("GET", "/", {{"accept", "*/*"}}))), "ollama.root");
  EXPECT_EQ(route_of(decide(server, head("GET", "/", {{"accept", "text/html,*/*;q=0.8"}}))),
            "page");
}

TEST(HeadRules, WantAKeyWhereThereAreKeys) {
  TestServer server;
  ASSERT_TRUE(server.keys.add("ann", "a-key-of-ann").ok());

  const auto none = decide(server, head("POST", "/v1/chat/completions"));
  EXPECT_EQ(status_of(none), 401);
  EXPECT_THAT(std::get<Refusal>(none).reply.body, HasSubstr("invalid_api_key"));
  const auto wrong = decide(
      server, head("POST", "/v1/chat/completions", {{"authorization", "Bearer a-wrong-one"}}));
  EXPECT_EQ(status_of(wrong), 401);
  EXPECT_THAT(std::get<Refusal>(wrong).reply.body, Not(HasSubstr("a-wrong-one")));
  const auto right = decide(
      server, head("POST", "/v1/chat/completions", {{"authorization", "Bearer a-key-of-ann"}}));
  ASSERT_EQ(route_of(right), "openai.chat");
  EXPECT_EQ(std::get<Admission>(right).key->name, "ann");
  // Google's clients know a wrong key by 400.
  EXPECT_EQ(status_of(decide(server, head("GET", "/v1beta/models?key=wrong"))), 400);
}

TEST(HeadRules, WantNoKeyForWhatIsPublic) {
  TestServer server;
  ASSERT_TRUE(server.keys.add("ann", "a-key-of-ann").ok());
  for (const auto* target : {"/", "/health", "/v1/health", "/live", "/ready"}) {
    EXPECT_EQ(status_of(decide(server, head("GET", target))), 0) << target;
  }
}

TEST(HeadRules, KeepKeysToTheirScopes) {
  TestServer server;
  ASSERT_TRUE(server.keys.add("ann", "a-key-of-ann").ok());
  const HeaderList ann = {{"x-api-key", "a-key-of-ann"}};

  const auto slots = decide(server, head("GET", "/slots", ann));
  EXPECT_EQ(status_of(slots), 403);
  EXPECT_THAT(std::get<Refusal>(slots).error, HasSubstr("admin"));
  EXPECT_EQ(status_of(decide(server, head("DELETE", "/api/delete", ann))), 403);
  // On a loopback address any key sees the metrics.
  EXPECT_EQ(route_of(decide(server, head("GET", "/metrics", ann))), "ops.metrics");

  TestServer open({.host = "0.0.0.0"});
  ASSERT_TRUE(open.keys.add("ann", "a-key-of-ann").ok());
  EXPECT_EQ(status_of(decide(open, head("GET", "/metrics", ann))), 403);
}

TEST(HeadRules, LimitBodiesByRoute) {
  const TestServer server({.most_body_bytes = 1000, .most_upload_bytes = 5000});
  const auto plan = [&](const RequestHead& asked) {
    return plan_body(asked, std::get<Admission>(decide(server, asked)), server.state, "req_1");
  };
  const BodyPlan chat = plan(head("POST", "/v1/chat/completions"));
  EXPECT_EQ(chat.most_bytes, 1000u);
  EXPECT_FALSE(chat.to_file);
  const BodyPlan blob = plan(head("POST", "/api/blobs/sha256:ab"));
  EXPECT_EQ(blob.most_bytes, 5000u);
  EXPECT_TRUE(blob.to_file);

  const Reply too_large = chat.too_large(1000);
  EXPECT_EQ(too_large.status, 413);
  EXPECT_THAT(too_large.body, HasSubstr("1000 bytes"));
  EXPECT_EQ(chat.malformed("bad gzip").status, 400);
}

TEST(RequestIds, AreTheClientsOwnIfTheyAreSane) {
  EXPECT_EQ(request_id_of(head("GET", "/", {{"x-request-id", "abc-1"}})), "abc-1");
  for (const auto& bad : {std::string("a b"), std::string("a\nb"), std::string(129, 'a')}) {
    EXPECT_THAT(request_id_of(head("GET", "/", {{"x-request-id", bad}})),
                testing::StartsWith("req_"));
  }
  EXPECT_NE(request_id_of(head("GET", "/")), request_id_of(head("GET", "/")));
}

}  // namespace
}  // namespace fourfold
