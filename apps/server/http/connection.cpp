#include "server/http/connection.h"

#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <atomic>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/buffer_body.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <cerrno>
#include <chrono>
#include <optional>
#include <utility>
#include <variant>
#include <vector>

#include "server/http/ascii.h"
#include "server/http/body_sink.h"
#include "server/http/request_head.h"
#include "server/http/server_exchange.h"
#include "server/http/wire.h"

namespace fourfold {
namespace {

namespace asio = boost::asio;
namespace http = boost::beast::http;
using asio::awaitable;
using asio::ip::tcp;
using boost::system::error_code;
using std::chrono::steady_clock;
using Parser = http::request_parser<http::buffer_body>;

constexpr std::size_t kReadBytes = 64 * 1024;
// A reply goes out in slices, each within the write time: a slow reader of a long reply is not one
// that has stopped reading.
constexpr std::size_t kWriteBytes = 256 * 1024;
// The rest of a refused body that is read so that the connection can be kept.
constexpr std::uint64_t kMostSkippedBytes = 64 * 1024;
constexpr std::chrono::seconds kSkipTime{2};
constexpr std::chrono::seconds kLingerTime{2};
constexpr std::chrono::seconds kProbePeriod{1};

constexpr auto kAwait = asio::as_tuple(asio::use_awaitable);

// The part of a request in what all bodies may hold in memory.
class BodyShare {
 public:
  BodyShare(std::atomic<std::uint64_t>& in_all, std::uint64_t most_in_all)
      : in_all_(in_all), most_in_all_(most_in_all) {}
  ~BodyShare() { in_all_ -= n_bytes_; }
  BodyShare(const BodyShare&) = delete;
  BodyShare& operator=(const BodyShare&) = delete;

  bool grow_to(std::uint64_t n_bytes) {
    if (in_all_ + (n_bytes - n_bytes_) > most_in_all_) return false;
    in_all_ += n_bytes - n_bytes_;
    n_bytes_ = n_bytes;
    return true;
  }

 private:
  std::atomic<std::uint64_t>& in_all_;  // of the host
  const std::uint64_t most_in_all_;
  std::uint64_t n_bytes_ = 0;
};

class TcpConnection final : public Connection, public std::enable_shared_from_this<TcpConnection> {
 public:
  TcpConnection(Host& host, int socket, bool is_ipv6, std::string remote_address)
      : host_(host),
        socket_(host.io, is_ipv6 ? tcp::v6() : tcp::v4(), socket),
        deadline_(host.io),
        wake_(host.io),
        buffer_(host.options.most_header_bytes + kReadBytes),
        remote_address_(std::move(remote_address)) {
    host_.connections.insert(this);
    ++host_.n_connections;
  }

  ~TcpConnection() override {
    host_.connections.erase(this);
    --host_.n_connections;
    if (host_.connection_has_ended) host_.connection_has_ended();
  }

  static awaitable<void> serve(std::shared_ptr<TcpConnection> self) { co_await self->serve(); }

  void close_if_idle() override {
    if (is_idle_) cut();
  }

  void request_stop() override {
    if (exchange_) exchange_->request_stop();
  }

  void cut() override {
    if (exchange_) exchange_->lose_peer();
    error_code ignored;
    socket_.close(ignored);
    deadline_.cancel();
  }

 private:
  enum class BodyEnd { Complete, TooLarge, Malformed, TimedOut, Lost, Failed, NoRoom };

  awaitable<void> serve() {
    bool keeps = true;
    for (bool is_first = true; keeps; is_first = false) {
      const bool has_request = co_await wait_for_request(is_first);
      if (!has_request) break;
      keeps = co_await serve_request();
    }
    if (must_linger_) co_await linger();
    error_code ignored;
    socket_.close(ignored);
    deadline_.cancel();
  }

  // While nothing is asked, a connection keeps next to no memory.
  awaitable<bool> wait_for_request(bool is_first) {
    skip_line_ends();
    if (buffer_.size() > 0) co_return !host_.is_draining;
    buffer_.shrink_to_fit();
    if (host_.is_draining) co_return false;
    is_idle_ = true;
    start_deadline(is_first ? host_.options.header_time : host_.options.idle_time);
    const auto [error] = co_await socket_.async_wait(tcp::socket::wait_read, kAwait);
    stop_deadline();
    is_idle_ = false;
    co_return !error && !host_.is_draining;
  }

  // Some old clients send one behind a body.
  void skip_line_ends() {
    const std::string_view held(static_cast<const char*>(buffer_.data().data()), buffer_.size());
    buffer_.consume(std::min(held.find_first_not_of("\r\n"), held.size()));
  }

