#include "server/call.h"

#include <algorithm>

#include "server/head_rules.h"
#include "server/redaction.h"

namespace fourfold {
namespace {

// Of what clients send; deeper nesting has no use (http-apis.md 1.3).
constexpr int kMostDepth = 100;
constexpr std::size_t kMostWarningBytes = 1024;

// What every header may hold, whatever a client made a warning quote.
std::string plain_ascii(std::string_view text) {
  std::string plain;
  for (const char c : text) plain += c >= 0x20 && c < 0x7f ? c : '?';
  return plain;
}

std::string warning_header(const std::vector<std::string>& warnings) {
  std::string header;
  for (const auto& warning : warnings) {
    if (!header.empty()) header += "; ";
    header += plain_ascii(warning);
  }
  if (header.size() > kMostWarningBytes) {
    header.resize(kMostWarningBytes - 3);
    header += "...";
  }
  return header;
}

}  // namespace

const Handlers::Handler* Handlers::find(std::string_view route) const {
  const auto found = handlers_.find(route);
  return found == handlers_.end() ? nullptr : &found->second;
}

Call::Call(Exchange& exchange, const RouteMatch& match, const Key* key, ServerState& server,
           std::string request_id)
    : exchange_(exchange),
      match_(match),
      key_(key),
      server_(server),
      request_id_(std::move(request_id)) {}

const std::string& Call::parameter(const std::string& name) const {
  static const std::string kNone;
  const auto found = match_.parameters.find(name);
  return found == match_.parameters.end() ? kNone : found->second;
}

std::string Call::query(const std::string& name) const {
  const auto found = match_.query.find(name);
  return found == match_.query.end() ? "" : found->second;
}

std::string Call::user() const { return key_ ? key_->name : request().head.remote_address; }

Result<JsonValue> Call::json_body(bool may_be_empty) const {
  const std::string& body = request().body;
  const bool is_empty = body.find_first_not_of(" \t\r\n") == body.npos;
  if (is_empty && may_be_empty) return JsonValue::object();
  if (is_empty) return invalid_argument("request body: empty (JSON expected)");
  return TRY_IN("request body", parse_json_value(body, {.max_depth = kMostDepth}));
}

void Call::warn(std::string text) {
  if (std::ranges::find(warnings_, text) == warnings_.end()) warnings_.push_back(std::move(text));
}

HeaderList Call::common_headers(HeaderList headers) const {
  for (auto& header : reply_headers(request().head, server_.settings, request_id_)) {
    headers.push_back(std::move(header));
  }
  if (!warnings_.empty()) headers.emplace_back("x-warning", warning_header(warnings_));
  if (!media_seen_.empty()) headers.emplace_back("x-media-seen", media_seen_);
  return headers;
}

void Call::reply(int status, const JsonValue& body, HeaderList headers) {
  reply(status, json_type(dialect()), to_json_text(body), std::move(headers));
}

void Call::reply(int status, std::string_view type, std::string body, HeaderList headers) {
  record.status = status;
  has_begun_ = true;
  if (!type.empty()) headers.emplace_back("Content-Type", type);
  exchange_.reply(
      {.status = status, .headers = common_headers(std::move(headers)), .body = std::move(body)});
}

void Call::fail(const Error& error) {
  record.error = error.message;
  // Too late for a status; the stream just ends.
  if (has_begun_) return exchange_.end();
  // Messages quote what a request said, and people paste keys into wrong fields.
  Error told = error;
  told.message = server_.redactor.redact(error.message);
  auto answer = error_reply(dialect(), told, request_id_);
  reply(answer.status, json_type(dialect()), std::move(answer.body), std::move(answer.headers));
}

void Call::begin(std::string_view type, HeaderList headers) {
  record.status = 200;
  has_begun_ = true;
  exchange_.begin(200, stream_headers(type, std::move(headers)));
}

void Call::may_begin_early(std::string_view type) {
  exchange_.may_begin_early(200, stream_headers(type, {}));
}

HeaderList Call::stream_headers(std::string_view type, HeaderList headers) const {
  headers.emplace_back("Content-Type", type);
  headers.emplace_back("Cache-Control", "no-cache");
  headers.emplace_back("X-Accel-Buffering", "no");
  return common_headers(std::move(headers));
}

}  // namespace fourfold
