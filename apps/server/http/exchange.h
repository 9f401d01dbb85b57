// One HTTP request and the way to answer it, free of the library that carries it.
//
// A request is handled in two steps. Its head is judged on the I/O thread before a byte of the body
// is read (HeadHandler, must not block): refused at once, or let in with a limit for its body. Then
// the whole of it is handled on a thread of its own (RequestHandler, may block).
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "api/error_reply.h"

namespace fourfold {

struct RequestHead {
  std::string method;          // "POST"
  std::string target;          // as sent: "/v1/models/a%2Fb?key=…"
  HeaderList headers;          // names in lower case
  std::string remote_address;  // "127.0.0.1"
  std::optional<std::uint64_t> content_length;

  // The value of the first header of this (lower-case) name; empty if there is none.
  std::string_view header(std::string_view name) const;
};

struct Request {
  RequestHead head;
  // Decoded if it was gzip or zstd. Empty if it went into a file.
  std::string body;
  std::string body_file;  // path of a temporary file, removed after the handler unless moved away
};

struct Reply {
  int status = 200;
  HeaderList headers;  // without Content-Length and Date
  std::string body;
};

// What is to become of a request whose head has come.
struct BodyPlan {
  std::uint64_t most_bytes = 0;  // after decoding; more: 413 by `too_large`
  bool to_file = false;          // the body goes into a temporary file
  std::function<Reply(std::uint64_t most_bytes)> too_large;
  std::function<Reply(std::string_view what)> malformed;  // a bad coding, say
};
using HeadVerdict = std::variant<Reply, BodyPlan>;

// The way back. Used by the handler's thread.
class Exchange {
 public:
  virtual ~Exchange() = default;

  virtual const Request& request() const = 0;
  Request& mutable_request() { return const_cast<Request&>(request()); }

  // The whole reply. Once, and instead of begin().
  virtual void reply(Reply reply) = 0;
  // A stream: its head, pieces (each written and flushed at once), its end. write() waits while the
  // peer reads slowly and is false when it has gone or was too slow.
  virtual void begin(int status, HeaderList headers) = 0;
  virtual bool write(std::string_view bytes) = 0;
  virtual void end() = 0;

  // Stop is requested when the peer has gone (http-apis.md 1.8; the end of its sending half alone
  // is not that) and when the server ends its streams; then write() still works. Callbacks run on
  // the I/O thread and must not block.
  virtual std::stop_token gone() const = 0;
  // The peer sends no more: it may be gone for all we know until something is written, so a silent
  // stream should say something harmless about once a second from now on.
  virtual bool may_have_gone() const { return false; }
  // A peer that has shut its sending half may be gone, which only writing tells. After this call it
  // is sent the head of the stream before begin(), which then does nothing. An error that comes in
  // between must be told within the stream: has_begun_early().
  virtual void may_begin_early(int status, HeaderList headers) {
    (void)status;
    (void)headers;
  }
  virtual bool has_begun_early() const { return false; }
  // A peer that has only shut its sending half is probed with spaces while a whole reply of JSON is
  // being made, after this call; the status is then 200 already, and reply() writes the body alone.
  virtual void may_probe_with_spaces() = 0;
};

using HeadHandler = std::function<HeadVerdict(const RequestHead& head)>;
using RequestHandler = std::function<void(Exchange& exchange)>;

}  // namespace fourfold
