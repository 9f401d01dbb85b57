// Attention without a mask: every query of a picture sees every key (vision-video.md 4). Never more
// than a block of scores exists.
//
//   FullAttention attention(ops);
//   attention.begin(n_rows, n_heads, channels);
//   attention.put(first, q, k, v);   // all rows, in stretches that begin at multiples of 64
//   attention.attend(first, out);    // any of them
//
// Exact: f32. Otherwise queries, keys, values and probabilities are integers of eight bits: those
// of a query and of a key with one scale per 64 channels, or 32 where heads are no multiple of 64,
// values and probabilities with one per 32 keys.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "kernels/kv_view.h"
#include "kernels/ops.h"
#include "tensor/matrix.h"

namespace fourfold {

class FullAttention {
 public:
  explicit FullAttention(Ops& ops);
  ~FullAttention();

  // Forgets all keys. The memory is kept.
  void begin(std::int64_t n_rows, int n_heads, int channels);
  // q, k and v [n, n_heads · channels] of the rows [first, first + n). `finish`, if there is one,
  // gives row r of the three its last values before it is read; several threads call it.
  void put(std::int64_t first, MatView q, MatView k, MatView v,
           const std::function<void(std::int64_t r)>& finish = {});
  // out [n, n_heads · channels] of the rows [first, first + n); scores are q·k as they come. All
  // rows must have been put, and `first` is a multiple of 16.
  void attend(std::int64_t first, MatView out);

 private:
  struct QuantRows;   // rows of eight bits
  struct Integers;    // queries, keys and values in eight bits
  struct QueryPanel;  // 16 queries of one head
  struct Worker;      // buffers of one thread

  void put_row(std::int64_t row, const float* x, QuantRows& rows, Worker& s);
  void put_values(std::int64_t head, std::int64_t first, MatView v, Worker& s);
  void start(std::int64_t row, QueryPanel& panel);
  void attend_panels(std::int64_t head, std::int64_t first, MatView out, Worker& s);

  Ops& ops_;
  std::int64_t n_rows_ = 0;
  int n_heads_ = 0;
  int channels_ = 0;

  // Exact.
  std::vector<float> queries_;  // [n_rows, n_heads · channels]
  KvView kv_;
  std::vector<std::byte> kv_bytes_;
  std::vector<std::byte*> kv_blocks_;
  std::vector<AttentionRow> kv_rows_;

  std::unique_ptr<Integers> integers_;
  std::vector<std::unique_ptr<Worker>> workers_;  // one a thread
};

}  // namespace fourfold
