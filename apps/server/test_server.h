// A server without models and sockets, and the exchange of a client that remembers what it was
// told: for unit tests.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "api/sealed_text.h"
#include "server/caches.h"
#include "server/files.h"
#include "server/http/exchange.h"
#include "server/http/http_server.h"
#include "server/keys.h"
#include "server/metrics.h"
#include "server/models.h"
#include "server/redaction.h"
#include "server/server_log.h"
#include "server/server_state.h"
#include "server/stored_responses.h"

namespace fourfold {

class FakeExchange final : public Exchange {
 public:
  explicit FakeExchange(Request request) : request_(std::move(request)) {}

  const Request& request() const override { return request_; }
  void reply(Reply reply) override {
    EXPECT_FALSE(has_answer());
    answer = std::move(reply);
    n_answers += 1;
  }
  void begin(int status, HeaderList headers) override {
    EXPECT_FALSE(has_answer());
    answer = {.status = status, .headers = std::move(headers), .body = {}};
    n_answers += 1;
  }
  bool write(std::string_view bytes) override {
    answer.body += bytes;
    return true;
  }
  void end() override { has_ended = true; }
  std::stop_token gone() const override { return gone_source.get_token(); }
  void may_probe_with_spaces() override {}

  bool has_answer() const { return n_answers > 0; }
  // The value of a header of the answer; empty if there is none.
  std::string header(std::string_view name) const {
    for (const auto& [key, value] : answer.headers) {
      if (key == name) return value;
    }
    return "";
  }

  Reply answer;
  int n_answers = 0;
  bool has_ended = false;
  std::stop_source gone_source;

 private:
  Request request_;
};

class TestServer {
 public:
  explicit TestServer(ServerSettings settings = {})
      : models_(open_models()),
        files_(open_files()),
        log_(open_log()),
        caches_(*models_),
        responses_(settings),
        http_({}, nullptr, nullptr),
        state{.settings = std::move(settings),
              .models = *models_,
              .keys = keys,
              .files = *files_,
              .caches = caches_,
              .responses = responses_,
              .metrics = metrics,
              .log = *log_,
              .redactor = redactor,
              .sealer = sealer_,
              .http = http_} {}

 private:
  static std::unique_ptr<Models> open_models() {
    std::vector<std::string> notes;
    auto models = Models::find_all({}, notes);
    EXPECT_TRUE(models.ok());
    return std::move(*models);
  }
  static std::unique_ptr<Files> open_files() {
    auto files = Files::open(FilesOptions{});
    EXPECT_TRUE(files.ok());
    return std::move(*files);
  }
  static std::unique_ptr<ServerLog> open_log() {
    auto log = ServerLog::open({.level = LogLevel::Error});
    EXPECT_TRUE(log.ok());
    return std::move(*log);
  }

  std::unique_ptr<Models> models_;
  std::unique_ptr<Files> files_;
  std::unique_ptr<ServerLog> log_;
  Caches caches_;
  StoredResponses responses_;
  HttpServer http_;
  Sealer sealer_{Sealer::Key{}};

 public:
  Keys keys;
  Metrics metrics;
  Redactor redactor;
  ServerState state;
};

}  // namespace fourfold
