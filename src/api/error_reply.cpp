#include "api/error_reply.h"

#include <algorithm>
#include <cmath>

#include "api/json_number.h"
#include "base/json_value.h"

namespace fourfold {
namespace {

// A row of the table in http-apis.md 1.5.
struct Row {
  std::string_view reason;  // of ErrorDetail
  int status = 500;
  std::string_view gemini;  // google.rpc name
  std::string_view openai_type, openai_code;
  std::string_view anthropic;
  std::string_view operations;  // type, as llama.cpp names them
  // Retry-After: it may go better later. Never: the same request fails again.
  enum class Retry { Unsaid, Later, Never } retry = Retry::Unsaid;
  int gemini_status = 0, anthropic_status = 0;  // where they differ from `status`
};

using Retry = Row::Retry;

constexpr std::string_view kInvalid = "invalid_request_error";

constexpr Row kBadValue = {"",       400,      "INVALID_ARGUMENT", kInvalid, "invalid_value",
                           kInvalid, kInvalid, Retry::Unsaid};
constexpr Row kUnsupported = {"unsupported_value", 400,      "INVALID_ARGUMENT", kInvalid,
                              "unsupported_value", kInvalid, kInvalid,           Retry::Unsaid};
constexpr Row kWrongKey = {"invalid_api_key",      401,
                           "INVALID_ARGUMENT",     kInvalid,
                           "invalid_api_key",      "authentication_error",
                           "authentication_error", Retry::Unsaid,
                           /*gemini_status=*/400};
constexpr Row kForbidden = {"insufficient_scope", 403,
                            "PERMISSION_DENIED",  kInvalid,
                            "insufficient_scope", "permission_error",
                            "permission_error",   Retry::Unsaid};
constexpr Row kNotFound = {
    "", 404, "NOT_FOUND", kInvalid, "", "not_found_error", "not_found_error", Retry::Unsaid};
constexpr Row kNotOffered = {"not_offered",           501,          "UNIMPLEMENTED",
                             "not_supported_error",   "",           "not_found_error",
                             "not_supported_error",   Retry::Never,
                             /*gemini_status=*/0,
                             /*anthropic_status=*/404};
constexpr Row kRateLimit = {"rate_limit_exceeded", 429,
                            "RESOURCE_EXHAUSTED",  "rate_limit_error",
                            "rate_limit_exceeded", "rate_limit_error",
                            "rate_limit_error",    Retry::Later};
constexpr Row kBusy = {"queue_full",
                       503,
                       "UNAVAILABLE",
                       "unavailable_error",
                       "",
                       "overloaded_error",
                       "unavailable_error",
                       Retry::Later,
                       /*gemini_status=*/0,
                       /*anthropic_status=*/529};
constexpr Row kInternal = {"", 500,         "INTERNAL",     "server_error",
                           "", "api_error", "server_error", Retry::Unsaid};

// Errors that are told by their reason.
constexpr Row kByReason[] = {
    kUnsupported,
    kWrongKey,
    kForbidden,
    kNotOffered,
    kRateLimit,
    kBusy,
    {"unsupported_media", 400, "INVALID_ARGUMENT", kInvalid, "unsupported_value", kInvalid,
     kInvalid, Retry::Unsaid},
    {"context_length_exceeded", 400, "INVALID_ARGUMENT", kInvalid, "context_length_exceeded",
     kInvalid, kInvalid, Retry::Unsaid},
    {"missing_api_key", 401, "PERMISSION_DENIED", kInvalid, "invalid_api_key",
     "authentication_error", "authentication_error", Retry::Unsaid, /*gemini_status=*/403},
    {"origin_not_allowed", 403, "PERMISSION_DENIED", kInvalid, "origin_not_allowed",
     "permission_error", "permission_error", Retry::Unsaid},
    {"model_not_found", 404, "NOT_FOUND", kInvalid, "model_not_found", "not_found_error",
     "not_found_error", Retry::Unsaid},
    {"previous_response_not_found", 404, "NOT_FOUND", kInvalid, "previous_response_not_found",
     "not_found_error", "not_found_error", Retry::Unsaid},
    {"method_not_allowed", 405, "INVALID_ARGUMENT", kInvalid, "method_not_allowed", kInvalid,
     kInvalid, Retry::Unsaid},
    {"body_too_large", 413, "INVALID_ARGUMENT", kInvalid, "", "request_too_large", kInvalid,
     Retry::Unsaid},
    {"compaction_failed", 422, "FAILED_PRECONDITION", kInvalid, "compaction_failed", kInvalid,
     kInvalid, Retry::Unsaid},
    {"model_loading", 503, "UNAVAILABLE", "unavailable_error", "", "overloaded_error",
     "unavailable_error", Retry::Later, 0, /*anthropic_status=*/529},
    {"model_load_failed", 500, "INTERNAL", "server_error", "", "api_error", "server_error",
     Retry::Never},
};

Row row_of_code(Code code) {
  switch (code) {
    case Code::InvalidArgument:
    case Code::OutOfRange: return kBadValue;
    case Code::FailedPrecondition: return kUnsupported;  // the model cannot do it
    case Code::NotFound: return kNotFound;
    case Code::AlreadyExists:
      return {"",       409,      "ALREADY_EXISTS", kInvalid, "already_exists",
              kInvalid, kInvalid, Retry::Never};
    case Code::PermissionDenied: {
      Row row = kForbidden;
      row.openai_code = "";
      return row;
    }
    case Code::Unauthenticated: return kWrongKey;
    case Code::ResourceExhausted: return kRateLimit;
    case Code::Unavailable: return kBusy;
    case Code::Unimplemented: return kNotOffered;
    case Code::DeadlineExceeded:
      return {"",
              504,
              "DEADLINE_EXCEEDED",
              "server_error",
              "timeout",
              "timeout_error",
              "server_error",
              Retry::Never};
    case Code::Cancelled:
      return {"",          499,         "CANCELLED",    "server_error",
              "cancelled", "api_error", "server_error", Retry::Unsaid};
    case Code::Unknown:
    case Code::Aborted:
    case Code::Internal:
    case Code::DataLoss: break;
  }
  return kInternal;
}

Row row_of(const Error& error) {
  for (const auto& row : kByReason) {
    if (!error.reason().empty() && row.reason == error.reason()) return row;
  }
  return row_of_code(error.code);
}

// ---- messages ----

// What stands between the first and the last quote of "model 'gemma' not found".
std::string_view quoted(std::string_view message) {
  const auto begin = message.find('\''), end = message.rfind('\'');
  return begin == end ? message : message.substr(begin + 1, end - begin - 1);
}

std::string model_not_found_message(Dialect dialect, const Error& error) {
  const std::string_view model = quoted(error.message);
  switch (dialect) {
    case Dialect::Gemini:
      return fmt::format(
          "models/{} is not found for API version v1beta, or is not supported for "
          "generateContent. Call ListModels to see the list of available models and their "
          "supported methods.",
          model);
    case Dialect::OpenAI:
    case Dialect::Responses: return fmt::format("The model `{}` does not exist", model);
    case Dialect::Anthropic: return fmt::format("model: {}", model);
    case Dialect::Ollama:
    case Dialect::Operations: break;
  }
  return fmt::format("model '{}' not found", model);
}

// In the words by which agents know that they have to shorten their history.
std::string overflow_message(Dialect dialect, const Error& error) {
  const auto prompt = error.detail->prompt_tokens, context = error.detail->context_tokens;
  if (context == 0) return error.message;
  switch (dialect) {
    case Dialect::Gemini:
      return fmt::format(
          "The input token count ({}) exceeds the maximum number of tokens allowed ({}).", prompt,
          context);
    case Dialect::OpenAI:
      return fmt::format(
          "This model's maximum context length is {} tokens. However, your messages resulted in {} "
          "tokens.",
          context, prompt);
    case Dialect::Responses:
      return fmt::format(
          "Your input of {} tokens exceeds the context window of this model ({} tokens).", prompt,
          context);
    case Dialect::Anthropic:
      return fmt::format("prompt is too long: {} tokens > {} maximum", prompt, context);
    case Dialect::Ollama:
    case Dialect::Operations: break;
  }
  return fmt::format(
      "prompt is too long: the input of {} tokens exceeds the context length of {} tokens", prompt,
      context);
}

std::string message_of(Dialect dialect, const Error& error) {
  const std::string_view reason = error.reason();
  if (reason == "model_not_found") return model_not_found_message(dialect, error);
  if (reason == "context_length_exceeded") return overflow_message(dialect, error);
  if (dialect == Dialect::Ollama) {
    constexpr std::string_view kOrigin = "origin not allowed";
    const bool is_key = reason == "invalid_api_key" || reason == "missing_api_key";
    if (is_key || error.code == Code::Unauthenticated) return "unauthorized";
    if (reason == "origin_not_allowed" && !error.message.starts_with(kOrigin)) {
      return fmt::format("{}: {}", kOrigin, error.message);
    }
  }
  return error.message;
}

// ---- bodies ----

JsonValue text_or_null(std::string_view text) {
  return text.empty() ? JsonValue::null() : JsonValue::of(std::string(text));
}

JsonValue text(std::string_view value) { return JsonValue::of(std::string(value)); }

std::string type_url(std::string_view name) {
  return "type.googleapis.com/google.rpc." + std::string(name);
}

std::string_view field_of(const Error& error) {
  return error.detail ? std::string_view(error.detail->field) : "";
}

// Whole seconds from 1 on.
std::int64_t seconds_to_wait(const Error& error) {
  const double seconds = error.detail ? error.detail->retry_after_s : 0.0;
  return static_cast<std::int64_t>(std::clamp(std::ceil(seconds), 1.0, 86'400.0));
}

JsonValue gemini_details(const Row& row, const Error& error, const std::string& message) {
  std::vector<JsonValue> details;
  if (row.reason == "invalid_api_key") {
    details.push_back(JsonValue::object({{"@type", text(type_url("ErrorInfo"))},
                                         {"reason", text("API_KEY_INVALID")},
                                         {"domain", text("googleapis.com")}}));
  }
  if (row.status == 400 && !field_of(error).empty()) {
    auto violation =
        JsonValue::object({{"field", text(field_of(error))}, {"description", text(message)}});
    details.push_back(
        JsonValue::object({{"@type", text(type_url("BadRequest"))},
                           {"fieldViolations", JsonValue::array({std::move(violation)})}}));
  }
  if (row.retry == Retry::Later) {
    details.push_back(
        JsonValue::object({{"@type", text(type_url("RetryInfo"))},
                           {"retryDelay", text(fmt::format("{}s", seconds_to_wait(error)))}}));
  }
  return JsonValue::array(std::move(details));
}

JsonValue gemini_body(const Row& row, int status, const Error& error, const std::string& message) {
  auto inner = JsonValue::object(
      {{"code", json_number(status)}, {"message", text(message)}, {"status", text(row.gemini)}});
  auto details = gemini_details(row, error, message);
  if (!details.items.empty()) inner.set("details", std::move(details));
  return JsonValue::object({{"error", std::move(inner)}});
}

JsonValue openai_body(const Row& row, const Error& error, const std::string& message) {
  const bool says_more = row.openai_code.empty() && row.retry == Retry::Later;
  const std::string_view code = says_more ? error.reason() : row.openai_code;
  return JsonValue::object({{"error", JsonValue::object({{"message", text(message)},
                                                         {"type", text(row.openai_type)},
                                                         {"param", text_or_null(field_of(error))},
                                                         {"code", text_or_null(code)}})}});
}

JsonValue anthropic_body(const Row& row, const std::string& message, std::string_view request_id) {
  return JsonValue::object(
      {{"type", text("error")},
       {"error", JsonValue::object({{"type", text(row.anthropic)}, {"message", text(message)}})},
       {"request_id", text(request_id)}});
}

JsonValue operations_body(const Row& row, const std::string& message) {
  return JsonValue::object({{"error", JsonValue::object({{"code", json_number(row.status)},
                                                         {"message", text(message)},
                                                         {"type", text(row.operations)}})}});
}

JsonValue body_of(Dialect dialect, const Row& row, int status, const Error& error,
                  std::string_view request_id) {
  const std::string message = message_of(dialect, error);
  switch (dialect) {
    case Dialect::Gemini: return gemini_body(row, status, error, message);
    case Dialect::OpenAI:
    case Dialect::Responses: return openai_body(row, error, message);
    case Dialect::Ollama: return JsonValue::object({{"error", text(message)}});
    case Dialect::Anthropic: return anthropic_body(row, message, request_id);
    case Dialect::Operations: break;
  }
  return operations_body(row, message);
}

int status_of(Dialect dialect, const Row& row) {
  if (dialect == Dialect::Gemini && row.gemini_status != 0) return row.gemini_status;
  if (dialect == Dialect::Anthropic && row.anthropic_status != 0) return row.anthropic_status;
  return row.status;
}

HeaderList headers_of(const Row& row, const Error& error) {
  if (row.retry == Retry::Never) return {{"x-should-retry", "false"}};
  if (row.retry == Retry::Unsaid) return {};
  const double known = error.detail ? error.detail->retry_after_s : 0.0;
  const auto ms = known > 0.0
                      ? static_cast<std::int64_t>(std::ceil(std::min(known, 86'400.0) * 1e3))
                      : seconds_to_wait(error) * 1000;
  return {{"Retry-After", std::to_string(seconds_to_wait(error))},
          {"retry-after-ms", std::to_string(ms)}};
}

}  // namespace

std::string_view name(Dialect dialect) {
  switch (dialect) {
    case Dialect::Gemini: return "gemini";
    case Dialect::OpenAI:
    case Dialect::Responses: return "openai";
    case Dialect::Ollama: return "ollama";
    case Dialect::Anthropic: return "anthropic";
    case Dialect::Operations: return "operations";
  }
  return "";
}

ErrorReply error_reply(Dialect dialect, const Error& error, std::string_view request_id) {
  const Row row = row_of(error);
  const int status = status_of(dialect, row);
  return {.status = status,
          .headers = headers_of(row, error),
          .body = to_json_text(body_of(dialect, row, status, error, request_id))};
}

Error model_not_found(std::string_view model) {
  return not_found("model '{}' not found", model)
      .with({.reason = "model_not_found", .field = "model"});
}

Error not_offered(std::string_view what) {
  return unimplemented("{} is not offered by this server", what).with({.reason = "not_offered"});
}

}  // namespace fourfold
