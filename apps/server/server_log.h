// What the server says of itself: one line for each request and event on standard error, as text or
// JSON, and an audit file of requests. Never what a request or an answer says.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "server/call.h"

namespace fourfold {

enum class LogLevel { Error, Warn, Info, Debug };
std::string_view name(LogLevel level);
// "error", "warn", "info", "debug".
Result<LogLevel> parse_log_level(std::string_view text);

// A request that has ended.
struct RequestLine {
  std::string request_id, key_name, address;
  Dialect dialect = Dialect::OpenAI;
  std::string method, route;
  double total_ms = 0.0;
  std::vector<std::string> warnings;
  bool is_routine = false;  // a probe that comes every few seconds: told at Debug
};

struct LogOptions {
  LogLevel level = LogLevel::Info;
  bool as_json = false;
  std::string audit_file;  // empty: none
  // Takes secrets out of every line.
  std::function<std::string(std::string_view line)> redact;
  int fd = 2;
};

class ServerLog {
 public:
  static Result<std::unique_ptr<ServerLog>> open(LogOptions options);
  ~ServerLog();

  void error(std::string_view message) { write(LogLevel::Error, message); }
  void warn(std::string_view message) { write(LogLevel::Warn, message); }
  void info(std::string_view message) { write(LogLevel::Info, message); }
  void debug(std::string_view message) { write(LogLevel::Debug, message); }
  void write(LogLevel level, std::string_view message);
  // The line of a request, at Info or Debug, and its audit line.
  void request(const RequestLine& line, const CallRecord& record);

  // The audit file under its name again, after it was moved away.
  Status reopen_audit();

 private:
  explicit ServerLog(LogOptions options) : options_(std::move(options)) {}
  void write_line(std::string line, bool to_audit = false);

  LogOptions options_;
  std::mutex mutex_;
  int audit_fd_ = -1;
};

}  // namespace fourfold
