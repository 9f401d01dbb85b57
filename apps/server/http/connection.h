// One client's connection: its requests one after the other, within the limits.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <set>
#include <string>

#include "server/http/exchange.h"
#include "server/http/http_server.h"
#include "server/http/worker_threads.h"

namespace boost::asio {
class io_context;
}

namespace fourfold {

// All functions are called on the I/O thread.
class Connection {
 public:
  // What a connection has of its server, which outlives it.
  struct Host {
    boost::asio::io_context& io;
    const HttpOptions& options;
    const HeadHandler& judge_head;
    const RequestHandler& handle;
    WorkerThreads& workers;
    std::atomic<bool> is_draining = false;
    std::atomic<std::uint64_t> n_at_work = 0;
    std::atomic<std::uint64_t> n_timed_out_heads = 0;
    std::atomic<std::uint64_t> n_body_bytes = 0;  // of bodies in memory
    std::set<Connection*> connections;
    std::atomic<std::uint64_t> n_connections = 0;
    std::function<void()> connection_has_ended;
  };

  // Takes over the socket. The connection adds itself to its host and leaves it when it ends.
  static void start(Host& host, int socket, bool is_ipv6, std::string remote_address);

  virtual ~Connection() = default;

  // Ends it unless a request is being read or answered.
  virtual void close_if_idle() = 0;
  // Tells the handler at work that its time is over.
  virtual void request_stop() = 0;
  // Ends it now.
  virtual void cut() = 0;
};

}  // namespace fourfold