  // One request and its reply. False if the connection ends here.
  awaitable<bool> serve_request() {
    Parser parser;
    parser.body_limit(boost::none);  // ours: it must count decoded bytes too
    parser.header_limit(host_.options.most_header_bytes);
    start_deadline(host_.options.header_time);
    const auto [error, n_bytes] =
        co_await http::async_read_header(socket_, buffer_, parser, kAwait);
    stop_deadline();
    if (error) {
      const bool keeps = co_await end_broken_head(error, parser);
      co_return keeps;
    }
    auto head = make_head(parser);
    form_ = {.is_http_1_0 = parser.get().version() < 11,
             .is_head = head.method == "HEAD",
             .keep_alive = parser.keep_alive()};
    const auto problem = check_head(head, parser.chunked());
    if (problem) {
      co_await send_broken(problem->status, head.target, problem->what);
      co_return false;
    }
    auto verdict = host_.judge_head(head);
    if (auto* refusal = std::get_if<Reply>(&verdict)) {
      const bool keeps = co_await refuse(*refusal, parser, head);
      co_return keeps;
    }
    const bool keeps = co_await serve_body(parser, std::move(head), std::get<BodyPlan>(verdict));
    co_return keeps;
  }

  awaitable<bool> end_broken_head(error_code error, const Parser& parser) {
    const std::string target(parser.get().target());
    if (has_timed_out_) {
      ++host_.n_timed_out_heads;
      const bool has_begun = parser.got_some() || buffer_.size() > 0;
      if (has_begun) co_await send_broken(408, target, "the request head took too long");
    } else if (error == http::error::header_limit || error == http::error::buffer_overflow) {
      co_await send_broken(431, target, "the request head is too large");
    } else if (is_parse_error(error)) {
      co_await send_broken(400, target, "not a valid HTTP/1.1 request: " + error.message());
    }
    co_return false;
  }

  static bool is_parse_error(error_code error) {
    return error.category() == http::make_error_code(http::error::bad_method).category() &&
           error != http::error::end_of_stream && error != http::error::partial_message;
  }

  RequestHead make_head(const Parser& parser) const {
    RequestHead head;
    const auto& message = parser.get();
    head.method = std::string(message.method_string());
    head.target = std::string(message.target());
    for (const auto& field : message) {
      head.headers.emplace_back(ascii_lower(std::string_view(field.name_string())),
                                std::string(field.value()));
    }
    head.remote_address = remote_address_;
    if (const auto length = parser.content_length()) head.content_length = *length;
    return head;
  }

  // A refusal goes out before the body is read. A short body is then skipped, a long one is not
  // worth keeping the connection for.
  awaitable<bool> refuse(const Reply& refusal, Parser& parser, const RequestHead& head) {
    const bool is_short = head.content_length.value_or(0) <= kMostSkippedBytes &&
                          !parser.chunked() && head.header("expect").empty();
    if (!parser.is_done() && !is_short) form_.keep_alive = false;
    const bool is_sent = co_await send_reply(refusal);
    if (!is_sent || !form_.keep_alive) co_return false;
    const bool is_skipped = co_await skip_body(parser);
    co_return is_skipped;
  }

  awaitable<bool> skip_body(Parser& parser) {
    std::vector<char> piece(parser.is_done() ? 0 : kReadBytes);
    start_deadline(kSkipTime);
    error_code error;
    while (!error && !parser.is_done()) error = co_await read_piece(parser, piece);
    stop_deadline();
    co_return !error;
  }

  // Reads some of the body into the whole of `piece`; what came is its used part.
  awaitable<error_code> read_piece(Parser& parser, std::vector<char>& piece) {
    piece.resize(kReadBytes);
    auto& body = parser.get().body();
    body.data = piece.data();
    body.size = piece.size();
    body.more = true;
    auto [error, n_bytes] = co_await http::async_read_some(socket_, buffer_, parser, kAwait);
    if (error == http::error::need_buffer) error = {};
    piece.resize(piece.size() - body.size);
    co_return error;
  }

  awaitable<bool> serve_body(Parser& parser, RequestHead head, const BodyPlan& plan) {
    Request request;
    request.head = std::move(head);
    std::string what;
    BodyShare share(host_.n_body_bytes, host_.options.most_body_bytes_in_all);
    const BodyEnd end = co_await read_body(parser, plan, request, share, what);
    if (end != BodyEnd::Complete) form_.keep_alive = false;
    switch (end) {
      case BodyEnd::Complete: break;
      case BodyEnd::Lost: co_return false;
      case BodyEnd::TimedOut:
        co_await send_broken(408, request.head.target, "the request body took too long");
        co_return false;
      case BodyEnd::NoRoom:
        co_await send_broken(503, request.head.target, "too many large requests at once");
        co_return false;
      case BodyEnd::Failed: co_await send_broken(500, request.head.target, what); co_return false;
      case BodyEnd::TooLarge: {
        const Reply reply = plan.too_large ? plan.too_large(plan.most_bytes)
                                           : broken(413, request.head.target, "too large");
        co_await send_reply(reply);
        co_return false;
      }
      case BodyEnd::Malformed: {
        const Reply reply =
            plan.malformed ? plan.malformed(what) : broken(400, request.head.target, what);
        co_await send_reply(reply);
        co_return false;
      }
    }
    const bool keeps = co_await answer(std::move(request));
    co_return keeps;
  }

