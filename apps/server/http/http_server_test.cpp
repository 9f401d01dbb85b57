#include "server/http/http_server.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <atomic>
#include <filesystem>
#include <functional>
#include <optional>
#include <thread>
#include <vector>

#include "server/http/test_client.h"

namespace fourfold {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using std::chrono::steady_clock;
using testing::AllOf;
using testing::EndsWith;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

constexpr std::uint64_t kMostBodyBytes = 1 << 20;

milliseconds time_since(steady_clock::time_point start) {
  return std::chrono::duration_cast<milliseconds>(steady_clock::now() - start);
}

bool becomes_true(const std::function<bool()>& condition, milliseconds time = seconds(5)) {
  const auto start = steady_clock::now();
  while (!condition()) {
    if (time_since(start) > time) return false;
    std::this_thread::sleep_for(milliseconds(2));
  }
  return true;
}

// A handler that waits until the test lets it go on or its peer has gone.
struct Gate {
  std::atomic<int> n_entered = 0;
  std::atomic<int> n_told = 0;
  std::atomic<bool> is_open = false;

  void wait(const Exchange& exchange) {
    ++n_entered;
    const auto start = steady_clock::now();
    while (!is_open && !exchange.gone().stop_requested() && time_since(start) < seconds(10)) {
      std::this_thread::sleep_for(milliseconds(1));
    }
    if (exchange.gone().stop_requested()) ++n_told;
  }
};

class HttpServerTest : public testing::Test {
 protected:
  void TearDown() override {
    gate_.is_open = true;
    if (!server_) return;
    server_->drain(milliseconds(0));
    thread_.join();
    server_.reset();
  }

  void start(HttpOptions options = {}) {
    server_.emplace(
        std::move(options), [this](const RequestHead& head) { return judge(head); },
        [this](Exchange& exchange) { handle(exchange); });
    const auto address = server_->listen("127.0.0.1", 0);
    ASSERT_TRUE(address.ok()) << address.error().message;
    port_ = address->port;
    thread_ = std::thread([this] {
      server_->run();
      has_returned_ = true;
    });
  }

  HeadVerdict judge(const RequestHead& head) {
    if (head.target == "/refused") return Reply{.status = 403, .body = "no"};
    return BodyPlan{
        .most_bytes = kMostBodyBytes,
        .to_file = head.target == "/file",
        .too_large =
            [](std::uint64_t most) {
              return Reply{.status = 413, .body = "most " + std::to_string(most)};
            },
        .malformed =
            [](std::string_view what) { return Reply{.status = 400, .body = std::string(what)}; }};
  }

  void handle(Exchange& exchange) {
    const Request& request = exchange.request();
    const std::string& target = request.head.target;
    ++n_handled_;
    if (target == "/file") {
      handle_file(exchange);
    } else if (target == "/stream") {
      exchange.begin(200, {{"Content-Type", "text/event-stream"}});
      for (const auto* piece : {"one", "", "two"}) exchange.write(piece);
      exchange.end();
    } else if (target == "/broken-stream") {
      exchange.begin(200, {});
      exchange.write("half");
    } else if (target == "/gate") {
      gate_.wait(exchange);
      exchange.reply({.body = "{}"});
    } else if (target == "/quick") {
      exchange.may_probe_with_spaces();
      std::this_thread::sleep_for(milliseconds(20));
      exchange.reply({.status = 400});
    } else if (target == "/gate-silent") {
      gate_.wait(exchange);
    } else if (target == "/gate-json") {
      exchange.may_probe_with_spaces();
      gate_.wait(exchange);
      exchange.reply({.body = "{}"});
    } else if (target == "/gate-early") {
      exchange.may_begin_early(200, {{"Content-Type", "text/event-stream"}});
      gate_.wait(exchange);
      if (is_refused_ && !exchange.has_begun_early()) return exchange.reply({.status = 503});
      exchange.begin(200, {{"Content-Type", "text/plain"}});
      exchange.write(is_refused_ ? "error" : "end");
      exchange.end();
    } else if (target == "/gate-stream") {
      exchange.begin(200, {});
      exchange.write("begun");
      gate_.wait(exchange);
      exchange.write(exchange.gone().stop_requested() ? "last words" : "end");
      exchange.end();
    } else if (target == "/flood") {
      exchange.begin(200, {});
      const std::string piece(64 * 1024, 'x');
      while (exchange.write(piece)) n_flooded_ += piece.size();
      ++n_floods_ended_;
    } else if (target == "/ticks") {
      exchange.begin(200, {});
      while (exchange.write("tick") && !exchange.gone().stop_requested()) {
        std::this_thread::sleep_for(milliseconds(10));
      }
      ++n_floods_ended_;
    } else if (target == "/throws") {
      throw std::bad_alloc();
    } else if (target == "/nothing") {
    } else if (target == "/injects") {
      exchange.reply({.headers = {{"X-A", "b\r\nX-Evil: c"}}, .body = "ok"});
    } else if (target == "/no-content") {
      exchange.reply({.status = 204});
    } else {
      exchange.reply({.headers = {{"Content-Type", "text/plain"}},
                      .body = request.head.method + " " + target + " " + request.body});
    }
  }

