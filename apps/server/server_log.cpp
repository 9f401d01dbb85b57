#include "server/server_log.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <span>

#include "api/identifiers.h"
#include "base/json_value.h"
#include "base/new_file.h"
#include "base/utf8.h"

namespace fourfold {
namespace {

// An audit line ends here, whatever a request made it hold.
constexpr std::size_t kMostAuditBytes = 4096;

// No line of a log can be made to look like two, and no terminal is sent a control sequence.
std::string one_line(std::string_view text) {
  std::string line;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte == 0x7f) {
      line += fmt::format("\\x{:02x}", byte);
    } else {
      line += c;
    }
  }
  return line;
}

std::string now_text() {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return rfc3339_ns(std::chrono::duration_cast<std::chrono::nanoseconds>(now).count());
}

JsonValue of(std::int64_t value) { return JsonValue::number(fmt::format("{}", value)); }
JsonValue ms(double value) { return JsonValue::number(fmt::format("{:.1f}", value)); }

JsonValue request_json(const RequestLine& line, const CallRecord& record) {
  JsonValue json = JsonValue::object();
  json.set("time", JsonValue::of(now_text()));
  json.set("request_id", JsonValue::of(line.request_id));
  json.set("key", line.key_name.empty() ? JsonValue::null() : JsonValue::of(line.key_name));
  json.set("address", JsonValue::of(line.address));
  json.set("dialect", JsonValue::of(std::string(name(line.dialect))));
  json.set("method", JsonValue::of(line.method));
  json.set("route", JsonValue::of(line.route));
  json.set("model", record.model.empty() ? JsonValue::null() : JsonValue::of(record.model));
  json.set("status", of(record.status));
  json.set("finish", record.finish.empty() ? JsonValue::null() : JsonValue::of(record.finish));
  json.set("prompt_tokens", of(record.prompt_tokens));
  json.set("cached_tokens", of(record.cached_tokens));
  json.set("thought_tokens", of(record.thought_tokens));
  json.set("completion_tokens", of(record.completion_tokens));
  json.set("tool_calls", of(record.n_tool_calls));
  json.set("queue_ms", ms(record.queue_ms));
  json.set("prefill_ms", ms(record.prefill_ms));
  json.set("decode_ms", ms(record.decode_ms));
  json.set("total_ms", ms(line.total_ms));
  JsonValue warnings = JsonValue::array();
  for (const auto& warning : line.warnings) warnings.items.push_back(JsonValue::of(warning));
  json.set("warnings", std::move(warnings));
  return json;
}

std::string audit_text(const RequestLine& line, const CallRecord& record) {
  JsonValue json = request_json(line, record);
  std::string text = to_json_text(json);
  if (text.size() <= kMostAuditBytes) return text;
  json.set("warnings", JsonValue::of("too many"));
  text = to_json_text(json);
  if (text.size() <= kMostAuditBytes) return text;
  // What is left that a client chose.
  for (const char* key : {"request_id", "model"}) json.set(key, JsonValue::of("too long"));
  return to_json_text(json);
}

std::string request_text(const RequestLine& line, const CallRecord& record) {
  std::string text = fmt::format("{} {} {} {} {}", line.request_id, line.address,
                                 name(line.dialect), line.route, record.status);
  if (!line.key_name.empty()) text += " user=" + line.key_name;
  if (!record.model.empty()) text += " model=" + record.model;
  if (record.prompt_tokens > 0) {
    text += fmt::format(" prompt={} cached={} thought={} completion={}", record.prompt_tokens,
                        record.cached_tokens, record.thought_tokens, record.completion_tokens);
    text += fmt::format(" queue={:.0f}ms prefill={:.0f}ms decode={:.0f}ms", record.queue_ms,
                        record.prefill_ms, record.decode_ms);
  }
  if (!record.finish.empty()) text += " finish=" + record.finish;
  text += fmt::format(" {:.0f}ms", line.total_ms);
  for (const auto& warning : line.warnings) text += " warning: " + warning + ';';
  if (!record.error.empty()) text += " error: " + record.error;
  return text;
}

}  // namespace

std::string_view name(LogLevel level) {
  switch (level) {
    case LogLevel::Error: return "error";
    case LogLevel::Warn: return "warn";
    case LogLevel::Info: return "info";
    case LogLevel::Debug: return "debug";
  }
  return "?";
}

Result<LogLevel> parse_log_level(std::string_view text) {
  for (const auto level : {LogLevel::Error, LogLevel::Warn, LogLevel::Info, LogLevel::Debug}) {
    if (name(level) == text) return level;
  }
  return invalid_argument("{} (expected error, warn, info or debug)", printable(text));
}

Result<std::unique_ptr<ServerLog>> ServerLog::open(LogOptions options) {
  std::unique_ptr<ServerLog> log(new ServerLog(std::move(options)));
  TRY(log->reopen_audit());
  return log;
}

ServerLog::~ServerLog() {
  if (audit_fd_ >= 0) ::close(audit_fd_);
}

Status ServerLog::reopen_audit() {
  const std::string& path = options_.audit_file;
  if (path.empty()) return {};
  const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  if (fd < 0) return failed_precondition("{}: {}", path, std::strerror(errno));
  const std::lock_guard lock(mutex_);
  if (audit_fd_ >= 0) ::close(audit_fd_);
  audit_fd_ = fd;
  return {};
}

// One write for one line, so that lines of several processes do not mix.
void ServerLog::write_line(std::string line, bool to_audit) {
  if (options_.redact) line = options_.redact(line);
  line += '\n';
  const std::lock_guard lock(mutex_);
  const int fd = to_audit ? audit_fd_ : options_.fd;
  // Nobody is left to be told if this fails.
  if (fd >= 0) (void)write_all(fd, std::as_bytes(std::span(line)));
}

void ServerLog::write(LogLevel level, std::string_view message) {
  if (level > options_.level) return;
  if (!options_.as_json) {
    write_line(fmt::format("{} {} {}", now_text(), name(level), one_line(message)));
    return;
  }
  JsonValue json = JsonValue::object();
  json.set("time", JsonValue::of(now_text()));
  json.set("level", JsonValue::of(std::string(name(level))));
  json.set("message", JsonValue::of(std::string(message)));
  write_line(to_json_text(json));
}

void ServerLog::request(const RequestLine& line, const CallRecord& record) {
  // The audit line first: who has seen a request in the log finds it in the audit file.
  if (!options_.audit_file.empty()) write_line(audit_text(line, record), true);
  const LogLevel level = line.is_routine ? LogLevel::Debug : LogLevel::Info;
  if (level <= options_.level) {
    if (options_.as_json) {
      JsonValue json = request_json(line, record);
      json.set("level", JsonValue::of(std::string(name(level))));
      if (!record.error.empty()) json.set("error", JsonValue::of(record.error));
      write_line(to_json_text(json));
    } else {
      write(level, request_text(line, record));
    }
  }
}

}  // namespace fourfold