  awaitable<BodyEnd> read_body(Parser& parser, const BodyPlan& plan, Request& request,
                               BodyShare& share, std::string& what) {
    if (request.head.content_length.value_or(0) > plan.most_bytes) co_return BodyEnd::TooLarge;
    auto sink = BodySink::open(plan, request.head.header("content-encoding"),
                               host_.options.temporary_folder);
    if (!sink.ok()) co_return end_of(sink.error(), what);
    const bool must_be_asked = !request.head.header("expect").empty() && !form_.is_http_1_0;
    if (!parser.is_done() && must_be_asked) {
      const bool is_sent = co_await send("HTTP/1.1 100 Continue\r\n\r\n");
      if (!is_sent) co_return BodyEnd::Lost;
    }
    std::vector<char> piece;
    while (!parser.is_done()) {
      start_deadline(host_.options.body_pause);
      const error_code error = co_await read_piece(parser, piece);
      stop_deadline();
      if (has_timed_out_) co_return BodyEnd::TimedOut;
      if (error && is_parse_error(error)) {
        what = error.message();
        co_return BodyEnd::Malformed;
      }
      if (error) co_return BodyEnd::Lost;
      const Status stored = (*sink)->add(std::string_view(piece.data(), piece.size()));
      if (!stored.ok()) co_return end_of(stored.error(), what);
      if (!share.grow_to((*sink)->bytes_in_memory())) co_return BodyEnd::NoRoom;
    }
    const Status finished = (*sink)->finish(request);
    if (!finished.ok()) co_return end_of(finished.error(), what);
    co_return BodyEnd::Complete;
  }

  static BodyEnd end_of(const Error& error, std::string& what) {
    what = error.message;
    if (error.reason() == kBodyTooLarge) return BodyEnd::TooLarge;
    return error.code == Code::InvalidArgument ? BodyEnd::Malformed : BodyEnd::Failed;
  }

  // The handler works on a thread of its own; here its output is carried out and the peer watched.
  awaitable<bool> answer(Request request) {
    const std::string target = request.head.target;
    exchange_ =
        std::make_shared<ServerExchange>(std::move(request), form_, host_.is_draining, make_wake());
    const bool is_at_work = start_handler();
    if (is_at_work) {
      watch_for_reset();
      watch_for_end();
      co_await carry_out();
      // Ends the watches; nothing else of the socket is pending.
      ++watch_;
      error_code ignored;
      socket_.cancel(ignored);
    }
    const auto exchange = std::exchange(exchange_, nullptr);
    if (!exchange->has_begun()) {
      form_.keep_alive = false;
      if (exchange->is_lost()) co_return false;
      if (host_.is_draining) {
        co_await send_broken(503, target, "the server is shutting down");
      } else {
        co_await send_broken(500, target, "the request was not answered");
      }
      co_return false;
    }
    must_linger_ = !exchange->is_lost();
    co_return exchange->keeps_connection();
  }

  // For any thread. Connections are held and let go on the I/O thread only.
  std::function<void()> make_wake() {
    return [io = &host_.io, connection = weak_from_this()] {
      asio::post(*io, [connection] {
        if (const auto self = connection.lock()) self->wake_.cancel();
      });
    };
  }

  bool start_handler() {
    return host_.workers.run([host = &host_, exchange = exchange_] {
      ++host->n_at_work;
      // A library or the lack of memory may throw; this request fails then, the others go on.
      try {
        host->handle(*exchange);
      } catch (...) {
      }
      --host->n_at_work;
      exchange->handler_has_returned();
    });
  }

  awaitable<void> carry_out() {
    auto next_probe = steady_clock::now() + host_.options.probe_delay;
    while (true) {
      const std::string output = exchange_->take_output();
      if (!output.empty()) {
        const bool is_sent = co_await send(output);
        if (!is_sent) exchange_->lose_peer();
        continue;
      }
      if (exchange_->is_over()) co_return;
      const bool may_probe = exchange_->may_be_probed();
      if (may_probe && has_input_ended() && steady_clock::now() >= next_probe) {
        exchange_->add_probe();
        next_probe = steady_clock::now() + kProbePeriod;
        continue;
      }
      if (may_probe) {
        wake_.expires_at(exchange_->may_have_gone() ? next_probe
                                                    : steady_clock::now() + kProbePeriod);
      } else {
        wake_.expires_at(steady_clock::time_point::max());
      }
      co_await wake_.async_wait(kAwait);
    }
  }

