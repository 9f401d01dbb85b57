// HTTP/1.1 on Asio and Beast: listens, limits, times out, streams, notices who has gone.
//
//   HttpServer server(options, judge_head, handle);
//   const auto address = TRY(server.listen("127.0.0.1", 0));
//   server.run();    // until the end of a drain()
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"
#include "server/http/exchange.h"

namespace fourfold {

struct HttpOptions {
  std::chrono::milliseconds header_time{10'000};  // for all of a head
  std::chrono::milliseconds body_pause{30'000};   // longest wait for the next bytes of a body
  std::chrono::milliseconds write_time{30'000};   // for a piece that the peer does not read
  std::chrono::milliseconds idle_time{300'000};   // between requests of a connection
  // What is answered within this time is not probed for its reader, and keeps its status.
  std::chrono::milliseconds probe_delay{100};
  std::uint32_t most_header_bytes = 64 * 1024;
  int most_connections = 10'000;
  int most_handlers = 256;  // requests being handled; more wait for a thread
  // Of all bodies in memory at once, from their arrival to the end of their handlers; what comes
  // beyond is answered by 503.
  std::uint64_t most_body_bytes_in_all = 2ull << 30;
  std::string temporary_folder;  // for bodies that go into files
  // Told to stop by a drain, exchanges have this time for their last words.
  std::chrono::milliseconds last_words{2'000};
  // The reply to what never becomes a request (400, 408, 417, 431, 501) or fails on the way (500,
  // 503). `target` is empty if it has not been read. Absent: a line of JSON. Must not block.
  std::function<Reply(int status, std::string_view target, std::string_view what)> broken_request;
};

struct HttpCounts {
  std::uint64_t connections = 0;  // open now
  std::uint64_t handlers = 0;     // at work now
  std::uint64_t refused_connections = 0;
  std::uint64_t timed_out_heads = 0;
};

class HttpServer {
 public:
  HttpServer(HttpOptions options, HeadHandler head_handler, RequestHandler handler);
  ~HttpServer();

  struct Address {
    std::string host;
    int port = 0;
  };
  // Opens the socket; it accepts from now on (the backlog holds who comes before run()).
  // AlreadyExists "port 8080 of 127.0.0.1 is in use", InvalidArgument for a bad host.
  Result<Address> listen(const std::string& host, int port);
  // Serves until the end of a drain; any thread.
  void run();

  // No new connections or requests; those at work may finish within `grace`, then gone() of their
  // exchanges is requested, and after `last_words` all is cut and run() returns. No grace: told at
  // once. Again: cut at once.
  void drain(std::chrono::milliseconds grace);
  bool is_draining() const;

  HttpCounts counts() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace fourfold
