#include "server/router.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

namespace fourfold {
namespace {

struct Case {
  std::string_view method, target;
  std::string_view route;
  std::string_view parameter = {}, value = {};
};

void PrintTo(const Case& row, std::ostream* out) { *out << row.method << ' ' << row.target; }

class Routes : public testing::TestWithParam<Case> {};

TEST_P(Routes, AreFoundByMethodAndPath) {
  const Case& row = GetParam();
  const auto found = find_route(row.method, row.target, "");

  ASSERT_TRUE(std::holds_alternative<RouteMatch>(found));
  const auto& match = std::get<RouteMatch>(found);
  EXPECT_EQ(match.route->name, row.route);
  if (!row.parameter.empty()) {
    const auto parameter = match.parameters.find(std::string(row.parameter));
    ASSERT_NE(parameter, match.parameters.end());
    EXPECT_EQ(parameter->second, row.value);
  }
}

INSTANTIATE_TEST_SUITE_P(
    Gemini, Routes,
    testing::Values(
        Case{"POST", "/v1beta/models/gemma:generateContent", "gemini.generateContent", "model",
             "gemma"},
        Case{"POST", "/v1beta/models/google/gemma-4-E4B-it:generateContent",
             "gemini.generateContent", "model", "google/gemma-4-E4B-it"},
        Case{"POST", "/v1beta/models/gemma4:e4b:streamGenerateContent?alt=sse",
             "gemini.streamGenerateContent", "model", "gemma4:e4b"},
        Case{"POST", "/v1beta/v1beta/models/m:countTokens", "gemini.countTokens", "model", "m"},
        Case{"POST", "/v1/v1beta/models/m:countTokens", "gemini.countTokens", "version", "v1beta"},
        Case{"POST", "/models/m:streamGenerateContent", "gemini.streamGenerateContent", "model",
             "m"},
        Case{"POST", "/v1/models/m:generateContent", "gemini.generateContent", "version", "v1"},
        Case{"POST", "/v1alpha/models/m:embedContent", "gemini.embedContent"},
        Case{"POST", "/v1beta/models/m:batchEmbedContents", "gemini.batchEmbedContents"},
        Case{"POST", "/v1beta/models/a%2Fb%3Ac:generateContent", "gemini.generateContent", "model",
             "a/b:c"},
        Case{"POST", "/v1beta/tunedModels/poet:generateContent", "gemini.generateContent", "model",
             "tunedModels/poet"},
        Case{"POST", "/v1beta/models/m:batchGenerateContent", "not_offered"},
        Case{"POST", "/v1beta/models/m:predictLongRunning", "not_offered"},
        Case{"GET", "/v1beta/models", "gemini.models"},
        Case{"GET", "/v1beta/models/", "gemini.models"},
        Case{"GET", "/v1beta/models?pageSize=3", "gemini.models"},
        Case{"GET", "/v1beta/models/gemma4:e4b", "gemini.model", "model", "gemma4:e4b"},
        Case{"GET", "/v1beta/tunedModels", "gemini.tunedModels"},
        Case{"GET", "/v1beta/tunedModels/poet", "gemini.tunedModel", "id", "poet"},
        Case{"POST", "/v1beta/cachedContents", "gemini.caches.create"},
        Case{"GET", "/v1beta/cachedContents", "gemini.caches.list"},
        Case{"GET", "/v1beta/cachedContents/x1", "gemini.caches.get", "id", "x1"},
        Case{"PATCH", "/v1beta/cachedContents/x1?updateMask=ttl", "gemini.caches.patch", "id",
             "x1"},
        Case{"DELETE", "/v1beta/cachedContents/x1", "gemini.caches.delete", "id", "x1"},
        Case{"POST", "/v1beta/interactions", "gemini.interactions.create"},
        Case{"GET", "/v1beta/interactions/i1", "gemini.interactions.get", "id", "i1"},
        Case{"DELETE", "/v1beta/interactions/i1", "gemini.interactions.delete", "id", "i1"},
        Case{"POST", "/v1beta/interactions/i1/cancel", "gemini.interactions.cancel", "id", "i1"},
        Case{"POST", "/v1beta/batches", "not_offered"},
        Case{"POST", "/v1alpha/auth_tokens", "not_offered"}));

INSTANTIATE_TEST_SUITE_P(
    Files, Routes,
    testing::Values(
        Case{"POST", "/upload/v1beta/files", "gemini.files.upload"},
        Case{"POST", "/v1beta/upload/v1beta/files", "gemini.files.upload"},
        Case{"POST", "/upload/v1beta/files?upload_id=s1", "gemini.files.upload_session"},
        Case{"PUT", "/upload/v1beta/files?upload_id=s1", "gemini.files.upload_session"},
        Case{"POST", "/upload/v1beta/files/s1", "gemini.files.upload_session", "session", "s1"},
        Case{"GET", "/v1beta/files?pageSize=10", "gemini.files.list"},
        Case{"GET", "/v1beta/files/abc", "gemini.files.get", "id", "abc"},
        Case{"GET", "/v1/files/abc", "gemini.files.get", "id", "abc"},
        Case{"GET", "/v1beta/files/http://host:1/v1beta/files/abc", "gemini.files.get", "id",
             "abc"},
        Case{"GET", "/v1beta/files/abc:download?alt=media", "gemini.files.download", "id", "abc"},
        Case{"DELETE", "/v1beta/files/abc", "gemini.files.delete", "id", "abc"},
        Case{"POST", "/v1/files", "not_offered"}));

INSTANTIATE_TEST_SUITE_P(
    OpenAI, Routes,
    testing::Values(
        Case{"POST", "/v1/chat/completions", "openai.chat"},
        Case{"POST", "/v1/v1/chat/completions", "openai.chat"},
        Case{"POST", "/chat/completions/", "openai.chat"},
        Case{"POST", "/v1beta/openai/chat/completions", "openai.chat"},
        Case{"POST", "/v1beta/openai/v1/chat/completions", "openai.chat"},
        Case{"POST", "/v1/completions", "openai.completions"},
        Case{"POST", "/completions", "openai.completions"},
        Case{"POST", "/embeddings", "openai.embeddings"},
        Case{"POST", "/v1/audio/transcriptions", "openai.transcriptions"},
        Case{"POST", "/v1/responses", "openai.responses.create"},
        Case{"POST", "/responses", "openai.responses.create"},
        Case{"POST", "/responses/compact", "openai.responses.compact"},
        Case{"POST", "/v1/responses/input_tokens", "openai.responses.input_tokens"},
        Case{"GET", "/v1/responses/resp_1?stream=true", "openai.responses.get", "id", "resp_1"},
        Case{"DELETE", "/v1/responses/resp_1", "openai.responses.delete", "id", "resp_1"},
        Case{"POST", "/v1/responses/resp_1/cancel", "openai.responses.cancel", "id", "resp_1"},
        Case{"GET", "/v1/models", "openai.models"}, Case{"GET", "/models", "openai.models"},
        Case{"GET", "/v1beta/openai/models", "openai.models"},
        Case{"GET", "/v1/models/google%2Fgemma-4:e4b", "openai.model", "model",
             "google/gemma-4:e4b"},
        Case{"GET", "/v1beta/openai/models/m", "openai.model", "model", "m"},
        Case{"POST", "/v1/images/generations", "not_offered"},
        Case{"POST", "/v1/audio/speech", "not_offered"},
        Case{"POST", "/v1/batches", "not_offered"}));

INSTANTIATE_TEST_SUITE_P(
    OthersAndOperations, Routes,
    testing::Values(
        Case{"POST", "/v1/messages", "anthropic.messages"},
        Case{"POST", "/v1/messages?beta=true", "anthropic.messages"},
        Case{"POST", "/v1/messages/count_tokens", "anthropic.count_tokens"},
        Case{"GET", "/", "ollama.root"}, Case{"HEAD", "/", "ollama.root"},
        Case{"GET", "", "ollama.root"}, Case{"HEAD", "/api/version", "ollama.version"},
        Case{"GET", "/api/tags/", "ollama.tags"}, Case{"POST", "/api/chat", "ollama.chat"},
        Case{"DELETE", "/api/delete", "ollama.delete"},
        Case{"HEAD", "/api/blobs/sha256:ab", "ollama.blobs.head", "digest", "sha256:ab"},
        Case{"POST", "/api/blobs/sha256:ab", "ollama.blobs.create", "digest", "sha256:ab"},
        Case{"POST", "/api/push", "not_offered"}, Case{"GET", "/health", "ops.health"},
        Case{"GET", "/v1/health", "ops.health"}, Case{"GET", "/metrics", "ops.metrics"},
        Case{"POST", "/apply-template", "ops.apply_template"},
        Case{"POST", "/models/load", "not_offered"},
        Case{"GET", "/assets/app-1.js", "page", "path", "app-1.js"},
        Case{"GET", "http://host:8080/api/ps", "ollama.ps"}));

struct NoRouteCase {
  std::string_view method, target;
  Dialect dialect;
  std::vector<std::string> allowed;
};

void PrintTo(const NoRouteCase& row, std::ostream* out) { *out << row.method << ' ' << row.target; }

class Refusals : public testing::TestWithParam<NoRouteCase> {};

TEST_P(Refusals, SpeakTheDialectOfThePrefix) {
  const NoRouteCase& row = GetParam();
  const auto found = find_route(row.method, row.target, "");

  ASSERT_TRUE(std::holds_alternative<NoRoute>(found));
  EXPECT_EQ(std::get<NoRoute>(found).dialect, row.dialect);
  EXPECT_EQ(std::get<NoRoute>(found).allowed, row.allowed);
}

INSTANTIATE_TEST_SUITE_P(
    UnknownPaths, Refusals,
    testing::Values(NoRouteCase{"GET", "/v1beta/nothing", Dialect::Gemini, {}},
                    NoRouteCase{"GET", "/v1alpha/nothing", Dialect::Gemini, {}},
                    NoRouteCase{"POST", "/upload/v1beta/nothing", Dialect::Gemini, {}},
                    NoRouteCase{"GET", "/ws/x.BidiGenerateContent", Dialect::Gemini, {}},
                    NoRouteCase{"POST", "/v1beta/models/gemma4:e4b", Dialect::Gemini, {}},
                    NoRouteCase{"POST", "/v1beta/models/m:dance", Dialect::Gemini, {}},
                    NoRouteCase{"GET", "/v1beta/openai/nothing", Dialect::OpenAI, {}},
                    NoRouteCase{"GET", "/v1/nothing", Dialect::OpenAI, {}},
                    NoRouteCase{"GET", "/nothing", Dialect::OpenAI, {}},
                    NoRouteCase{"GET", "/api/nothing", Dialect::Ollama, {}},
                    NoRouteCase{"GET", "/api", Dialect::Ollama, {}},
                    NoRouteCase{"GET", "/v1/api/tags", Dialect::OpenAI, {}},
                    NoRouteCase{"GET", "/v1/messages/nothing", Dialect::Anthropic, {}},
                    NoRouteCase{"POST", "/v1beta/openai/messages", Dialect::OpenAI, {}}));

INSTANTIATE_TEST_SUITE_P(
    WrongMethods, Refusals,
    testing::Values(
        NoRouteCase{"GET", "/v1/chat/completions", Dialect::OpenAI, {"POST"}},
        NoRouteCase{"GET", "/v1/responses", Dialect::Responses, {"POST"}},
        NoRouteCase{"GET", "/v1/messages", Dialect::Anthropic, {"POST"}},
        NoRouteCase{"GET", "/api/chat", Dialect::Ollama, {"POST"}},
        NoRouteCase{"GET", "/api/blobs/sha256:ab", Dialect::Ollama, {"HEAD", "POST"}},
        NoRouteCase{"GET", "/v1beta/models/m:generateContent", Dialect::Gemini, {"POST"}},
        NoRouteCase{"POST", "/v1beta/models", Dialect::Gemini, {"GET", "HEAD"}},
        NoRouteCase{"POST", "/v1beta/models/m", Dialect::Gemini, {"GET", "HEAD"}},
        NoRouteCase{
            "PUT", "/v1beta/cachedContents/x", Dialect::Gemini, {"GET", "PATCH", "DELETE", "HEAD"}},
        NoRouteCase{"POST", "/metrics", Dialect::Operations, {"GET", "HEAD"}},
        NoRouteCase{"DELETE", "/health", Dialect::Operations, {"GET", "HEAD"}}));

TEST(Router, DropsThePrefixOfAProxyAndNothingElse) {
  const auto behind = find_route("GET", "/llm/api/tags", "/llm/");
  ASSERT_TRUE(std::holds_alternative<RouteMatch>(behind));
  EXPECT_EQ(std::get<RouteMatch>(behind).route->name, "ollama.tags");
  EXPECT_TRUE(std::holds_alternative<RouteMatch>(find_route("GET", "/api/tags", "/llm")));
  EXPECT_TRUE(std::holds_alternative<NoRoute>(find_route("GET", "/llmapi/tags", "/llm")));
}

TEST(Router, DecodesTheQuery) {
  const auto found = find_route("GET", "/v1/models?key=a%2Bb+c&flag&=x&key=second#end", "");
  const auto& query = std::get<RouteMatch>(found).query;
  EXPECT_EQ(query.find("key")->second, "a+b c");
  EXPECT_EQ(query.count("key"), 2u);
  EXPECT_EQ(query.count("flag"), 1u);
}

TEST(Router, LeavesBrokenEscapesAndDoubleSlashesAlone) {
  const auto found = find_route("GET", "/v1/models/a%zz//b%2", "");
  EXPECT_EQ(std::get<RouteMatch>(found).parameters.at("model"), "a%zz//b%2");
}

TEST(Router, LetsNobodyPassWithoutAKeyButWhereThatIsMeant) {
  const std::set<std::string_view> meant = {
      "ollama.root", "ops.health", "ops.live", "ops.ready", "page", "gemini.files.upload_session"};
  std::set<std::string_view> open;
  for (const RouteInfo& route : all_routes()) {
    if (route.scope == Scope::Public) open.insert(route.name);
  }
  EXPECT_EQ(open, meant);
}

}  // namespace
}  // namespace fourfold
