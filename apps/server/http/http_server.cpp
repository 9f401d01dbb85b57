#include "server/http/http_server.h"

#include <netinet/tcp.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <algorithm>
#include <atomic>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ip/v6_only.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <new>
#include <utility>
#include <vector>

#include "server/http/connection.h"
#include "server/http/request_head.h"
#include "server/http/wire.h"
#include "server/http/worker_threads.h"

namespace fourfold {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;

constexpr std::chrono::seconds kIdleHandlerTime{10};
constexpr std::chrono::milliseconds kAcceptPause{100};
constexpr int kDescriptorsBesideConnections = 512;

constexpr auto kAwait = asio::as_tuple(asio::use_awaitable);

// Every connection is a descriptor; the soft limit is often 1,024.
void raise_descriptor_limit(int most_connections) {
  ::rlimit limit = {};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  const auto wanted = static_cast<::rlim_t>(most_connections + kDescriptorsBesideConnections);
  if (limit.rlim_cur >= wanted) return;
  limit.rlim_cur = std::min(limit.rlim_max, wanted);
  ::setrlimit(RLIMIT_NOFILE, &limit);
}

// A peer whose machine or network is gone says nothing: the kernel asks after a minute of silence,
// and gives up on bytes that nobody acknowledges.
void watch_over(int socket) {
  const int on = 1, idle_s = 60, period_s = 15, n_probes = 4, unacknowledged_ms = 60'000;
  ::setsockopt(socket, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
  ::setsockopt(socket, IPPROTO_TCP, TCP_KEEPIDLE, &idle_s, sizeof(idle_s));
  ::setsockopt(socket, IPPROTO_TCP, TCP_KEEPINTVL, &period_s, sizeof(period_s));
  ::setsockopt(socket, IPPROTO_TCP, TCP_KEEPCNT, &n_probes, sizeof(n_probes));
  ::setsockopt(socket, IPPROTO_TCP, TCP_USER_TIMEOUT, &unacknowledged_ms,
               sizeof(unacknowledged_ms));
}

std::string address_text(const asio::ip::address& address) {
  if (address.is_v6() && address.to_v6().is_v4_mapped()) {
    return asio::ip::make_address_v4(asio::ip::v4_mapped, address.to_v6()).to_string();
  }
  return address.to_string();
}

Error listen_error(error_code error, const std::string& host, int port) {
  if (error == asio::error::address_in_use) {
    return {Code::AlreadyExists, fmt::format("port {} of {} is in use", port, host)};
  }
  if (error == asio::error::access_denied) {
    return {Code::PermissionDenied,
            fmt::format("port {} of {} cannot be opened: {}", port, host, error.message())};
  }
  return invalid_argument("host {}, port {}: {}", host, port, error.message());
}

}  // namespace

struct HttpServer::Impl {
  Impl(HttpOptions some_options, HeadHandler head_handler, RequestHandler handler)
      : options(std::move(some_options)),
        judge_head(std::move(head_handler)),
        handle(std::move(handler)),
        workers(std::make_unique<WorkerThreads>(options.most_handlers, kIdleHandlerTime)),
        host{io, options, judge_head, handle, *workers} {
    host.connection_has_ended = [this] { end_if_drained(); };
  }

  ~Impl() {
    for_each_connection(&Connection::cut);
    workers.reset();  // handlers use their connections until they return
    host.connection_has_ended = nullptr;
  }

  Status open(tcp::endpoint endpoint, const std::string& name) {
    error_code error;
    acceptor.open(endpoint.protocol(), error);
    if (!error) acceptor.set_option(tcp::acceptor::reuse_address(true), error);
    if (!error && endpoint.protocol() == tcp::v6()) {
      // "::" also stands for all IPv4 addresses.
      acceptor.set_option(asio::ip::v6_only(false), error);
    }
    if (!error) acceptor.bind(endpoint, error);
    if (!error) acceptor.listen(asio::socket_base::max_listen_connections, error);
    if (!error) return {};
    error_code ignored;
    acceptor.close(ignored);
    return listen_error(error, name, endpoint.port());
  }

  asio::awaitable<void> accept() {
    while (acceptor.is_open()) {
      auto [error, socket] = co_await acceptor.async_accept(kAwait);
      if (host.is_draining) co_return;
      if (!error) {
        take(std::move(socket));
      } else if (error != asio::error::connection_aborted) {
        // Out of descriptors or memory: they come back when connections end.
        asio::steady_timer pause(io, kAcceptPause);
        co_await pause.async_wait(kAwait);
      }
    }
  }

  void take(tcp::socket socket) {
    error_code error;
    const auto remote = socket.remote_endpoint(error);
    if (error) return;  // gone again
    socket.set_option(tcp::no_delay(true), error);
    watch_over(socket.native_handle());
    if (host.n_connections >= static_cast<std::uint64_t>(options.most_connections)) {
      ++n_refused;
      refuse(socket);
      return;
    }
    const bool is_ipv6 = remote.protocol() == tcp::v6();
    const int descriptor = socket.release(error);
    if (!error) Connection::start(host, descriptor, is_ipv6, address_text(remote.address()));
  }

