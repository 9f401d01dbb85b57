// An exchange between two threads: the handler writes into it, the connection carries it out.
#pragma once

#include <atomic>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>

#include "server/http/exchange.h"
#include "server/http/wire.h"

namespace fourfold {

class ServerExchange final : public Exchange {
 public:
  // `wake` tells the connection that there is something to do; any thread. `is_draining` outlives
  // the exchange.
  ServerExchange(Request request, ReplyForm form, const std::atomic<bool>& is_draining,
                 std::function<void()> wake);
  ~ServerExchange() override;  // removes the body's file

  // The handler's side.
  const Request& request() const override { return request_; }
  void reply(Reply reply) override;
  void begin(int status, HeaderList headers) override;
  bool write(std::string_view bytes) override;
  void end() override;
  std::stop_token gone() const override { return gone_.get_token(); }
  bool may_have_gone() const override { return has_input_ended_; }
  void may_begin_early(int status, HeaderList headers) override;
  bool has_begun_early() const override;
  void may_probe_with_spaces() override;
  void handler_has_returned();

  // The connection's side.
  std::string take_output();
  // The peer has gone or does not read: what it was to get is dropped.
  void lose_peer();
  // The server ends its streams.
  void request_stop() { gone_.request_stop(); }
  void input_has_ended() { has_input_ended_ = true; }
  // Whether something may be sent before there is an answer: spaces, or the head of a stream.
  bool may_be_probed() const;
  void add_probe();
  // The handler has returned, and all output is taken.
  bool is_over() const;
  bool has_begun() const;
  bool is_lost() const;
  // After is_over(): the reply is complete and the next request may follow.
  bool keeps_connection() const;

 private:
  void begin_locked(int status, const HeaderList& headers);
  void push_locked(std::string bytes);

  Request request_;
  ReplyForm form_;
  const std::atomic<bool>& is_draining_;
  std::function<void()> wake_;
  std::stop_source gone_;
  std::atomic<bool> has_input_ended_ = false;

  mutable std::mutex mutex_;
  std::condition_variable has_room_;
  std::string output_;          // not yet taken
  std::optional<Reply> early_;  // its head, for who may have gone
  bool has_begun_ = false;
  bool has_begun_early_ = false;
  bool has_ended_ = false;
  bool is_probing_ = false;
  bool may_probe_ = false;
  bool is_lost_ = false;
  bool has_returned_ = false;
};

}  // namespace fourfold
