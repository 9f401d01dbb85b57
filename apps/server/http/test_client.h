// A client on a bare socket, for tests that need to misbehave.
#pragma once

#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <string>
#include <string_view>
#include <utility>

namespace fourfold {

class TestClient {
 public:
  explicit TestClient(int port, int receive_buffer_bytes = 0)
      : socket_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    if (receive_buffer_bytes > 0) {
      ::setsockopt(socket_, SOL_SOCKET, SO_RCVBUF, &receive_buffer_bytes,
                   sizeof(receive_buffer_bytes));
    }
    ::sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<std::uint16_t>(port));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    is_connected_ =
        ::connect(socket_, reinterpret_cast<::sockaddr*>(&address), sizeof(address)) == 0;
  }
  ~TestClient() { close(); }
  TestClient(TestClient&& other) noexcept
      : socket_(std::exchange(other.socket_, -1)),
        is_connected_(other.is_connected_),
        unread_(std::move(other.unread_)) {}
  TestClient& operator=(TestClient&&) = delete;

  bool is_connected() const { return is_connected_; }

  bool send(std::string_view bytes) {
    while (!bytes.empty()) {
      const auto n = ::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (n <= 0) return false;
      bytes.remove_prefix(static_cast<std::size_t>(n));
    }
    return true;
  }

  // One whole reply: head and body. Empty if there is none in time.
  std::string read_reply(std::chrono::milliseconds time = std::chrono::seconds(5)) {
    if (!read_until("\r\n\r\n", time)) return {};
    const auto head = unread_.find("\r\n\r\n") + 4;
    std::size_t size = head;
    const auto length = unread_.find("Content-Length: ");
    if (length < head) {
      size += std::stoul(unread_.substr(length + 16));
    } else if (unread_.find("Transfer-Encoding: chunked") < head) {
      if (!read_until("\r\n0\r\n\r\n", time)) return {};
      size = unread_.find("\r\n0\r\n\r\n") + 7;
    }
    while (unread_.size() < size && read_some(time)) {
    }
    std::string reply = unread_.substr(0, size);
    unread_.erase(0, size);
    return reply;
  }

  bool read_until(std::string_view text, std::chrono::milliseconds time = std::chrono::seconds(5)) {
    const auto end = std::chrono::steady_clock::now() + time;
    while (unread_.find(text) == std::string::npos) {
      const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
          end - std::chrono::steady_clock::now());
      if (left.count() <= 0 || !read_some(left)) return false;
    }
    return true;
  }

  // All until the server closes; `is_closed` tells whether it did so in time.
  std::string read_to_end(bool& is_closed,
                          std::chrono::milliseconds time = std::chrono::seconds(5)) {
    const auto end = std::chrono::steady_clock::now() + time;
    while (true) {
      const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
          end - std::chrono::steady_clock::now());
      is_closed = false;
      if (left.count() <= 0) break;
      if (!read_some(left)) {
        is_closed = has_ended_;
        break;
      }
    }
    return std::exchange(unread_, {});
  }

  // The end of the sending half only.
  void end_sending() { ::shutdown(socket_, SHUT_WR); }
  void close() {
    if (socket_ >= 0) ::close(std::exchange(socket_, -1));
  }
  // Closes with a reset.
  void reset() {
    const ::linger now = {.l_onoff = 1, .l_linger = 0};
    ::setsockopt(socket_, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
    close();
  }

 private:
  // Something came: true. The end, a reset, or nothing in time: false.
  bool read_some(std::chrono::milliseconds time) {
    ::pollfd state = {.fd = socket_, .events = POLLIN, .revents = 0};
    if (::poll(&state, 1, static_cast<int>(time.count())) <= 0) return false;
    char bytes[16384];
    const auto n = ::recv(socket_, bytes, sizeof(bytes), 0);
    has_ended_ = n <= 0;
    if (n <= 0) return false;
    unread_.append(bytes, static_cast<std::size_t>(n));
    return true;
  }

  int socket_;
  bool is_connected_ = false;
  bool has_ended_ = false;
  std::string unread_;
};

}  // namespace fourfold