  // As much as fits into the socket's buffer: a crowd is not waited for.
  void refuse(tcp::socket& socket) {
    const Reply reply = {
        .status = 503,
        .headers = {{"Content-Type", "application/json; charset=utf-8"}, {"Retry-After", "1"}},
        .body = broken_request_json(503, "too many connections")};
    const std::string bytes = whole_reply_bytes(reply, {.keep_alive = false});
    ::send(socket.native_handle(), bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
  }

  void begin_drain(std::chrono::milliseconds grace) {
    error_code ignored;
    acceptor.close(ignored);
    stays_open.reset();
    for_each_connection(&Connection::close_if_idle);
    if (is_draining_already) {
      cut_all();
      return;
    }
    is_draining_already = true;
    drain_timer.expires_after(grace);
    drain_timer.async_wait([this](error_code error) {
      if (!error) end_streams();
    });
    end_if_drained();
  }

  void end_streams() {
    for_each_connection(&Connection::request_stop);
    drain_timer.expires_after(options.last_words);
    drain_timer.async_wait([this](error_code error) {
      if (!error) cut_all();
    });
    end_if_drained();
  }

  void cut_all() {
    for_each_connection(&Connection::cut);
    io.stop();
  }

  // Connections may end while they are told.
  void for_each_connection(void (Connection::*tell)()) {
    const std::vector<Connection*> all(host.connections.begin(), host.connections.end());
    for (auto* connection : all) {
      if (host.connections.contains(connection)) (connection->*tell)();
    }
  }

  // run() returns when nothing is left to wait for.
  void end_if_drained() {
    if (host.is_draining && host.connections.empty()) drain_timer.cancel();
  }

  HttpOptions options;
  HeadHandler judge_head;
  RequestHandler handle;
  std::unique_ptr<WorkerThreads> workers;
  std::atomic<std::uint64_t> n_refused = 0;
  bool is_draining_already = false;  // of the I/O thread
  Connection::Host host;
  // From here on, destroyed first: connections that still wait know their host.
  asio::io_context io{1};  // of one thread
  asio::executor_work_guard<asio::io_context::executor_type> stays_open{io.get_executor()};
  tcp::acceptor acceptor{io};
  asio::steady_timer drain_timer{io};
};

HttpServer::HttpServer(HttpOptions options, HeadHandler head_handler, RequestHandler handler)
    : impl_(std::make_unique<Impl>(std::move(options), std::move(head_handler),
                                   std::move(handler))) {}

HttpServer::~HttpServer() = default;

Result<HttpServer::Address> HttpServer::listen(const std::string& host, int port) {
  if (port < 0 || port > 65535) return invalid_argument("port {}: 0 to 65535", port);
  // The resolver takes no name for all addresses.
  if (host.empty()) return invalid_argument("host: empty (an address or a name)");
  std::string name = host;
  if (name.starts_with('[') && name.ends_with(']')) name = name.substr(1, name.size() - 2);
  error_code error;
  tcp::resolver resolver(impl_->io);
  const auto found = resolver.resolve(name, std::to_string(port), tcp::resolver::passive, error);
  if (error || found.empty()) return invalid_argument("host {}: {}", host, error.message());
  // Of several addresses IPv4 is what clients of a local name try.
  tcp::endpoint endpoint = found.begin()->endpoint();
  for (const auto& entry : found) {
    if (entry.endpoint().protocol() == tcp::v4()) endpoint = entry.endpoint();
  }
  TRY(impl_->open(endpoint, host));
  raise_descriptor_limit(impl_->options.most_connections);
  asio::co_spawn(impl_->io, impl_->accept(), asio::detached);
  const auto bound = impl_->acceptor.local_endpoint(error);
  return Address{bound.address().to_string(), bound.port()};
}

void HttpServer::run() {
  // A connection that finds no memory ends; the server does not.
  for (bool has_ended = false; !has_ended;) {
    try {
      impl_->io.run();
      has_ended = true;
    } catch (const std::bad_alloc&) {
    }
  }
}

void HttpServer::drain(std::chrono::milliseconds grace) {
  impl_->host.is_draining = true;
  asio::post(impl_->io, [impl = impl_.get(), grace] { impl->begin_drain(grace); });
}

bool HttpServer::is_draining() const { return impl_->host.is_draining; }

HttpCounts HttpServer::counts() const {
  return {.connections = impl_->host.n_connections,
          .handlers = impl_->host.n_at_work,
          .refused_connections = impl_->n_refused,
          .timed_out_heads = impl_->host.n_timed_out_heads};
}

}  // namespace fourfold
