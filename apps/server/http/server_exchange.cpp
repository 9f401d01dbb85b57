#include "server/http/server_exchange.h"

#include <unistd.h>

#include <utility>

namespace fourfold {
namespace {

// A handler that is so far ahead of its reader waits.
constexpr std::size_t kMostOutputBytes = 256 * 1024;

}  // namespace

ServerExchange::ServerExchange(Request request, ReplyForm form,
                               const std::atomic<bool>& is_draining, std::function<void()> wake)
    : request_(std::move(request)),
      form_(form),
      is_draining_(is_draining),
      wake_(std::move(wake)) {}

ServerExchange::~ServerExchange() {
  if (!request_.body_file.empty()) ::unlink(request_.body_file.c_str());
}

void ServerExchange::reply(Reply reply) {
  const std::lock_guard lock(mutex_);
  if (has_ended_) return;
  has_ended_ = true;
  if (is_probing_ || has_begun_early_) {
    push_locked(stream_piece_bytes(reply.body, form_) + stream_end_bytes(form_));
    return;
  }
  if (has_begun_) return;
  has_begun_ = true;
  if (is_draining_) form_.keep_alive = false;
  push_locked(whole_reply_bytes(reply, form_));
}

void ServerExchange::begin(int status, HeaderList headers) {
  const std::lock_guard lock(mutex_);
  if (!has_begun_) begin_locked(status, headers);
}

bool ServerExchange::write(std::string_view bytes) {
  std::unique_lock lock(mutex_);
  has_room_.wait(lock, [this] { return is_lost_ || output_.size() < kMostOutputBytes; });
  if (is_lost_ || has_ended_) return false;
  push_locked(stream_piece_bytes(bytes, form_));
  return true;
}

void ServerExchange::end() {
  const std::lock_guard lock(mutex_);
  if (!has_begun_ || has_ended_) return;
  has_ended_ = true;
  push_locked(stream_end_bytes(form_));
}

void ServerExchange::may_begin_early(int status, HeaderList headers) {
  const std::lock_guard lock(mutex_);
  early_ = Reply{.status = status, .headers = std::move(headers)};
  wake_();
}

bool ServerExchange::has_begun_early() const {
  const std::lock_guard lock(mutex_);
  return has_begun_early_;
}

void ServerExchange::may_probe_with_spaces() {
  const std::lock_guard lock(mutex_);
  may_probe_ = true;
  wake_();
}

void ServerExchange::handler_has_returned() {
  const std::lock_guard lock(mutex_);
  has_returned_ = true;
  wake_();
}

std::string ServerExchange::take_output() {
  const std::lock_guard lock(mutex_);
  has_room_.notify_all();
  return std::exchange(output_, {});
}

void ServerExchange::lose_peer() {
  {
    const std::lock_guard lock(mutex_);
    is_lost_ = true;
    output_ = {};
    has_room_.notify_all();
  }
  gone_.request_stop();
}

bool ServerExchange::may_be_probed() const {
  const std::lock_guard lock(mutex_);
  if (has_ended_ || is_lost_ || form_.is_head) return false;
  return has_begun_ ? is_probing_ : may_probe_ || early_;
}

void ServerExchange::add_probe() {
  const std::lock_guard lock(mutex_);
  if (has_ended_ || (has_begun_ && !is_probing_)) return;
  if (early_) {
    has_begun_early_ = true;
    return begin_locked(early_->status, early_->headers);
  }
  is_probing_ = true;
  if (!has_begun_) begin_locked(200, {{"Content-Type", "application/json; charset=utf-8"}});
  push_locked(stream_piece_bytes(" ", form_));
}

bool ServerExchange::is_over() const {
  const std::lock_guard lock(mutex_);
  return has_returned_ && output_.empty();
}

bool ServerExchange::has_begun() const {
  const std::lock_guard lock(mutex_);
  return has_begun_;
}

bool ServerExchange::is_lost() const {
  const std::lock_guard lock(mutex_);
  return is_lost_;
}

bool ServerExchange::keeps_connection() const {
  const std::lock_guard lock(mutex_);
  return has_ended_ && !is_lost_ && form_.keep_alive;
}

void ServerExchange::begin_locked(int status, const HeaderList& headers) {
  has_begun_ = true;
  if (form_.is_http_1_0 || is_draining_) form_.keep_alive = false;
  push_locked(stream_head_bytes(status, headers, form_));
}

void ServerExchange::push_locked(std::string bytes) {
  if (is_lost_ || bytes.empty()) return;
  if (output_.empty()) {
    output_ = std::move(bytes);
  } else {
    output_ += bytes;
  }
  wake_();
}

}  // namespace fourfold
