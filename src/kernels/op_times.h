// What the operations of a run took. Ops adds to it while it has one; `fourfold bench --explain`
// shows it.
//
//   OpTimes times;
//   ops.set_times(&times);
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <unordered_map>
#include <vector>

#include "tensor/matrix.h"

namespace fourfold {

struct OpTime {
  std::int64_t calls = 0;
  double seconds = 0.0;
  double bytes = 0.0;  // of weights, or of keys and values, that were read
  double macs = 0.0;   // multiply-accumulates with them

  OpTime& operator+=(const OpTime& more) {
    calls += more.calls;
    seconds += more.seconds;
    bytes += more.bytes;
    macs += more.macs;
    return *this;
  }
};

// Operations other than products with weights.
enum class OpKind : std::uint8_t {
  Quantize,  // activations to int8
  Attend,
  RmsNorm,
  Add,
  Scale,
  GeluMultiply,
  Softcap,
  Rows,  // Ops::for_rows called from outside
};
inline constexpr std::size_t kOpKinds = static_cast<std::size_t>(OpKind::Rows) + 1;

struct OpTimes {
  std::unordered_map<const std::byte*, OpTime> products;  // by where the weights begin
  std::array<OpTime, kOpKinds> others;
  bool running = false;  // an operation is; those that it calls are part of it

  OpTime& other(OpKind kind) { return others[static_cast<std::size_t>(kind)]; }
  const OpTime& other(OpKind kind) const { return others[static_cast<std::size_t>(kind)]; }
};

// What a product of w with n_rows rows of activations reads and multiplies.
inline OpTime product_work(const Matrix& w, std::int64_t n_rows) {
  return {.bytes = static_cast<double>(w.n_rows * w.row_bytes()),
          .macs = static_cast<double>(w.n_rows * w.n_cols) * static_cast<double>(n_rows)};
}

// Adds the time from here to the end of the scope. Without OpTimes it is one test of a pointer.
class OpTimer {
 public:
  OpTimer(OpTimes* times, OpKind kind) {
    if (times && !times->running) start(*times, times->other(kind));
  }
  // The product of a matrix with n_rows rows of activations.
  OpTimer(OpTimes* times, const Matrix& w, std::int64_t n_rows) {
    if (!times || times->running) return;
    start(*times, times->products[w.data]);
    *time_ += product_work(w, n_rows);
  }
  OpTimer(const OpTimer&) = delete;
  OpTimer& operator=(const OpTimer&) = delete;
  ~OpTimer() {
    if (!times_) return;
    time_->seconds += std::chrono::duration<double>(Clock::now() - start_).count();
    ++time_->calls;
    times_->running = false;
  }

  bool counts() const { return times_ != nullptr; }
  void count(double bytes, double macs) {
    time_->bytes += bytes;
    time_->macs += macs;
  }

 private:
  using Clock = std::chrono::steady_clock;

  void start(OpTimes& times, OpTime& time) {
    times.running = true;
    times_ = &times;
    time_ = &time;
    start_ = Clock::now();
  }

  OpTimes* times_ = nullptr;
  OpTime* time_ = nullptr;
  Clock::time_point start_;
};

// Shares the time from here to the end of the scope out to products that run together, by the bytes
// of their weights times the rows that meet them.
class GroupTimer {
 public:
  explicit GroupTimer(OpTimes* times) {
    if (!times || times->running) return;
    times->running = true;
    times_ = times;
    start_ = Clock::now();
  }
  GroupTimer(const GroupTimer&) = delete;
  GroupTimer& operator=(const GroupTimer&) = delete;
  ~GroupTimer() {
    if (!times_) return;
    const double seconds = std::chrono::duration<double>(Clock::now() - start_).count();
    for (const Part& part : parts_) {
      OpTime time = part.work;
      time.calls = 1;
      time.seconds = seconds * part.share / shares_;
      times_->products[part.weights] += time;
    }
    times_->running = false;
  }

  void add(const Matrix& w, std::int64_t n_rows) {
    if (!times_) return;
    const OpTime work = product_work(w, n_rows);
    parts_.push_back({w.data, work, work.bytes * static_cast<double>(n_rows)});
    shares_ += parts_.back().share;
  }

 private:
  using Clock = std::chrono::steady_clock;
  struct Part {
    const std::byte* weights = nullptr;
    OpTime work;
    double share = 0.0;
  };

  OpTimes* times_ = nullptr;
  std::vector<Part> parts_;
  double shares_ = 0.0;
  Clock::time_point start_;
};

}  // namespace fourfold
