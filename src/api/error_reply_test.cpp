#include "api/error_reply.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>

#include "base/json_value.h"

namespace fourfold {
namespace {

using testing::Contains;
using testing::HasSubstr;
using testing::Not;
using testing::Pair;

Error with_reason(Code code, std::string reason) {
  return Error{code, "the message"}.with({.reason = std::move(reason)});
}

std::string text_at(const ErrorReply& reply, std::string_view key) {
  const auto body = parse_json_value(reply.body);
  const JsonValue* error = body ? body->find("error") : nullptr;
  const JsonValue* found = error ? error->find(key) : nullptr;
  return found ? found->text : "(absent)";
}

// One row of http-apis.md 1.5.
struct Row {
  Error error;
  int gemini_status;
  std::string gemini;
  int openai_status;
  std::string openai_type, openai_code;
  int anthropic_status;
  std::string anthropic;
};

class ErrorTable : public testing::TestWithParam<Row> {};

TEST_P(ErrorTable, HasFourFaces) {
  const auto& row = GetParam();
  const auto gemini = error_reply(Dialect::Gemini, row.error, "r1");
  EXPECT_EQ(gemini.status, row.gemini_status);
  EXPECT_EQ(text_at(gemini, "status"), row.gemini);
  EXPECT_EQ(text_at(gemini, "code"), std::to_string(row.gemini_status));

  for (const auto dialect : {Dialect::OpenAI, Dialect::Responses}) {
    const auto openai = error_reply(dialect, row.error, "r1");
    EXPECT_EQ(openai.status, row.openai_status);
    EXPECT_EQ(text_at(openai, "type"), row.openai_type);
    EXPECT_EQ(text_at(openai, "code"), row.openai_code);
    EXPECT_NE(text_at(openai, "param"), "(absent)");
  }

  const auto ollama = error_reply(Dialect::Ollama, row.error, "r1");
  EXPECT_EQ(ollama.status, row.openai_status);
  const auto ollama_body = parse_json_value(ollama.body);
  ASSERT_TRUE(ollama_body.ok() && ollama_body->find("error"));
  EXPECT_TRUE(ollama_body->find("error")->is_string());

  const auto anthropic = error_reply(Dialect::Anthropic, row.error, "r1");
  EXPECT_EQ(anthropic.status, row.anthropic_status);
  EXPECT_EQ(text_at(anthropic, "type"), row.anthropic);
  const auto anthropic_body = parse_json_value(anthropic.body);
  EXPECT_EQ(anthropic_body->find("type")->text, "error");
  EXPECT_EQ(anthropic_body->find("request_id")->text, "r1");

  const auto operations = error_reply(Dialect::Operations, row.error, "r1");
  EXPECT_EQ(operations.status, row.openai_status);
  EXPECT_EQ(text_at(operations, "code"), std::to_string(row.openai_status));
  for (const auto& reply : {gemini, ollama, anthropic, operations}) {
    EXPECT_THAT(reply.body, Not(HasSubstr("\n")));
  }
}

const char* const kInvalid = "invalid_request_error";

INSTANTIATE_TEST_SUITE_P(
    Rows, ErrorTable,
    testing::Values(
        Row{Error{Code::InvalidArgument, "m"}, 400, "INVALID_ARGUMENT", 400, kInvalid,
            "invalid_value", 400, kInvalid},
        Row{Error{Code::OutOfRange, "m"}, 400, "INVALID_ARGUMENT", 400, kInvalid, "invalid_value",
            400, kInvalid},
        Row{with_reason(Code::ResourceExhausted, "context_length_exceeded"), 400,
            "INVALID_ARGUMENT", 400, kInvalid, "context_length_exceeded", 400, kInvalid},
        Row{with_reason(Code::PermissionDenied, "origin_not_allowed"), 403, "PERMISSION_DENIED",
            403, kInvalid, "origin_not_allowed", 403, "permission_error"},
        Row{with_reason(Code::Unauthenticated, "invalid_api_key"), 400, "INVALID_ARGUMENT", 401,
            kInvalid, "invalid_api_key", 401, "authentication_error"},
        Row{with_reason(Code::Unauthenticated, "missing_api_key"), 403, "PERMISSION_DENIED", 401,
            kInvalid, "invalid_api_key", 401, "authentication_error"},
        Row{with_reason(Code::PermissionDenied, "insufficient_scope"), 403, "PERMISSION_DENIED",
            403, kInvalid, "insufficient_scope", 403, "permission_error"},
        Row{model_not_found("m"), 404, "NOT_FOUND", 404, kInvalid, "model_not_found", 404,
            "not_found_error"},
        Row{Error{Code::NotFound, "m"}, 404, "NOT_FOUND", 404, kInvalid, "", 404,
            "not_found_error"},
        Row{with_reason(Code::NotFound, "previous_response_not_found"), 404, "NOT_FOUND", 404,
            kInvalid, "previous_response_not_found", 404, "not_found_error"},
        Row{Error{Code::AlreadyExists, "m"}, 409, "ALREADY_EXISTS", 409, kInvalid, "already_exists",
            409, kInvalid},
        Row{with_reason(Code::InvalidArgument, "method_not_allowed"), 405, "INVALID_ARGUMENT", 405,
            kInvalid, "method_not_allowed", 405, kInvalid},
        Row{with_reason(Code::InvalidArgument, "body_too_large"), 413, "INVALID_ARGUMENT", 413,
            kInvalid, "", 413, "request_too_large"},
        Row{Error{Code::FailedPrecondition, "m"}, 400, "INVALID_ARGUMENT", 400, kInvalid,
            "unsupported_value", 400, kInvalid},
        Row{with_reason(Code::Unimplemented, "unsupported_media"), 400, "INVALID_ARGUMENT", 400,
            kInvalid, "unsupported_value", 400, kInvalid},
        Row{not_offered("tuning"), 501, "UNIMPLEMENTED", 501, "not_supported_error", "", 404,
            "not_found_error"},
        Row{with_reason(Code::ResourceExhausted, "rate_limit_exceeded"), 429, "RESOURCE_EXHAUSTED",
            429, "rate_limit_error", "rate_limit_exceeded", 429, "rate_limit_error"},
        Row{with_reason(Code::Unavailable, "queue_full"), 503, "UNAVAILABLE", 503,
            "unavailable_error", "queue_full", 529, "overloaded_error"},
        Row{with_reason(Code::Unavailable, "model_loading"), 503, "UNAVAILABLE", 503,
            "unavailable_error", "model_loading", 529, "overloaded_error"},
        Row{with_reason(Code::Unavailable, "no_memory"), 503, "UNAVAILABLE", 503,
            "unavailable_error", "no_memory", 529, "overloaded_error"},
        Row{Error{Code::DeadlineExceeded, "m"}, 504, "DEADLINE_EXCEEDED", 504, "server_error",
            "timeout", 504, "timeout_error"},
        Row{Error{Code::Cancelled, "m"}, 499, "CANCELLED", 499, "server_error", "cancelled", 499,
            "api_error"},
        Row{with_reason(Code::FailedPrecondition, "compaction_failed"), 422, "FAILED_PRECONDITION",
            422, kInvalid, "compaction_failed", 422, kInvalid},
        Row{with_reason(Code::DataLoss, "model_load_failed"), 500, "INTERNAL", 500, "server_error",
            "", 500, "api_error"},
        Row{Error{Code::Internal, "m"}, 500, "INTERNAL", 500, "server_error", "", 500,
            "api_error"}));

TEST(ErrorReply, SaysAnOverflowInTheWordsThatAgentsKnow) {
  const auto error =
      resource_exhausted("too long")
          .with(
              {.reason = "context_length_exceeded", .prompt_tokens = 9001, .context_tokens = 8192});
  const auto message = [&](Dialect dialect) {
    return text_at(error_reply(dialect, error, ""), "message");
  };
  EXPECT_EQ(message(Dialect::OpenAI),
            "This model's maximum context length is 8192 tokens. However, your messages resulted "
            "in 9001 tokens.");
  EXPECT_EQ(message(Dialect::Responses),
            "Your input of 9001 tokens exceeds the context window of this model (8192 tokens).");
  EXPECT_EQ(message(Dialect::Anthropic), "prompt is too long: 9001 tokens > 8192 maximum");
  EXPECT_EQ(message(Dialect::Gemini),
            "The input token count (9001) exceeds the maximum number of tokens allowed (8192).");
  EXPECT_THAT(error_reply(Dialect::Ollama, error, "").body,
              HasSubstr("prompt is too long: the input of 9001 tokens exceeds the context length "
                        "of 8192 tokens"));
}

TEST(ErrorReply, KeepsTheFamiliarWordsForAnUnknownModel) {
  const auto error = model_not_found("gemma:it");
  EXPECT_EQ(text_at(error_reply(Dialect::Gemini, error, ""), "message"),
            "models/gemma:it is not found for API version v1beta, or is not supported for "
            "generateContent. Call ListModels to see the list of available models and their "
            "supported methods.");
  EXPECT_EQ(error_reply(Dialect::Ollama, error, "").body,
            R"({"error":"model 'gemma:it' not found"})");
  EXPECT_EQ(text_at(error_reply(Dialect::OpenAI, error, ""), "param"), "model");
}

TEST(ErrorReply, OllamaSaysUnauthorizedAndOriginNotAllowed) {
  EXPECT_EQ(
      error_reply(Dialect::Ollama, with_reason(Code::Unauthenticated, "invalid_api_key"), "").body,
      R"({"error":"unauthorized"})");
  EXPECT_EQ(
      error_reply(Dialect::Ollama, with_reason(Code::PermissionDenied, "origin_not_allowed"), "")
          .body,
      R"({"error":"origin not allowed: the message"})");
}

TEST(ErrorReply, GeminiDetailsNameTheKeyTheFieldAndTheWait) {
  EXPECT_THAT(
      error_reply(Dialect::Gemini, with_reason(Code::Unauthenticated, "invalid_api_key"), "").body,
      HasSubstr(R"({"@type":"type.googleapis.com/google.rpc.ErrorInfo","reason":"API_KEY_INVALID",)"
                R"("domain":"googleapis.com"})"));
  const auto field = invalid_argument("a.b: bad").with({.reason = "", .field = "a.b"});
  EXPECT_THAT(error_reply(Dialect::Gemini, field, "").body,
              HasSubstr(R"("details":[{"@type":"type.googleapis.com/google.rpc.BadRequest",)"
                        R"("fieldViolations":[{"field":"a.b","description":"a.b: bad"}]}])"));
  const auto wait =
      resource_exhausted("slow down").with({.reason = "rate_limit_exceeded", .retry_after_s = 1.5});
  EXPECT_THAT(
      error_reply(Dialect::Gemini, wait, "").body,
      HasSubstr(R"({"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"2s"})"));
  EXPECT_THAT(error_reply(Dialect::Gemini, Error{Code::Internal, "m"}, "").body,
              Not(HasSubstr("details")));
}

TEST(ErrorReply, TellsClientsWhetherToTryAgain) {
  const auto wait =
      resource_exhausted("slow down").with({.reason = "rate_limit_exceeded", .retry_after_s = 1.5});
  EXPECT_THAT(error_reply(Dialect::OpenAI, wait, "").headers,
              testing::ElementsAre(Pair("Retry-After", "2"), Pair("retry-after-ms", "1500")));
  EXPECT_THAT(error_reply(Dialect::OpenAI, Error{Code::Unavailable, "m"}, "").headers,
              Contains(Pair("Retry-After", "1")));
  for (const auto& error :
       {not_offered("x"), Error{Code::DeadlineExceeded, "m"}, Error{Code::AlreadyExists, "m"},
        with_reason(Code::DataLoss, "model_load_failed")}) {
    EXPECT_THAT(error_reply(Dialect::OpenAI, error, "").headers,
                testing::ElementsAre(Pair("x-should-retry", "false")));
  }
  EXPECT_TRUE(error_reply(Dialect::OpenAI, Error{Code::InvalidArgument, "m"}, "").headers.empty());
}

}  // namespace
}  // namespace fourfold