  void handle_file(Exchange& exchange) {
    const std::string path = exchange.request().body_file;
    struct ::stat facts = {};
    ::stat(path.c_str(), &facts);
    body_file_ = path;
    exchange.reply({.body = std::to_string(facts.st_size) + " " +
                            std::to_string(facts.st_mode & 0777) + " " +
                            std::to_string(exchange.request().body.size())});
  }

  TestClient client() const { return TestClient(port_); }

  std::string ask(const std::string& text) {
    auto one = client();
    one.send(text);
    return one.read_reply();
  }

  std::string post(const std::string& target, const std::string& body,
                   const std::string& headers = "") {
    return ask("POST " + target + " HTTP/1.1\r\nHost: a\r\n" + headers +
               "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body);
  }

  std::optional<HttpServer> server_;
  std::thread thread_;
  std::atomic<bool> has_returned_ = false;
  int port_ = 0;
  Gate gate_;
  std::atomic<bool> is_refused_ = false;
  std::atomic<int> n_handled_ = 0;
  std::atomic<int> n_floods_ended_ = 0;
  std::atomic<std::size_t> n_flooded_ = 0;
  std::string body_file_;
};

// ---- replies ----

TEST_F(HttpServerTest, RepliesWithLengthDateAndServer) {
  start();
  const auto reply = ask("GET /a?b=c HTTP/1.1\r\nHost: a\r\n\r\n");
  EXPECT_THAT(reply, StartsWith("HTTP/1.1 200 OK\r\n"));
  EXPECT_THAT(reply, HasSubstr("Server: fourfold\r\n"));
  EXPECT_THAT(reply,
              testing::ContainsRegex("Date: [A-Z][a-z]{2}, [0-9]{2} [A-Z][a-z]{2} 20[0-9]{2} "
                                     "[0-9:]{8} GMT\r\n"));
  EXPECT_THAT(reply, EndsWith("Content-Length: 11\r\n\r\nGET /a?b=c "));
}

TEST_F(HttpServerTest, StreamsInChunksAndSkipsEmptyPieces) {
  start();
  const auto reply = ask("GET /stream HTTP/1.1\r\nHost: a\r\n\r\n");
  EXPECT_THAT(reply, HasSubstr("Content-Type: text/event-stream\r\n"));
  EXPECT_THAT(reply,
              EndsWith("Transfer-Encoding: chunked\r\n\r\n3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n"));
}

TEST_F(HttpServerTest, StreamsToHttp10UntilTheConnectionEnds) {
  start();
  auto one = client();
  one.send("GET /stream HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
  bool is_closed = false;
  const auto reply = one.read_to_end(is_closed);
  EXPECT_TRUE(is_closed);
  EXPECT_THAT(reply, Not(HasSubstr("chunked")));
  EXPECT_THAT(reply, AllOf(HasSubstr("Connection: close"), EndsWith("\r\n\r\nonetwo")));
}

TEST_F(HttpServerTest, KeepsAnHttp10ConnectionThatAsksForIt) {
  start();
  auto one = client();
  one.send("GET /a HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
  EXPECT_THAT(one.read_reply(), HasSubstr("Connection: keep-alive\r\n"));
  one.send("GET /b HTTP/1.0\r\n\r\n");
  EXPECT_THAT(one.read_reply(), AllOf(HasSubstr("Connection: close\r\n"), EndsWith("GET /b ")));
}

TEST_F(HttpServerTest, AnswersHeadWithoutBody) {
  start();
  auto one = client();
  one.send(
      "HEAD /abc HTTP/1.1\r\nHost: a\r\n\r\nHEAD /stream HTTP/1.1\r\nHost: a\r\n\r\n"
      "GET /next HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
  bool is_closed = false;
  const auto replies = one.read_to_end(is_closed);
  EXPECT_TRUE(is_closed);
  EXPECT_THAT(replies, HasSubstr("Content-Length: 10\r\n\r\nHTTP/1.1 200 OK"));
  EXPECT_THAT(replies, HasSubstr("Transfer-Encoding: chunked\r\n\r\nHTTP/1.1 200 OK"));
  EXPECT_THAT(replies, EndsWith("GET /next "));
}

TEST_F(HttpServerTest, SendsNoLengthWithNoContent) {
  start();
  auto one = client();
  one.send("GET /no-content HTTP/1.1\r\nHost: a\r\n\r\nGET /b HTTP/1.1\r\nHost: a\r\n\r\n");
  EXPECT_THAT(one.read_reply(), AllOf(StartsWith("HTTP/1.1 204 "), Not(HasSubstr("Length"))));
  EXPECT_THAT(one.read_reply(), EndsWith("GET /b "));
}

TEST_F(HttpServerTest, WritesNoHeaderThatAValueSmugglesIn) {
  start();
  EXPECT_THAT(ask("GET /injects HTTP/1.1\r\nHost: a\r\n\r\n"), HasSubstr("X-A: b  X-Evil: c\r\n"));
}

TEST_F(HttpServerTest, EndsAnUnfinishedStreamWithoutItsTerminator) {
  start();
  auto one = client();
  one.send("GET /broken-stream HTTP/1.1\r\nHost: a\r\n\r\n");
  bool is_closed = false;
  EXPECT_THAT(one.read_to_end(is_closed), EndsWith("4\r\nhalf\r\n"));
  EXPECT_TRUE(is_closed);
}

class UnansweredRequest : public HttpServerTest, public testing::WithParamInterface<const char*> {};

TEST_P(UnansweredRequest, IsAnInternalErrorAndTheServerGoesOn) {
  start();
  EXPECT_THAT(ask(std::string("GET ") + GetParam() + " HTTP/1.1\r\nHost: a\r\n\r\n"),
              AllOf(StartsWith("HTTP/1.1 500 "), HasSubstr("{\"error\":{")));
  EXPECT_THAT(ask("GET /b HTTP/1.1\r\nHost: a\r\n\r\n"), EndsWith("GET /b "));
}

INSTANTIATE_TEST_SUITE_P(Handlers, UnansweredRequest, testing::Values("/throws", "/nothing"));

// ---- requests ----

TEST_F(HttpServerTest, ReadsARequestByteByByte) {
  start();
  auto one = client();
  const std::string text =
      "POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
      "3;x=y\r\nabc\r\n2\r\nde\r\n0\r\nTrailer: t\r\n\r\n";
  for (const char c : text) {
    one.send(std::string(1, c));
    std::this_thread::sleep_for(milliseconds(1));
  }
  EXPECT_THAT(one.read_reply(), EndsWith("POST /a abcde"));
}

TEST_F(HttpServerTest, AnswersPipelinedRequestsInOrder) {
  start();
  auto one = client();
  std::string text;
  for (int i = 0; i < 50; ++i) {
    text += "POST /" + std::to_string(i) + " HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nxy";
  }
  one.send(text);
  for (int i = 0; i < 50; ++i) {
    EXPECT_THAT(one.read_reply(), EndsWith("POST /" + std::to_string(i) + " xy"));
  }
}

TEST_F(HttpServerTest, KeepsARequestThatComesWhileAnotherIsAnswered) {
  start();
  auto one = client();
  one.send("GET /gate HTTP/1.1\r\nHost: a\r\n\r\n");
  ASSERT_TRUE(becomes_true([&] { return gate_.n_entered == 1; }));
  one.send("GET /b HTTP/1.1\r\nHost: a\r\n\r\n");
  std::this_thread::sleep_for(milliseconds(50));
  EXPECT_EQ(gate_.n_told, 0);
  gate_.is_open = true;
  EXPECT_THAT(one.read_reply(), EndsWith("{}"));
  EXPECT_THAT(one.read_reply(), EndsWith("GET /b "));
}

struct BrokenHead {
  const char* text;
  const char* status;
};

class BrokenHeads : public HttpServerTest, public testing::WithParamInterface<BrokenHead> {};

TEST_P(BrokenHeads, AreAnsweredAndTheConnectionEnds) {
  start();
  auto one = client();
  one.send(GetParam().text);
  bool is_closed = false;
  const auto reply = one.read_to_end(is_closed);
  EXPECT_THAT(reply, StartsWith(std::string("HTTP/1.1 ") + GetParam().status)) << GetParam().text;
  EXPECT_THAT(reply, AllOf(HasSubstr("Connection: close"), HasSubstr("{\"error\":{\"message\":")));
  EXPECT_EQ(n_handled_, 0);
}

INSTANTIATE_TEST_SUITE_P(
    Forms, BrokenHeads,
    testing::Values(
        BrokenHead{"\x16\x03\x01\x02\r\n\r\n", "400"}, BrokenHead{"GET /\r\n\r\n", "400"},
        BrokenHead{"GET / HTTP/2.0\r\n\r\n", "400"},
        BrokenHead{"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", "400"},
        BrokenHead{"GET / HTTP/1.1\r\nOrigin: a\r\nOrigin: b\r\n\r\n", "400"},
        BrokenHead{"GET / HTTP/1.1\r\nHost : a\r\n\r\n", "400"},
        BrokenHead{"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n", "400"},
        BrokenHead{"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n", "400"},
        BrokenHead{"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
                   "400"},
        BrokenHead{"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n"
                   "Transfer-Encoding: chunked\r\n\r\n",
                   "400"},
        BrokenHead{"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n", "501"},
        BrokenHead{"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", "501"},
        BrokenHead{"POST / HTTP/1.1\r\nHost: a\r\nExpect: miracles\r\n\r\n", "417"}));

TEST_F(HttpServerTest, RefusesABrokenChunk) {
  start();
  EXPECT_THAT(ask("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"),
              StartsWith("HTTP/1.1 400 "));
  EXPECT_EQ(n_handled_, 0);
}

TEST_F(HttpServerTest, AsksItsOwnerForTheFormOfAnEarlyError) {
  start({.broken_request = [](int status, std::string_view target, std::string_view what) {
    return Reply{.status = status, .body = std::string(target) + ": " + std::string(what)};
  }});
  EXPECT_THAT(ask("GET /v1/x HTTP/1.1\r\nHost: a\r\nExpect: b\r\n\r\n"),
              EndsWith("/v1/x: Expect: only \"100-continue\" is supported"));
}

TEST_F(HttpServerTest, TakesTheHostOfAnAbsoluteTarget) {
  start();
  EXPECT_THAT(ask("GET http://b:1/c?d HTTP/1.1\r\nHost: a\r\n\r\n"), EndsWith("GET /c?d "));
}

TEST_F(HttpServerTest, SkipsLineEndsBetweenRequests) {
  start();
  auto one = client();
  one.send(
      "POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nxy\r\n"
      "GET /b HTTP/1.1\r\nHost: a\r\n\r\n");
  EXPECT_THAT(one.read_reply(), EndsWith("POST /a xy"));
  EXPECT_THAT(one.read_reply(), EndsWith("GET /b "));
}

TEST_F(HttpServerTest, RefusesByTheHeadWithoutReadingTheBody) {
  start();
  auto one = client();
  one.send("POST /refused HTTP/1.1\r\nHost: a\r\nContent-Length: 500000\r\n\r\n");
  EXPECT_THAT(one.read_reply(),
              AllOf(StartsWith("HTTP/1.1 403 "), HasSubstr("Connection: close"), EndsWith("no")));
  EXPECT_EQ(n_handled_, 0);
}

TEST_F(HttpServerTest, KeepsTheConnectionAfterARefusedShortBody) {
  start();
  auto one = client();
  one.send("POST /refused HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n");
  EXPECT_THAT(one.read_reply(), StartsWith("HTTP/1.1 403 "));
  one.send("abcGET /b HTTP/1.1\r\nHost: a\r\n\r\n");
  EXPECT_THAT(one.read_reply(), EndsWith("GET /b "));
}

TEST_F(HttpServerTest, SaysContinueOnlyToWhomItLetsIn) {
  start();
  auto let_in = client();
  let_in.send("POST /a HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n");
  EXPECT_EQ(let_in.read_reply(), "HTTP/1.1 100 Continue\r\n\r\n");
  let_in.send("xy");
  EXPECT_THAT(let_in.read_reply(), EndsWith("POST /a xy"));

  auto old = client();
  old.send("POST /a HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\nxy");
  EXPECT_THAT(old.read_reply(), EndsWith("POST /a xy"));

  auto refused = client();
  refused.send(
      "POST /refused HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n");
  EXPECT_THAT(refused.read_reply(), StartsWith("HTTP/1.1 403 "));

  auto too_large = client();
  too_large.send(
      "POST /a HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2000000\r\n\r\n");
  EXPECT_THAT(too_large.read_reply(), StartsWith("HTTP/1.1 413 "));
}

// ---- bodies ----

TEST_F(HttpServerTest, TakesABodyOfExactlyTheLimit) {
  start();
  const auto reply = post("/a", std::string(kMostBodyBytes, 'x'));
  EXPECT_THAT(reply, HasSubstr("Content-Length: " + std::to_string(kMostBodyBytes + 8) + "\r\n"));
}

TEST_F(HttpServerTest, RefusesALongerBodyByItsLength) {
  start();
  EXPECT_THAT(post("/a", std::string(kMostBodyBytes + 1, 'x')),
              AllOf(StartsWith("HTTP/1.1 413 "), EndsWith("most 1048576")));
  EXPECT_EQ(n_handled_, 0);
}

TEST_F(HttpServerTest, RefusesALongerBodyInChunks) {
  start();
  auto one = client();
  one.send("POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
  const std::string chunk = "10000\r\n" + std::string(0x10000, 'x') + "\r\n";
  for (int i = 0; i < 20; ++i) one.send(chunk);
  EXPECT_THAT(one.read_reply(), AllOf(StartsWith("HTTP/1.1 413 "), EndsWith("most 1048576")));
  EXPECT_EQ(n_handled_, 0);
}

TEST_F(HttpServerTest, NamesACodingThatItDoesNotKnow) {
  start();
  EXPECT_THAT(post("/a", "x", "Content-Encoding: br\r\n"),
              AllOf(StartsWith("HTTP/1.1 400 "),
                    EndsWith("Content-Encoding: \"br\" is not supported (gzip, zstd)")));
}

TEST_F(HttpServerTest, PutsABodyIntoAPrivateFileAndRemovesIt) {
  const auto folder = std::filesystem::path(testing::TempDir()) / "fourfold-http-test";
  std::filesystem::create_directories(folder);
  start({.temporary_folder = folder.string()});
  EXPECT_THAT(post("/file", std::string(300'000, 'x')), EndsWith("300000 384 0"));
  EXPECT_THAT(body_file_, StartsWith(folder.string()));
  EXPECT_TRUE(becomes_true([&] { return !std::filesystem::exists(body_file_); }));
  EXPECT_THAT(post("/file", std::string(kMostBodyBytes + 1, 'x')), StartsWith("HTTP/1.1 413 "));
  EXPECT_TRUE(becomes_true([&] { return std::filesystem::is_empty(folder); }));
}

TEST_F(HttpServerTest, HoldsOnlySoManyBytesOfBodiesInMemory) {
  start({.most_body_bytes_in_all = 150'000});
  auto one = client();
  one.send("POST /gate HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n" +
           std::string(100'000, 'x'));
  ASSERT_TRUE(becomes_true([&] { return gate_.n_entered == 1; }));
  EXPECT_THAT(post("/a", std::string(100'000, 'x')), StartsWith("HTTP/1.1 503 "));
  EXPECT_THAT(post("/a", "small"), EndsWith("POST /a small"));
  gate_.is_open = true;
  EXPECT_THAT(one.read_reply(), EndsWith("{}"));
  EXPECT_TRUE(becomes_true(
      [&] { return post("/a", std::string(100'000, 'x')).starts_with("HTTP/1.1 200 "); }));
}

TEST_F(HttpServerTest, SaysThatABodyCannotBeStored) {
  start({.temporary_folder = "/no/such/folder"});
  EXPECT_THAT(post("/file", "x"), StartsWith("HTTP/1.1 500 "));
  EXPECT_EQ(n_handled_, 0);
}

// ---- limits ----

TEST_F(HttpServerTest, EndsASlowHeadHoweverItTrickles) {
  start({.header_time = milliseconds(300)});
  auto one = client();
  one.send("GET / HTTP/1.1\r\nHost: a\r\n");
  const auto start_time = steady_clock::now();
  std::thread trickle([&] {
    for (int i = 0; i < 20 && one.send("X: y\r\n"); ++i) {
      std::this_thread::sleep_for(milliseconds(50));
    }
  });
  EXPECT_THAT(one.read_reply(), StartsWith("HTTP/1.1 408 "));
  EXPECT_LT(time_since(start_time), milliseconds(700));
  trickle.join();
  EXPECT_EQ(server_->counts().timed_out_heads, 1u);
}

TEST_F(HttpServerTest, EndsAConnectionThatNeverAsks) {
  start({.header_time = milliseconds(100)});
  auto one = client();
  bool is_closed = false;
  EXPECT_EQ(one.read_to_end(is_closed), "");
  EXPECT_TRUE(is_closed);
}

TEST_F(HttpServerTest, EndsAnIdleConnection) {
  start({.idle_time = milliseconds(100)});
  auto one = client();
  one.send("GET /a HTTP/1.1\r\nHost: a\r\n\r\n");
  EXPECT_THAT(one.read_reply(), EndsWith("GET /a "));
  bool is_closed = false;
  EXPECT_EQ(one.read_to_end(is_closed), "");
  EXPECT_TRUE(is_closed);
}

TEST_F(HttpServerTest, EndsABodyThatPauses) {
  start({.body_pause = milliseconds(150)});
  auto one = client();
  one.send("POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n");
  for (int i = 0; i < 4; ++i) {  // slow, but not too slow
    one.send("x");
    std::this_thread::sleep_for(milliseconds(80));
  }
  EXPECT_THAT(one.read_reply(), StartsWith("HTTP/1.1 408 "));
  EXPECT_EQ(n_handled_, 0);
}

TEST_F(HttpServerTest, RefusesALargeHead) {
  start({.most_header_bytes = 2000});
  EXPECT_THAT(ask("GET / HTTP/1.1\r\nHost: a\r\nX: " + std::string(1000, 'x') + "\r\n\r\n"),
              StartsWith("HTTP/1.1 200 "));
  EXPECT_THAT(ask("GET / HTTP/1.1\r\nHost: a\r\nX: " + std::string(3000, 'x') + "\r\n\r\n"),
              StartsWith("HTTP/1.1 431 "));
  EXPECT_THAT(ask("GET /" + std::string(3000, 'x') + " HTTP/1.1\r\nHost: a\r\n\r\n"),
              StartsWith("HTTP/1.1 431 "));
}

TEST_F(HttpServerTest, RefusesConnectionsBeyondTheLimit) {
  start({.most_connections = 2});
  auto one = client();
  auto two = client();
  ASSERT_TRUE(becomes_true([&] { return server_->counts().connections == 2; }));
  auto three = client();
  bool is_closed = false;
  EXPECT_THAT(three.read_to_end(is_closed), StartsWith("HTTP/1.1 503 "));
  EXPECT_TRUE(is_closed);
  EXPECT_EQ(server_->counts().refused_connections, 1u);
  one.close();
  ASSERT_TRUE(becomes_true([&] { return server_->counts().connections == 1; }));
  EXPECT_THAT(ask("GET /a HTTP/1.1\r\nHost: a\r\n\r\n"), EndsWith("GET /a "));
}

TEST_F(HttpServerTest, LetsRequestsWaitForAThread) {
  start({.most_handlers = 2});
  std::vector<TestClient> clients;
  for (int i = 0; i < 4; ++i) {
    clients.push_back(client());
    clients.back().send("GET /gate HTTP/1.1\r\nHost: a\r\n\r\n");
  }
  ASSERT_TRUE(becomes_true([&] { return gate_.n_entered == 2; }));
  std::this_thread::sleep_for(milliseconds(50));
  EXPECT_EQ(gate_.n_entered, 2);
  EXPECT_EQ(server_->counts().handlers, 2u);
  gate_.is_open = true;
  for (auto& one : clients) EXPECT_THAT(one.read_reply(), EndsWith("{}"));
}

TEST_F(HttpServerTest, ServesOthersBesideManyBusyHandlers) {
  start();
  std::vector<TestClient> clients;
  for (int i = 0; i < 64; ++i) {
    clients.push_back(client());
    clients.back().send("GET /gate-stream HTTP/1.1\r\nHost: a\r\n\r\n");
  }
  ASSERT_TRUE(becomes_true([&] { return gate_.n_entered == 64; }));
  EXPECT_THAT(ask("GET /a HTTP/1.1\r\nHost: a\r\n\r\n"), EndsWith("GET /a "));
  gate_.is_open = true;
  for (auto& one : clients) EXPECT_THAT(one.read_reply(), EndsWith("3\r\nend\r\n0\r\n\r\n"));
}

// ---- who has gone ----

TEST_F(HttpServerTest, DropsAReaderThatStops) {
  start({.write_time = milliseconds(300)});
  TestClient one(port_, 4096);
  one.send("GET /flood HTTP/1.1\r\nHost: a\r\n\r\n");
  const auto start_time = steady_clock::now();
  EXPECT_TRUE(becomes_true([&] { return n_floods_ended_ == 1; }, seconds(5)));
  EXPECT_LT(time_since(start_time), seconds(3));
  // The handler could not run ahead of its reader.
  EXPECT_LT(n_flooded_, 64u << 20);
}

struct Leaving {
  const char* target;
  bool by_reset;
};

class Vanishing : public HttpServerTest, public testing::WithParamInterface<Leaving> {
 protected:
  static void leave(TestClient& client) {
    if (GetParam().by_reset) {
      client.reset();
    } else {
      client.close();
    }
  }
};

TEST_P(Vanishing, IsToldToTheHandler) {
  start();
  auto one = client();
  one.send(std::string("GET ") + GetParam().target + " HTTP/1.1\r\nHost: a\r\n\r\n");
  ASSERT_TRUE(becomes_true([&] { return gate_.n_entered == 1; }));
  std::this_thread::sleep_for(milliseconds(20));
  const auto start_time = steady_clock::now();
  leave(one);
  EXPECT_TRUE(becomes_true([&] { return gate_.n_told == 1; }, seconds(5)));
  EXPECT_LT(time_since(start_time), milliseconds(500));
  EXPECT_TRUE(becomes_true([&] { return server_->counts().connections == 0; }));
}

// A plain close is told apart from a half-close only by writing: for JSON by spaces. "/gate-stream"
// has told its peer something that was never read, so that its close is a reset.
INSTANTIATE_TEST_SUITE_P(Phases, Vanishing,
                         testing::Values(Leaving{"/gate", true}, Leaving{"/gate-json", true},
                                         Leaving{"/gate-early", true},
                                         Leaving{"/gate-early", false},
                                         Leaving{"/gate-json", false},
                                         Leaving{"/gate-stream", true},
                                         Leaving{"/gate-stream", false}));

TEST_F(HttpServerTest, NoticesAtTheNextPieceThatAStreamsReaderHasClosed) {
  start();
  auto one = client();
  one.send("GET /ticks HTTP/1.1\r\nHost: a\r\n\r\n");
  ASSERT_TRUE(one.read_until("tick"));
  one.close();
  EXPECT_TRUE(becomes_true([&] { return n_floods_ended_ == 1; }, seconds(1)));
}

TEST_F(HttpServerTest, NoticesAResetWhileTheRequestWaitsForAThread) {
  start({.most_handlers = 1});
  auto one = client();
  one.send("GET /gate HTTP/1.1\r\nHost: a\r\n\r\n");
  ASSERT_TRUE(becomes_true([&] { return gate_.n_entered == 1; }));
  auto two = client();
  two.send("GET /gate HTTP/1.1\r\nHost: a\r\n\r\n");
  std::this_thread::sleep_for(milliseconds(50));
  two.reset();
  std::this_thread::sleep_for(milliseconds(50));
  one.reset();
  EXPECT_TRUE(becomes_true([&] { return gate_.n_told == 2; }, seconds(1)));
}

TEST_F(HttpServerTest, ForgetsARequestWhoseBodyNeverEnds) {
  start();
  auto one = client();
  one.send("POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc");
  ASSERT_TRUE(becomes_true([&] { return server_->counts().connections == 1; }));
  one.close();
  EXPECT_TRUE(becomes_true([&] { return server_->counts().connections == 0; }));
  EXPECT_EQ(n_handled_, 0);
}

class HalfClosing : public HttpServerTest, public testing::WithParamInterface<const char*> {};

TEST_P(HalfClosing, ClientsGetTheirAnswer) {
  start();
  auto one = client();
  one.send(std::string("GET ") + GetParam() + " HTTP/1.1\r\nHost: a\r\n\r\n");
  one.end_sending();
  ASSERT_TRUE(becomes_true([&] { return gate_.n_entered == 1; }));
  std::this_thread::sleep_for(milliseconds(100));
  EXPECT_EQ(gate_.n_told, 0);
  gate_.is_open = true;
  bool is_closed = false;
  const auto reply = one.read_to_end(is_closed);
  EXPECT_TRUE(is_closed);
  EXPECT_THAT(reply, StartsWith("HTTP/1.1 200 OK\r\n"));
  EXPECT_THAT(reply, testing::AnyOf(HasSubstr("{}"), HasSubstr("end")));
}

INSTANTIATE_TEST_SUITE_P(Forms, HalfClosing,
                         testing::Values("/gate", "/gate-json", "/gate-stream", "/gate-early"));

TEST_F(HttpServerTest, SendsSpacesToAHalfClosedClientThatWaitsForJson) {
  start();
  auto one = client();
  one.send("GET /gate-json HTTP/1.1\r\nHost: a\r\n\r\n");
  one.end_sending();
  ASSERT_TRUE(one.read_until("chunked\r\n\r\n1\r\n \r\n", milliseconds(500)));
  ASSERT_TRUE(one.read_until("1\r\n \r\n1\r\n \r\n", milliseconds(1500)));
  gate_.is_open = true;
  EXPECT_THAT(one.read_reply(), AllOf(HasSubstr("Content-Type: application/json; charset=utf-8"),
                                      EndsWith("1\r\n \r\n2\r\n{}\r\n0\r\n\r\n")));
}

TEST_F(HttpServerTest, KeepsTheStatusOfAReplyThatComesAtOnce) {
  start({.probe_delay = seconds(5)});
  auto one = client();
  one.send("GET /quick HTTP/1.1\r\nHost: a\r\n\r\n");
  one.end_sending();
  EXPECT_THAT(one.read_reply(), StartsWith("HTTP/1.1 400 "));
}

TEST_F(HttpServerTest, BeginsAStreamEarlyForAHalfClosedClientOnly) {
  start();
  auto half_closed = client();
  half_closed.send("GET /gate-early HTTP/1.1\r\nHost: a\r\n\r\n");
  half_closed.end_sending();
  EXPECT_TRUE(half_closed.read_until("text/event-stream\r\n", milliseconds(500)));
  auto listening = client();
  listening.send("GET /gate-early HTTP/1.1\r\nHost: a\r\n\r\n");
  EXPECT_FALSE(listening.read_until("HTTP", milliseconds(100)));
  gate_.is_open = true;
  EXPECT_THAT(half_closed.read_reply(), EndsWith("chunked\r\n\r\n3\r\nend\r\n0\r\n\r\n"));
  EXPECT_THAT(listening.read_reply(), AllOf(HasSubstr("text/plain"), EndsWith("0\r\n\r\n")));
}

TEST_F(HttpServerTest, TellsAnErrorWithinAStreamThatHasBegunEarly) {
  is_refused_ = true;
  start();
  auto half_closed = client();
  half_closed.send("GET /gate-early HTTP/1.1\r\nHost: a\r\n\r\n");
  half_closed.end_sending();
  auto listening = client();
  listening.send("GET /gate-early HTTP/1.1\r\nHost: a\r\n\r\n");
  EXPECT_TRUE(half_closed.read_until("chunked\r\n\r\n"));
  ASSERT_TRUE(becomes_true([&] { return gate_.n_entered == 2; }));
  gate_.is_open = true;
  EXPECT_THAT(half_closed.read_reply(), EndsWith("5\r\nerror\r\n0\r\n\r\n"));
  EXPECT_THAT(listening.read_reply(), StartsWith("HTTP/1.1 503 "));
}

TEST_F(HttpServerTest, SendsNoSpacesWhileTheClientStillListensAndSpeaks) {
  start();
  auto one = client();
  one.send("GET /gate-json HTTP/1.1\r\nHost: a\r\n\r\n");
  EXPECT_FALSE(one.read_until(" ", milliseconds(1200)));
  gate_.is_open = true;
  EXPECT_THAT(one.read_reply(), EndsWith("Content-Length: 2\r\n\r\n{}"));
}

TEST_F(HttpServerTest, ProbesAlsoBehindAPipelinedRequest) {
  start();
  auto one = client();
  one.send("GET /gate-json HTTP/1.1\r\nHost: a\r\n\r\n");
  ASSERT_TRUE(becomes_true([&] { return gate_.n_entered == 1; }));
  one.send("GET /b HTTP/1.1\r\nHost: a\r\n\r\n");
  std::this_thread::sleep_for(milliseconds(20));
  one.close();
  EXPECT_TRUE(becomes_true([&] { return gate_.n_told == 1; }, milliseconds(2500)));
}

// ---- the server's end ----

TEST_F(HttpServerTest, DrainsWhenItsWorkIsDone) {
  start();
  auto idle = client();
  auto asked = client();
  asked.send("GET /a HTTP/1.1\r\nHost: a\r\n\r\n");
  EXPECT_THAT(asked.read_reply(), EndsWith("GET /a "));
  auto working = client();
  working.send("GET /gate HTTP/1.1\r\nHost: a\r\n\r\n");
  ASSERT_TRUE(becomes_true([&] { return gate_.n_entered == 1; }));
  server_->drain(seconds(5));
  EXPECT_TRUE(server_->is_draining());

  bool is_closed = false;
  EXPECT_EQ(idle.read_to_end(is_closed), "");
  EXPECT_TRUE(is_closed);
  EXPECT_EQ(asked.read_to_end(is_closed), "");
  EXPECT_TRUE(is_closed);
  EXPECT_FALSE(client().is_connected());
  EXPECT_FALSE(has_returned_);

  gate_.is_open = true;
  EXPECT_THAT(working.read_to_end(is_closed),
              AllOf(HasSubstr("Connection: close"), EndsWith("{}")));
  working.close();
  EXPECT_TRUE(becomes_true([&] { return has_returned_.load(); }));
  EXPECT_EQ(gate_.n_told, 0);
}

TEST_F(HttpServerTest, LetsStreamsSayLastWordsAfterTheGrace) {
  start();
  auto working = client();
  working.send("GET /gate-stream HTTP/1.1\r\nHost: a\r\n\r\n");
  ASSERT_TRUE(working.read_until("begun"));
  server_->drain(milliseconds(100));
  bool is_closed = false;
  EXPECT_THAT(working.read_to_end(is_closed), EndsWith("last words\r\n0\r\n\r\n"));
  EXPECT_TRUE(is_closed);
  working.close();
  EXPECT_TRUE(becomes_true([&] { return has_returned_.load(); }, seconds(1)));
}

TEST_F(HttpServerTest, SaysThatItEndsWhereAHandlerSaysNothing) {
  start();
  auto working = client();
  working.send("GET /gate-silent HTTP/1.1\r\nHost: a\r\n\r\n");
  ASSERT_TRUE(becomes_true([&] { return gate_.n_entered == 1; }));
  server_->drain(milliseconds(50));
  EXPECT_THAT(working.read_reply(), StartsWith("HTTP/1.1 503 "));
}

TEST_F(HttpServerTest, CutsWhoeverIsNotDoneAfterTheLastWords) {
  start({.last_words = milliseconds(100)});
  TestClient reader_that_stops(port_, 4096);
  reader_that_stops.send("GET /flood HTTP/1.1\r\nHost: a\r\n\r\n");
  ASSERT_TRUE(becomes_true([&] { return n_flooded_ > 0; }));
  server_->drain(milliseconds(50));
  EXPECT_TRUE(becomes_true([&] { return has_returned_.load(); }, seconds(1)));
}

TEST_F(HttpServerTest, EndsAtOnceWhenToldTwice) {
  start();
  auto working = client();
  working.send("GET /gate HTTP/1.1\r\nHost: a\r\n\r\n");
  ASSERT_TRUE(becomes_true([&] { return gate_.n_entered == 1; }));
  server_->drain(seconds(30));
  server_->drain(seconds(30));
  EXPECT_TRUE(becomes_true([&] { return has_returned_.load(); }, seconds(1)));
  EXPECT_TRUE(becomes_true([&] { return gate_.n_told == 1; }, seconds(1)));
}

TEST_F(HttpServerTest, NamesAPortInUse) {
  start();
  HttpServer second({}, nullptr, nullptr);
  const auto address = second.listen("127.0.0.1", port_);
  ASSERT_FALSE(address.ok());
  EXPECT_EQ(address.error().code, Code::AlreadyExists);
  EXPECT_EQ(address.error().message, "port " + std::to_string(port_) + " of 127.0.0.1 is in use");
}

TEST(HttpServer, RefusesAHostThatIsNotOfThisMachine) {
  HttpServer server({}, nullptr, nullptr);
  for (const auto* host : {"192.0.2.1", "no such host", ""}) {
    const auto address = server.listen(host, 0);
    ASSERT_FALSE(address.ok()) << host;
    EXPECT_EQ(address.error().code, Code::InvalidArgument);
  }
  EXPECT_FALSE(server.listen("127.0.0.1", 70000).ok());
}

TEST(HttpServer, ListensOnIpv6InBrackets) {
  HttpServer server({}, nullptr, nullptr);
  const auto address = server.listen("[::1]", 0);
  if (!address.ok()) GTEST_SKIP() << address.error().message;
  EXPECT_EQ(address->host, "::1");
}

}  // namespace
}  // namespace fourfold
