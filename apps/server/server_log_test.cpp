#include "server/server_log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <array>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "base/json_value.h"

namespace fourfold {
namespace {

using testing::HasSubstr;
using testing::Not;

// What is written to one end comes out of the other.
class Pipe {
 public:
  Pipe() { EXPECT_EQ(::pipe(ends_.data()), 0); }
  ~Pipe() {
    ::close(ends_[0]);
    ::close(ends_[1]);
  }
  int fd() const { return ends_[1]; }
  std::string read() const {
    std::array<char, 65536> bytes;
    const auto n = ::read(ends_[0], bytes.data(), bytes.size());
    return n > 0 ? std::string(bytes.data(), static_cast<std::size_t>(n)) : "";
  }

 private:
  std::array<int, 2> ends_{};
};

std::unique_ptr<ServerLog> open_log(LogOptions options) {
  auto log = ServerLog::open(std::move(options));
  EXPECT_TRUE(log.ok());
  return std::move(*log);
}

RequestLine line() {
  return {.request_id = "req_1",
          .key_name = "ann",
          .address = "127.0.0.1",
          .dialect = Dialect::OpenAI,
          .method = "POST",
          .route = "openai.chat",
          .total_ms = 12.0,
          .warnings = {"mirostat is ignored"}};
}

CallRecord record() {
  CallRecord record;
  record.model = "keeper";
  record.status = 200;
  record.finish = "stop";
  record.prompt_tokens = 7;
  record.completion_tokens = 9;
  return record;
}

std::string text_of(const std::string& path) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

TEST(ServerLog, WritesALineForARequest) {
  const Pipe pipe;
  open_log({.fd = pipe.fd()})->request(line(), record());

  const std::string text = pipe.read();
  EXPECT_THAT(text,
              HasSubstr(" info req_1 127.0.0.1 openai openai.chat 200 user=ann model=keeper"));
  EXPECT_THAT(text, HasSubstr("prompt=7"));
  EXPECT_THAT(text, HasSubstr("warning: mirostat is ignored"));
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 1);
}

TEST(ServerLog, WritesJsonThatParses) {
  const Pipe pipe;
  const auto log = open_log({.as_json = true, .fd = pipe.fd()});
  log->request(line(), record());
  const auto request = parse_json_value(pipe.read());
  ASSERT_TRUE(request.ok());
  EXPECT_EQ(request->find("route")->text, "openai.chat");
  EXPECT_EQ(request->find("completion_tokens")->text, "9");

  log->warn("a \"quoted\" word");
  const auto message = parse_json_value(pipe.read());
  ASSERT_TRUE(message.ok());
  EXPECT_EQ(message->find("level")->text, "warn");
  EXPECT_EQ(message->find("message")->text, "a \"quoted\" word");
}

TEST(ServerLog, KeepsOneLineOneLine) {
  const Pipe pipe;
  open_log({.fd = pipe.fd()})->warn("a\nforged line\x1b[31m\r");

  const std::string text = pipe.read();
  EXPECT_THAT(text, HasSubstr("a\\x0aforged line\\x1b[31m\\x0d\n"));
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 1);
}

TEST(ServerLog, LeavesOutWhatIsBelowItsLevel) {
  const Pipe pipe;
  const auto log = open_log({.level = LogLevel::Error, .fd = pipe.fd()});
  log->info("quiet");
  log->request(line(), record());
  log->error("loud");

  const std::string text = pipe.read();
  EXPECT_THAT(text, Not(HasSubstr("quiet")));
  EXPECT_THAT(text, Not(HasSubstr("req_1")));
  EXPECT_THAT(text, HasSubstr("loud"));
}

TEST(ServerLog, SaysRoutineOnlyToWhoDebugs) {
  const Pipe pipe;
  RequestLine probe = line();
  probe.is_routine = true;
  open_log({.fd = pipe.fd()})->request(probe, record());
  const auto log = open_log({.level = LogLevel::Debug, .fd = pipe.fd()});
  log->debug("begin");
  log->request(probe, record());

  const std::string text = pipe.read();
  EXPECT_LT(text.find("begin"), text.find("req_1"));
}

TEST(ServerLog, RedactsEveryLine) {
  const Pipe pipe;
  const std::string audit = testing::TempDir() + "redacted_audit.jsonl";
  std::filesystem::remove(audit);
  LogOptions options{.audit_file = audit, .fd = pipe.fd()};
  options.redact = [](std::string_view text) {
    std::string result(text);
    for (auto at = result.find("secret"); at != result.npos; at = result.find("secret")) {
      result.replace(at, 6, "***");
    }
    return result;
  };
  const auto log = open_log(options);
  log->error("the secret is out");
  RequestLine request = line();
  request.key_name = "secret";
  log->request(request, record());

  EXPECT_THAT(pipe.read(), Not(HasSubstr("secret")));
  EXPECT_THAT(text_of(audit), HasSubstr("\"key\":\"***\""));
}

TEST(Audit, HoldsOneLineForARequestAndNoMore) {
  const Pipe pipe;
  const std::string audit = testing::TempDir() + "audit.jsonl";
  std::filesystem::remove(audit);
  const auto log = open_log({.audit_file = audit, .fd = pipe.fd()});
  log->info("not audited");
  log->request(line(), record());

  const std::string text = text_of(audit);
  const auto json = parse_json_value(text);
  ASSERT_TRUE(json.ok());
  EXPECT_EQ(json->find("key")->text, "ann");
  EXPECT_EQ(json->find("address")->text, "127.0.0.1");
  EXPECT_EQ(json->find("finish")->text, "stop");
  EXPECT_EQ(json->find("warnings")->items.size(), 1u);
  EXPECT_EQ(std::filesystem::status(audit).permissions(),
            std::filesystem::perms::owner_read | std::filesystem::perms::owner_write);
}

TEST(Audit, IsCutWhereAClientMakesItLong) {
  const std::string audit = testing::TempDir() + "long_audit.jsonl";
  std::filesystem::remove(audit);
  const Pipe pipe;
  RequestLine request = line();
  request.warnings.assign(100, std::string(100, 'x'));
  open_log({.audit_file = audit, .fd = pipe.fd()})->request(request, record());

  const std::string text = text_of(audit);
  EXPECT_LE(text.size(), 4097u);
  EXPECT_TRUE(parse_json_value(text).ok());
}

TEST(Audit, GoesOnInANewFileAfterTheOldOneWasMoved) {
  const std::string audit = testing::TempDir() + "moved_audit.jsonl";
  const Pipe pipe;
  const auto log = open_log({.audit_file = audit, .fd = pipe.fd()});
  std::filesystem::rename(audit, audit + ".1");
  ASSERT_TRUE(log->reopen_audit().ok());
  log->request(line(), record());

  EXPECT_THAT(text_of(audit), HasSubstr("req_1"));
}

TEST(Audit, InAFolderThatIsNotThereIsAnError) {
  const auto log = ServerLog::open({.audit_file = "/nowhere/at/all/audit.jsonl"});
  ASSERT_FALSE(log.ok());
  EXPECT_THAT(log.error().message, HasSubstr("/nowhere/at/all/audit.jsonl"));
}

TEST(LogLevels, AreKnownByName) {
  EXPECT_EQ(*parse_log_level("debug"), LogLevel::Debug);
  EXPECT_FALSE(parse_log_level("loud").ok());
}

}  // namespace
}  // namespace fourfold
