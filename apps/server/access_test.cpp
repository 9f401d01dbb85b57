#include "server/access.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <utility>

namespace fourfold {
namespace {

using testing::Contains;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::Pair;

const LocalMachine kMachine = {.name = "workbench.example.org", .addresses = {"203.0.113.7"}};

struct Row {
  const char* method = "POST";
  const char* target = "/v1/chat/completions";
  const char* origin = "";
  const char* host = "localhost:8080";
  const char* site = "";  // Sec-Fetch-Site
  bool is_allowed = true;
  const char* content_type = "application/json";

  friend void PrintTo(const Row& row, std::ostream* out) {
    *out << row.method << " " << row.target << " origin " << row.origin << " host " << row.host
         << " site " << row.site << " type " << row.content_type;
  }
};

RequestHead head_of(const Row& row) {
  RequestHead head = {.method = row.method, .target = row.target};
  for (const auto& [name, value] :
       {std::pair{"origin", row.origin}, std::pair{"host", row.host},
        std::pair{"sec-fetch-site", row.site}, std::pair{"content-type", row.content_type}}) {
    if (*value) head.headers.emplace_back(name, value);
  }
  return head;
}

void expect_judged(const Row& row, const ServerSettings& settings) {
  const Status judged = judge_access(head_of(row), settings, kMachine);
  EXPECT_EQ(judged.ok(), row.is_allowed) << testing::PrintToString(row);
  if (judged.ok()) return;
  EXPECT_EQ(judged.error().code, Code::PermissionDenied);
  EXPECT_EQ(judged.error().reason(), "origin_not_allowed");
}

class Access : public testing::TestWithParam<Row> {};

TEST_P(Access, OnLoopback) { expect_judged(GetParam(), {}); }

INSTANTIATE_TEST_SUITE_P(
    Origins, Access,
    testing::Values(
        Row{}, Row{.origin = "http://localhost"}, Row{.origin = "http://localhost:3000"},
        Row{.origin = "HTTPS://LocalHost:3000"}, Row{.origin = "https://127.0.0.1:1"},
        Row{.origin = "http://[::1]:3000"}, Row{.origin = "http://0.0.0.0:80"},
        Row{.origin = "app://obsidian.md"}, Row{.origin = "file://"},
        Row{.origin = "tauri://localhost"}, Row{.origin = "vscode-webview://1a2b3c"},
        Row{.origin = "vscode-file://vscode-app"},
        Row{.origin = "http://workbench.example.org:8080", .host = "workbench.example.org:8080"},
        Row{.origin = "http://gemma.local:8080", .host = "gemma.local:8080"},
        // Another port is another page.
        Row{.origin = "http://gemma.local:81", .host = "gemma.local:8080", .is_allowed = false},
        Row{.origin = "https://evil.example", .is_allowed = false},
        Row{.origin = "http://localhost.evil.example", .is_allowed = false},
        Row{.origin = "http://localhost@evil.example", .is_allowed = false},
        Row{.origin = "http://evil.example#localhost", .is_allowed = false},
        Row{.origin = "http://evil.example/localhost", .is_allowed = false},
        Row{.origin = "http://evil-localhost", .is_allowed = false},
        Row{.origin = "ftp://localhost", .is_allowed = false},
        Row{.origin = "http://localhost:*", .is_allowed = false},
        Row{.origin = "http://localhost:99999", .is_allowed = false},
        Row{.origin = "http://127.0.0.1.evil.example", .is_allowed = false},
        Row{.origin = "localhost", .is_allowed = false}, Row{.origin = "null", .is_allowed = false},
        Row{.origin = "*", .is_allowed = false},
        Row{.origin = "https://evil.example", .host = "evil.example", .is_allowed = false}));

INSTANTIATE_TEST_SUITE_P(
    EveryMethodAndType, Access,
    testing::Values(
        Row{.method = "GET", .origin = "https://evil.example", .is_allowed = false},
        Row{.method = "HEAD", .origin = "https://evil.example", .is_allowed = false},
        Row{.method = "OPTIONS", .origin = "https://evil.example", .is_allowed = false},
        Row{.method = "DELETE", .origin = "https://evil.example", .is_allowed = false},
        Row{.method = "PUT", .origin = "https://evil.example", .is_allowed = false},
        Row{.origin = "https://evil.example", .is_allowed = false, .content_type = "text/plain"},
        Row{.origin = "https://evil.example",
            .is_allowed = false,
            .content_type = "multipart/form-data; boundary=x"},
        Row{.origin = "http://localhost:3000", .content_type = "text/plain"},
        Row{.method = "GET",
            .target = "/v1/models",
            .origin = "https://evil.example",
            .is_allowed = false},
        Row{.target = "/upload/v1beta/files",
            .origin = "https://evil.example",
            .is_allowed = false}));

INSTANTIATE_TEST_SUITE_P(
    FetchSites, Access,
    testing::Values(Row{.site = "same-origin"}, Row{.site = "same-site"}, Row{.site = "none"},
                    Row{.site = "cross-site", .is_allowed = false},
                    Row{.site = "Cross-Site", .is_allowed = false},
                    Row{.method = "DELETE", .site = "cross-site", .is_allowed = false},
                    Row{.method = "PATCH", .site = "cross-site", .is_allowed = false},
                    Row{.site = "cross-site", .is_allowed = false, .content_type = "text/plain"},
                    Row{.method = "GET", .site = "cross-site"},
                    Row{.method = "HEAD", .site = "cross-site"},
                    Row{.method = "OPTIONS", .site = "cross-site"},
                    // An allowed origin counts, wherever it is.
                    Row{.origin = "app://x", .site = "cross-site"},
                    Row{.target = "/", .site = "cross-site", .is_allowed = false}));

INSTANTIATE_TEST_SUITE_P(
    Hosts, Access,
    testing::Values(
        Row{.host = ""}, Row{.host = "localhost"}, Row{.host = "LOCALHOST:1"},
        Row{.host = "localhost."}, Row{.host = "127.0.0.1:8080"}, Row{.host = "127.8.9.1"},
        Row{.host = "[::1]:8080"}, Row{.host = "0.0.0.0:8080"}, Row{.host = "[::]"},
        Row{.host = "10.1.2.3"}, Row{.host = "172.16.0.1"}, Row{.host = "172.31.0.1"},
        Row{.host = "192.168.1.5:8080"}, Row{.host = "169.254.1.1"}, Row{.host = "[fe80::1]"},
        Row{.host = "[fd00::1]:80"}, Row{.host = "[::ffff:127.0.0.1]"}, Row{.host = "203.0.113.7"},
        Row{.host = "workbench.example.org"}, Row{.host = "fourfold"},
        Row{.host = "app.localhost:1"}, Row{.host = "gemma.local"},
        Row{.host = "host.docker.internal:8080"}, Row{.host = "203.0.113.8", .is_allowed = false},
        Row{.host = "172.32.0.1", .is_allowed = false},
        Row{.host = "[2001:db8::1]", .is_allowed = false},
        Row{.host = "[::ffff:8.8.8.8]", .is_allowed = false},
        Row{.host = "evil.example", .is_allowed = false},
        Row{.host = "evil.example:8080", .is_allowed = false},
        Row{.host = "localhost.evil.example", .is_allowed = false},
        Row{.host = "notlocal.evillocal.example", .is_allowed = false},
        Row{.host = "evil.example:80:80", .is_allowed = false},
        Row{.host = "user@localhost", .is_allowed = false},
        Row{.host = "localhost:80a", .is_allowed = false},
        Row{.host = "localhost:*", .is_allowed = false}, Row{.host = "[::1", .is_allowed = false},
        Row{.method = "GET", .host = "evil.example", .is_allowed = false},
        Row{.method = "OPTIONS", .host = "evil.example", .is_allowed = false},
        Row{.origin = "http://localhost:3000", .host = "evil.example", .is_allowed = false},
        Row{.origin = "http://evil.example", .host = "evil.example", .is_allowed = false}));

INSTANTIATE_TEST_SUITE_P(
    Exempt, Access,
    testing::Values(
        Row{.method = "GET", .target = "/", .origin = "https://evil.example", .host = "evil.x"},
        Row{.method = "GET", .target = "/?a=b", .host = "evil.x"},
        Row{.method = "HEAD", .target = "/", .host = "evil.x"},
        Row{.method = "GET", .target = "/health", .host = "evil.x"},
        Row{.method = "GET", .target = "/live/", .host = "evil.x"},
        Row{.method = "GET", .target = "/ready", .origin = "null", .host = "evil.x"},
        Row{.method = "GET", .target = "/healthy", .host = "evil.x", .is_allowed = false},
        Row{.method = "GET", .target = "/x/health", .host = "evil.x", .is_allowed = false},
        Row{.method = "OPTIONS", .target = "/health", .origin = "null", .is_allowed = false},
        Row{.method = "POST", .target = "/health", .host = "evil.x", .is_allowed = false}));

TEST(AccessSettings, ReplaceTheListOfOrigins) {
  const ServerSettings settings = {
      .origins = {"https://a.example", "http://b.example:81", "http://c.example:*", "ext://"}};
  for (const Row& row :
       {Row{.origin = "https://a.example"}, Row{.origin = "https://a.example:443"},
        Row{.origin = "http://b.example:81"}, Row{.origin = "http://c.example:5"},
        Row{.origin = "ext://abc"}, Row{.origin = "http://a.example", .is_allowed = false},
        Row{.origin = "https://a.example:444", .is_allowed = false},
        Row{.origin = "http://b.example", .is_allowed = false},
        Row{.origin = "http://localhost:3000", .is_allowed = false},
        Row{.origin = "null", .is_allowed = false},
        // Our own page stays.
        Row{.origin = "http://localhost:8080", .host = "localhost:8080"}}) {
    expect_judged(row, settings);
  }
}

TEST(AccessSettings, AllowNullAndAllOriginsWhenTheySaySo) {
  expect_judged({.origin = "null"}, {.origins = {"null"}});
  expect_judged({.origin = "https://a.example", .is_allowed = false}, {.origins = {"null"}});
  expect_judged({.origin = "https://a.example"}, {.origins = {"*"}});
  expect_judged({.origin = "null"}, {.origins = {"*"}});
}

TEST(AccessSettings, NameFurtherHosts) {
  const ServerSettings settings = {.hosts = {"llm.example.com"}};
  expect_judged({.host = "LLM.example.com:8080"}, settings);
  expect_judged({.origin = "https://llm.example.com", .host = "llm.example.com"}, settings);
  expect_judged({.host = "a.llm.example.com", .is_allowed = false}, settings);
}

TEST(AccessSettings, OfAPublicBindUseTheHostTestForTheOwnPageOnly) {
  const ServerSettings settings = {.host = "0.0.0.0"};
  expect_judged({.host = "any.example"}, settings);
  expect_judged({.origin = "http://any.example", .host = "any.example", .is_allowed = false},
                settings);
  expect_judged({.origin = "http://203.0.113.7:8080", .host = "203.0.113.7:8080"}, settings);
  expect_judged({.origin = "https://evil.example", .host = "any.example", .is_allowed = false},
                settings);
  expect_judged({.host = "any.example", .site = "cross-site", .is_allowed = false}, settings);
}

TEST(AccessSettings, LeaveTheProxysPrefixAside) {
  expect_judged({.method = "GET", .target = "/llm/health", .host = "evil.x"},
                {.path_prefix = "/llm"});
  expect_judged({.method = "GET", .target = "/llmhealth", .host = "evil.x", .is_allowed = false},
                {.path_prefix = "/llm"});
}

TEST(AccessSettings, AreCheckedForTheirForm) {
  for (const auto* good :
       {"https://a.example", "http://a:*", "app://", "null", "*", "http://[::1]:1"}) {
    EXPECT_TRUE(check_origin_setting(good).ok()) << good;
  }
  for (const auto* bad : {"", "a.example", "http://a/b", "http://a:b", "://a", "http//a"}) {
    EXPECT_FALSE(check_origin_setting(bad).ok()) << bad;
  }
}

TEST(AccessErrors, NameTheSettingThatWouldAllowIt) {
  const auto origin = judge_access(head_of({.origin = "https://evil.example"}), {}, kMachine);
  EXPECT_THAT(origin.error().message, HasSubstr("\"https://evil.example\" (--origins"));
  const auto host = judge_access(head_of({.host = "evil.example"}), {}, kMachine);
  EXPECT_THAT(host.error().message, HasSubstr("\"evil.example\" (--hosts"));
}

TEST(Cors, IsSaidToAllowedOriginsOnly) {
  const auto headers = cors_headers(head_of({.origin = "http://localhost:3000"}), {});
  EXPECT_THAT(headers, Contains(Pair("Access-Control-Allow-Origin", "http://localhost:3000")));
  EXPECT_THAT(headers, Contains(Pair("Vary", "Origin")));
  EXPECT_THAT(headers,
              Contains(Pair("Access-Control-Expose-Headers",
                            "x-goog-upload-url, x-goog-upload-status, "
                            "x-goog-upload-chunk-granularity, x-goog-upload-size-received, "
                            "x-request-id, request-id, retry-after, retry-after-ms, "
                            "x-should-retry, x-warning, x-media-seen")));
  EXPECT_THAT(cors_headers(head_of({}), {}), IsEmpty());
  EXPECT_THAT(cors_headers(head_of({.origin = "https://evil.example"}), {}), IsEmpty());
  EXPECT_THAT(cors_headers(head_of({.target = "/health", .origin = "null"}), {}), IsEmpty());
}

TEST(Preflight, EchoesTheHeadersThatAreAskedFor) {
  auto head = head_of({.method = "OPTIONS", .origin = "http://localhost:3000"});
  head.headers.emplace_back("access-control-request-headers", "authorization,x-stainless-os");
  head.headers.emplace_back("access-control-request-private-network", "true");
  const Reply reply = preflight_reply(head, {});
  EXPECT_EQ(reply.status, 204);
  EXPECT_THAT(
      reply.headers,
      testing::UnorderedElementsAre(
          Pair("Access-Control-Allow-Origin", "http://localhost:3000"), Pair("Vary", "Origin"),
          Pair("Access-Control-Allow-Methods", "GET, HEAD, POST, PATCH, PUT, DELETE, OPTIONS"),
          Pair("Access-Control-Allow-Headers", "authorization,x-stainless-os"),
          Pair("Access-Control-Max-Age", "86400"),
          Pair("Access-Control-Allow-Private-Network", "true")));
}

TEST(Preflight, SaysNothingOfOriginsToWhoeverHasNone) {
  const Reply reply = preflight_reply(head_of({.method = "OPTIONS"}), {});
  EXPECT_EQ(reply.status, 204);
  EXPECT_THAT(reply.headers,
              Not(Contains(Pair(testing::StartsWith("Access-Control"), testing::_))));
}

TEST(LoopbackHost, IsWhatOnlyThisMachineReaches) {
  for (const auto* host : {"127.0.0.1", "127.1.2.3", "::1", "[::1]", "localhost", "LocalHost"}) {
    EXPECT_TRUE(is_loopback_host(host)) << host;
  }
  for (const auto* host : {"0.0.0.0", "::", "192.168.1.1", "example.org", "", "localhost.x"}) {
    EXPECT_FALSE(is_loopback_host(host)) << host;
  }
}

TEST(ThisMachine, KnowsItsLoopbackAddress) {
  EXPECT_THAT(this_machine().addresses, Contains("127.0.0.1"));
}

}  // namespace
}  // namespace fourfold