  // Also told when bytes of a next request lie before the end.
  bool has_input_ended() {
    if (exchange_->may_have_gone()) return true;
    ::pollfd state = {.fd = socket_.native_handle(), .events = POLLRDHUP, .revents = 0};
    if (::poll(&state, 1, 0) > 0 && (state.revents & POLLRDHUP) != 0) exchange_->input_has_ended();
    return exchange_->may_have_gone();
  }

  void watch_for_reset() {
    socket_.async_wait(
        tcp::socket::wait_error, [self = shared_from_this(), watch = watch_](error_code error) {
          if (error || watch != self->watch_) return;
          ::pollfd state = {.fd = self->socket_.native_handle(), .events = 0, .revents = 0};
          if (::poll(&state, 1, 0) > 0 && (state.revents & (POLLERR | POLLHUP)) != 0)
            self->lose_peer();
        });
  }

  void watch_for_end() {
    socket_.async_wait(
        tcp::socket::wait_read, [self = shared_from_this(), watch = watch_](error_code error) {
          if (error || watch != self->watch_) return;
          char byte = 0;
          const auto n = ::recv(self->socket_.native_handle(), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
          if (n == 0) {
            self->exchange_->input_has_ended();
            self->wake_.cancel();
          } else if (n < 0 && errno != EAGAIN && errno != EINTR) {
            self->lose_peer();
          } else if (n < 0) {
            self->watch_for_end();
          }
          // n > 0: the next request; it is kept where it is.
        });
  }

  void lose_peer() {
    exchange_->lose_peer();
    wake_.cancel();
  }

  Reply broken(int status, std::string_view target, std::string_view what) const {
    if (host_.options.broken_request) return host_.options.broken_request(status, target, what);
    return {.status = status,
            .headers = {{"Content-Type", "application/json; charset=utf-8"}},
            .body = broken_request_json(status, what)};
  }

  awaitable<void> send_broken(int status, std::string_view target, std::string_view what) {
    form_.keep_alive = false;
    const Reply reply = broken(status, target, what);
    co_await send_reply(reply);
  }

  awaitable<bool> send_reply(const Reply& reply) {
    if (host_.is_draining) form_.keep_alive = false;
    const std::string bytes = whole_reply_bytes(reply, form_);
    const bool is_sent = co_await send(bytes);
    must_linger_ = is_sent;
    co_return is_sent;
  }

  awaitable<bool> send(std::string_view bytes) {
    while (!bytes.empty()) {
      const auto slice = asio::buffer(bytes.data(), std::min(bytes.size(), kWriteBytes));
      start_deadline(host_.options.write_time);
      const auto [error, n_bytes] = co_await asio::async_write(socket_, slice, kAwait);
      stop_deadline();
      if (error) co_return false;
      bytes.remove_prefix(n_bytes);
    }
    co_return true;
  }

  // Closing a socket with unread bytes resets it, and the peer may then lose the reply.
  awaitable<void> linger() {
    is_idle_ = true;
    error_code error;
    socket_.shutdown(tcp::socket::shutdown_send, error);
    start_deadline(kLingerTime);
    std::vector<char> piece(4096);
    while (!error) {
      const auto [read_error, n_bytes] =
          co_await socket_.async_read_some(asio::buffer(piece), kAwait);
      error = read_error;
    }
    stop_deadline();
  }

  // Cancels whatever the socket is doing when the time is over.
  void start_deadline(std::chrono::milliseconds time) {
    has_timed_out_ = false;
    deadline_.expires_after(time);
    deadline_.async_wait(
        [self = shared_from_this(), number = ++deadline_number_](error_code error) {
          if (error || number != self->deadline_number_) return;
          self->has_timed_out_ = true;
          error_code ignored;
          self->socket_.cancel(ignored);
        });
  }

  // Also makes one ineffective that has fired but was not run yet.
  void stop_deadline() {
    ++deadline_number_;
    deadline_.cancel();
  }

  Host& host_;
  tcp::socket socket_;
  asio::steady_timer deadline_;
  std::uint64_t deadline_number_ = 0;
  bool has_timed_out_ = false;
  asio::steady_timer wake_;  // of the coroutine that carries out a reply
  boost::beast::flat_buffer buffer_;
  std::string remote_address_;
  ReplyForm form_;
  std::shared_ptr<ServerExchange> exchange_;  // while a handler is at work
  std::uint64_t watch_ = 0;
  bool is_idle_ = false;
  bool must_linger_ = false;
};

}  // namespace

void Connection::start(Host& host, int socket, bool is_ipv6, std::string remote_address) {
  auto connection =
      std::make_shared<TcpConnection>(host, socket, is_ipv6, std::move(remote_address));
  asio::co_spawn(host.io, TcpConnection::serve(std::move(connection)), asio::detached);
}

}  // namespace fourfold
